#include "server/rpc/subscription_messages.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "server/delivery/cursor.h"
#include "server/delivery/delivery_id.h"

namespace hookgate {
namespace {

using hookgate::v1::AckResult;

constexpr int kMaxItems = 10'000;

absl::optional<DeliveryId> IdOf(const std::string& text, int index, const DeliveryIds& ids) {
  return index < kMaxItems ? ParseDeliveryId(text, ids) : absl::nullopt;
}

hookgate::v1::Subscription::Consumer DescribeConsumer(const ConsumerStatus& status) {
  hookgate::v1::Subscription::Consumer consumer;
  consumer.set_name(status.name);
  consumer.set_streams(status.streams);
  consumer.set_in_flight_messages(status.messages);
  consumer.set_in_flight_bytes(status.bytes);
  consumer.set_credit_messages(std::max<int64_t>(status.limits.max_messages - status.messages, 0));
  consumer.set_credit_bytes(std::max<int64_t>(status.limits.max_bytes - status.bytes, 0));
  consumer.set_ack_rate(status.ack_rate);
  if (status.last_ack.has_value()) *consumer.mutable_last_ack_time() = ToProto(*status.last_ack);
  return consumer;
}

hookgate::v1::DeadLetter::Cause CauseOf(DeliveryCause cause) {
  switch (cause) {
    case DeliveryCause::kNacked:
      return hookgate::v1::DeadLetter::CAUSE_NACKED;
    case DeliveryCause::kDeadlinePassed:
      return hookgate::v1::DeadLetter::CAUSE_DEADLINE_PASSED;
    case DeliveryCause::kConsumerDecided:
      return hookgate::v1::DeadLetter::CAUSE_CONSUMER_DECIDED;
    case DeliveryCause::kStreamLost:
      return hookgate::v1::DeadLetter::CAUSE_STREAM_LOST;
    default:
      return hookgate::v1::DeadLetter::CAUSE_UNSPECIFIED;
  }
}

hookgate::v1::SubscriptionCondition ToProto(SubscriptionCondition condition) {
  switch (condition) {
    case SubscriptionCondition::kLeasesFull:
      return hookgate::v1::SUBSCRIPTION_CONDITION_LEASES_FULL;
    case SubscriptionCondition::kUnsettledFull:
      return hookgate::v1::SUBSCRIPTION_CONDITION_UNSETTLED_FULL;
    case SubscriptionCondition::kDeadLettersFull:
      return hookgate::v1::SUBSCRIPTION_CONDITION_DEAD_LETTERS_FULL;
    case SubscriptionCondition::kFilterAdmitsNone:
      return hookgate::v1::SUBSCRIPTION_CONDITION_FILTER_ADMITS_NONE;
    case SubscriptionCondition::kPaused:
      return hookgate::v1::SUBSCRIPTION_CONDITION_PAUSED;
  }
  return hookgate::v1::SUBSCRIPTION_CONDITION_UNSPECIFIED;
}

// Whatever the numbers: SubscriptionState moves it into its range.
absl::Duration Saturating(const google::protobuf::Duration& proto) {
  return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

}  // namespace

absl::Status CheckLengths(const hookgate::v1::AcknowledgeRequest& request) {
  for (const auto& [list, size] : {std::pair("ack.delivery_ids", request.ack().delivery_ids_size()),
                                   std::pair("nack.items", request.nack().items_size()),
                                   std::pair("extend.items", request.extend().items_size())}) {
    if (size <= kMaxItems) continue;
    return InvalidField(list, absl::StrCat("has ", size, " entries; send at most ", kMaxItems,
                                           " in one call. The whole call was refused"));
  }
  return absl::OkStatus();
}

void AppendItems(const hookgate::v1::Ack& ack, const DeliveryIds& ids, AckItems& out) {
  for (int i = 0; i < ack.delivery_ids_size(); ++i) {
    out.ids.push_back(ack.delivery_ids(i));
    out.items.push_back({.kind = AckItem::Kind::kAck, .id = IdOf(ack.delivery_ids(i), i, ids)});
  }
}

void AppendItems(const hookgate::v1::Nack& nack, const DeliveryIds& ids, AckItems& out) {
  for (int i = 0; i < nack.items_size(); ++i) {
    const hookgate::v1::Nack::Item& item = nack.items(i);
    AckItem& added = out.items.emplace_back();
    added.kind = AckItem::Kind::kNack;
    added.id = IdOf(item.delivery_id(), i, ids);
    added.nack.reason = item.reason();
    if (item.has_delay()) added.nack.delay = Saturating(item.delay());
    added.nack.dead_letter = item.dead_letter();
    out.ids.push_back(item.delivery_id());
  }
}

void AppendItems(const hookgate::v1::Extend& extend, const DeliveryIds& ids, AckItems& out) {
  for (int i = 0; i < extend.items_size(); ++i) {
    const hookgate::v1::Extend::Item& item = extend.items(i);
    AckItem& added = out.items.emplace_back();
    added.kind = AckItem::Kind::kExtend;
    added.id = IdOf(item.delivery_id(), i, ids);
    if (item.has_deadline()) added.deadline = Saturating(item.deadline());
    out.ids.push_back(item.delivery_id());
  }
}

AckResult ToProto(std::string id, AckOutcome outcome) {
  AckResult result;
  result.set_delivery_id(std::move(id));
  switch (outcome) {
    case AckOutcome::kOk:
      result.set_result(AckResult::RESULT_OK);
      break;
    case AckOutcome::kAlready:
      result.set_result(AckResult::RESULT_ALREADY);
      break;
    case AckOutcome::kLeaseLost:
      result.set_result(AckResult::RESULT_LEASE_LOST);
      break;
    case AckOutcome::kUnknown:
      result.set_result(AckResult::RESULT_UNKNOWN);
      break;
  }
  return result;
}

hookgate::v1::Backlog ToProto(const Backlog& backlog) {
  hookgate::v1::Backlog proto;
  proto.set_events(backlog.events);
  if (backlog.oldest_unacked_age.has_value()) {
    *proto.mutable_oldest_unacked_age() = ToProto(*backlog.oldest_unacked_age);
  }
  proto.set_lost_events(backlog.lost);
  proto.set_lost_unread_events(backlog.lost_unread);
  return proto;
}

void AddConditions(const std::vector<SubscriptionCondition>& conditions,
                   google::protobuf::RepeatedField<int>& out) {
  for (const SubscriptionCondition condition : conditions) out.Add(ToProto(condition));
}

hookgate::v1::Subscription Describe(Subscription& subscription) {
  const SubscriptionStatus status = subscription.GetStatus();
  hookgate::v1::Subscription proto;
  proto.set_name(subscription.name());
  *proto.mutable_settings() = status.settings;
  *proto.mutable_create_time() = ToProto(subscription.create_time());
  proto.set_position_cursor(FormatCursor(subscription.history(), status.position));
  *proto.mutable_backlog() = ToProto(subscription.ReadBacklog());
  proto.set_in_flight(status.in_flight);
  proto.set_awaiting_redelivery(status.awaiting_redelivery);
  proto.set_dead_letters(status.dead_letters);
  AddConditions(status.conditions, *proto.mutable_conditions());
  proto.set_passed_events(status.passed);
  proto.set_admitted_events(status.admitted);
  if (status.pause_time.has_value()) *proto.mutable_pause_time() = ToProto(*status.pause_time);
  proto.set_etag(status.etag);
  for (const ConsumerStatus& consumer : status.consumers) {
    *proto.add_consumers() = DescribeConsumer(consumer);
  }
  return proto;
}

hookgate::v1::DeadLetter ToProto(const DeadEvent& dead) {
  hookgate::v1::DeadLetter proto;
  proto.set_sequence(dead.sequence);
  proto.set_cause(CauseOf(dead.cause));
  proto.set_nack_reason(dead.nack_reason.value_or(""));
  proto.set_attempts(dead.attempts);
  proto.set_lost_deliveries(dead.lost);
  *proto.mutable_first_delivery_time() = ToProto(dead.first_delivery_time);
  *proto.mutable_last_delivery_time() = ToProto(dead.last_delivery_time);
  *proto.mutable_dead_letter_time() = ToProto(dead.dead_letter_time);
  return proto;
}

}  // namespace hookgate
