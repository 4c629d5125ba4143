#include "server/rpc/explain_queries.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "server/delivery/event_encoding.h"
#include "server/delivery/subscription_settings.h"
#include "server/rpc/delivery_messages.h"
#include "server/rpc/get_without_body.h"

namespace hookgate {
namespace {

using google::protobuf::RepeatedPtrField;
using hookgate::v1::Absence;
using hookgate::v1::ExplainEventRequest;
using hookgate::v1::OtherEvent;
using hookgate::v1::SubscriptionDelivery;

constexpr int kMaxSubscriptions = 1000;
// Of each, the filters that it ever had may be read: up to 1 MiB.
constexpr size_t kExplainedAtOnce = 16;
constexpr size_t kMaxEvents = 20;  // of one text, with the one that is explained
constexpr int kMaxQuarantined = 100;
constexpr int kMaxRefused = 10;
constexpr size_t kMaxRefusedLookedAt = 100;  // of all sources
constexpr int kMaxSources = 1000;
// Of all deliveries: a gRPC client takes 4 MiB by default. Attempts may fill half of it, so that
// they take no other subscription's place.
constexpr size_t kMaxBytes = 1 << 20;
constexpr size_t kMaxBytesWithAttempts = kMaxBytes / 2;

absl::Status CheckRequest(const ExplainEventRequest& request) {
  if (request.subscriptions_size() > kMaxSubscriptions) {
    return InvalidField("subscriptions",
                        absl::StrCat("has ", request.subscriptions_size(), " entries; at most ",
                                     kMaxSubscriptions, " are allowed"));
  }
  for (int i = 0; i < request.subscriptions_size(); ++i) {
    RETURN_IF_ERROR(
        CheckSubscriptionName(request.subscriptions(i), absl::StrCat("subscriptions[", i, "]")));
  }
  switch (request.key_case()) {
    case ExplainEventRequest::kSequence:
      if (request.sequence() > 0) return absl::OkStatus();
      return InvalidField("sequence", "is not above 0: the first event has sequence 1");
    case ExplainEventRequest::kWebhook:
      if (request.webhook().source().empty()) return InvalidField("webhook.source", "is empty");
      if (!request.webhook().webhook_id().empty()) return absl::OkStatus();
      return InvalidField("webhook.webhook_id", "is empty");
    case ExplainEventRequest::kText:
      if (!request.text().empty()) return absl::OkStatus();
      return InvalidField("text", "is empty");
    case ExplainEventRequest::KEY_NOT_SET:
      break;
  }
  return InvalidField("key", "is missing: set sequence, webhook or text");
}

OtherEvent ToOtherEvent(const StoredEvent& event) {
  OtherEvent other;
  other.set_sequence(event.sequence);
  other.set_source(event.source);
  other.set_webhook_id(event.webhook_id);
  other.set_type(event.type);
  other.set_subject(event.subject);
  *other.mutable_receive_time() = ToProto(event.receive_time);
  return other;
}

Absence::Quarantined ToQuarantined(const QuarantineEntry& entry) {
  Absence::Quarantined quarantined;
  quarantined.set_id(entry.id);
  quarantined.set_source(entry.webhook.source);
  quarantined.set_webhook_id(entry.webhook.webhook_id);
  quarantined.set_reason(entry.webhook.reason);
  quarantined.set_detail(entry.webhook.detail);
  *quarantined.mutable_first_receive_time() = ToProto(entry.webhook.receive_time);
  *quarantined.mutable_last_receive_time() = ToProto(entry.last_receive_time);
  quarantined.set_receive_count(entry.receive_count);
  return quarantined;
}

Absence::Refused ToRefused(const RefusedRequest& request) {
  Absence::Refused refused;
  refused.set_source(request.source);
  refused.set_code(request.code);
  refused.set_detail(request.detail);
  refused.set_client_address(request.client);
  *refused.mutable_first_time() = ToProto(request.first_time);
  *refused.mutable_last_time() = ToProto(request.last_time);
  refused.set_count(request.count);
  return refused;
}

// The webhook-id that the request may mean; "": it names a sequence.
const std::string& WebhookIdIn(const ExplainEventRequest& request) {
  return request.has_webhook() ? request.webhook().webhook_id() : request.text();
}

}  // namespace

absl::Status ExplainQueries::Explain(const Request& request, const ExplainView& view,
                                     Response& response) const {
  RETURN_IF_ERROR(CheckRequest(request));
  ASSIGN_OR_RETURN(const StoredEventPtr event, Find(request, view, response));
  if (event == nullptr) {
    RETURN_IF_ERROR(DescribeAbsence(request, view, response));
    if (response.absence().cause() != Absence::CAUSE_REMOVED) return absl::OkStatus();
    return DescribeDeliveries(request, view, request.sequence(), nullptr, response);
  }
  *response.mutable_event() = ToProto(*event, context_.log.history(), request.include_raw_body());
  RETURN_IF_ERROR(DescribeArrival(*event, view.is_admin, response));
  return DescribeDeliveries(request, view, event->sequence, event.get(), response);
}

absl::StatusOr<StoredEventPtr> ExplainQueries::Find(const Request& request, const ExplainView& view,
                                                    Response& response) const {
  if (request.has_text()) return FindByText(request, view, response);
  StoredEventPtr event;
  if (request.has_webhook()) {
    absl::StatusOr<StoredEventPtr> found =
        context_.log.Find(request.webhook().source(), request.webhook().webhook_id());
    if (absl::IsNotFound(found.status())) return StoredEventPtr();
    RETURN_IF_ERROR(found.status());
    event = *std::move(found);
  } else {
    ASSIGN_OR_RETURN(event, Get(request.sequence(), request.include_raw_body()));
  }
  return event != nullptr && view.may_query(event->source) ? event : StoredEventPtr();
}

absl::StatusOr<StoredEventPtr> ExplainQueries::Get(Sequence sequence, bool include_raw_body) const {
  if (!include_raw_body) return GetWithoutBody(context_.log, sequence);
  absl::StatusOr<StoredEventPtr> event = context_.log.Get(sequence);
  if (absl::IsNotFound(event.status())) return StoredEventPtr();
  return event;
}

absl::StatusOr<StoredEventPtr> ExplainQueries::FindByText(const Request& request,
                                                          const ExplainView& view,
                                                          Response& response) const {
  std::vector<std::string> sources;
  for (LastWebhook& source : Sources()) sources.push_back(std::move(source.source));
  ASSIGN_OR_RETURN(
      const FoundEvents found,
      context_.lookups.FindByText(request.text(), sources, kMaxEvents, view.may_query));
  StoredEventPtr newest;
  for (const StoredEventPtr& event : found.events) {
    if (newest != nullptr) {
      *response.add_other_events() = ToOtherEvent(*event);
      continue;
    }
    // Whole; retention may have removed it since it was found.
    ASSIGN_OR_RETURN(newest, Get(event->sequence, request.include_raw_body()));
    if (newest == nullptr) break;
  }
  response.set_more_other_events(newest != nullptr && found.more);
  return newest;
}

absl::Status ExplainQueries::DescribeArrival(const StoredEvent& event, bool is_admin,
                                             Response& response) const {
  const absl::StatusOr<Arrival> known = context_.lookups.GetArrival(event.sequence);
  if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  hookgate::v1::Arrival& arrival = *response.mutable_arrival();
  *arrival.mutable_first_time() = ToProto(event.receive_time);
  const auto signed_at = FromProto(response.event().webhook_time(), "webhook_time");
  if (signed_at.ok()) *arrival.mutable_skew() = ToProto(event.receive_time - *signed_at);
  if (!known.ok()) return absl::OkStatus();  // Retention has just removed it.
  const RepeatCount& repeats = known->repeats;
  arrival.set_duplicates(repeats.duplicates);
  arrival.set_conflicts(repeats.conflicts);
  if (repeats.duplicates + repeats.conflicts > 0) {
    *arrival.mutable_last_repeat_time() = ToProto(repeats.last);
  }
  if (!is_admin) return absl::OkStatus();
  for (const std::string& name : known->secrets) arrival.add_secrets(name);
  AddRefused(event.webhook_id, event.source, *arrival.mutable_refused());
  return AddQuarantined(event.webhook_id, {event.source}, *arrival.mutable_quarantined());
}

absl::Status ExplainQueries::DescribeDeliveries(const Request& request, const ExplainView& view,
                                                Sequence sequence, const StoredEvent* event,
                                                Response& response) const {
  std::vector<std::shared_ptr<Subscription>> asked_for;
  RETURN_IF_ERROR(context_.subscriptions.CheckDecides());
  if (request.subscriptions().empty()) {
    asked_for = context_.subscriptions.List("", std::numeric_limits<size_t>::max());
  }
  std::set<absl::string_view> names;
  for (const std::string& name : request.subscriptions()) {
    if (!names.insert(name).second) continue;
    if (!view.may_look_at(name)) {
      response.set_hidden_subscriptions(response.hidden_subscriptions() + 1);
      continue;
    }
    ASSIGN_OR_RETURN(std::shared_ptr<Subscription> subscription, context_.subscriptions.Find(name));
    asked_for.push_back(std::move(subscription));
  }
  std::vector<std::shared_ptr<Subscription>> visible;
  for (std::shared_ptr<Subscription>& subscription : asked_for) {
    if (view.may_look_at(subscription->name())) {
      visible.push_back(std::move(subscription));
    } else {
      response.set_hidden_subscriptions(response.hidden_subscriptions() + 1);
    }
  }
  size_t bytes = 0;
  std::vector<DeliveryExplanation> explanations;
  for (size_t i = 0; i < visible.size(); ++i) {
    if (i % kExplainedAtOnce == 0) {
      const size_t end = std::min(i + kExplainedAtOnce, visible.size());
      ASSIGN_OR_RETURN(explanations, context_.subscriptions.Explain(
                                         sequence, event,
                                         {visible.begin() + static_cast<std::ptrdiff_t>(i),
                                          visible.begin() + static_cast<std::ptrdiff_t>(end)}));
    }
    SubscriptionDelivery delivery;
    delivery.set_subscription(visible[i]->name());
    *delivery.mutable_delivery() = ToProto(explanations[i % kExplainedAtOnce]);
    if (const absl::optional<absl::Time> paused = visible[i]->pause_time(); paused.has_value()) {
      *delivery.mutable_pause_time() = ToProto(*paused);
    }
    if (bytes + delivery.ByteSizeLong() > kMaxBytesWithAttempts) {
      delivery.mutable_delivery()->clear_attempts();
    }
    if (bytes + delivery.ByteSizeLong() > kMaxBytes) {
      response.set_omitted_subscriptions(response.omitted_subscriptions() + 1);
      continue;
    }
    bytes += delivery.ByteSizeLong();
    *response.add_deliveries() = std::move(delivery);
  }
  return absl::OkStatus();
}

absl::Status ExplainQueries::DescribeAbsence(const Request& request, const ExplainView& view,
                                             Response& response) const {
  Absence& absence = *response.mutable_absence();
  const EventLogPosition position = context_.log.Position();
  absence.set_cause(Absence::CAUSE_NEVER_SEEN);
  absence.set_earliest_sequence(position.earliest);
  absence.set_head_sequence(position.head);
  const absl::StatusOr<EventPage> oldest =
      context_.log.Read(position.earliest - 1, [](const StoredEvent&) { return true; },
                        {.max_events = 1, .max_scanned = 1});
  // Out of range: retention has just removed it.
  if (!oldest.ok() && !absl::IsOutOfRange(oldest.status())) return oldest.status();
  if (oldest.ok() && !oldest->events.empty()) {
    *absence.mutable_earliest_receive_time() = ToProto(oldest->events[0]->receive_time);
  }
  if (request.has_sequence()) {
    if (request.sequence() < position.earliest) absence.set_cause(Absence::CAUSE_REMOVED);
    if (request.sequence() > position.head) absence.set_cause(Absence::CAUSE_NOT_YET);
    return absl::OkStatus();
  }
  for (const LastWebhook& source : Sources()) {
    if (request.has_webhook() && source.source != request.webhook().source()) continue;
    if (!view.may_query(source.source)) continue;
    if (absence.sources_size() == kMaxSources) break;
    Absence::LastWebhook& last = *absence.add_sources();
    last.set_source(source.source);
    if (source.time.has_value()) *last.mutable_time() = ToProto(*source.time);
  }
  absence.set_admin_only(!view.is_admin);
  if (!view.is_admin) return absl::OkStatus();
  const std::string source = request.has_webhook() ? request.webhook().source() : "";
  AddRefused(WebhookIdIn(request), source, *absence.mutable_refused());
  if (!absence.refused().empty()) absence.set_cause(Absence::CAUSE_REFUSED);
  std::vector<std::string> sources;
  if (request.has_webhook()) {
    sources.push_back(source);
  } else {
    for (LastWebhook& each : Sources()) sources.push_back(std::move(each.source));
  }
  RETURN_IF_ERROR(AddQuarantined(WebhookIdIn(request), sources, *absence.mutable_quarantined()));
  if (!absence.quarantined().empty()) absence.set_cause(Absence::CAUSE_QUARANTINED);
  return absl::OkStatus();
}

absl::Status ExplainQueries::AddQuarantined(const std::string& webhook_id,
                                            const std::vector<std::string>& sources,
                                            RepeatedPtrField<Absence::Quarantined>& found) const {
  for (const std::string& source : sources) {
    if (found.size() == kMaxQuarantined) break;
    ASSIGN_OR_RETURN(
        const std::vector<QuarantineEntry> entries,
        context_.quarantine.FindQuarantined(source, webhook_id, kMaxQuarantined - found.size()));
    for (const QuarantineEntry& entry : entries) *found.Add() = ToQuarantined(entry);
  }
  return absl::OkStatus();
}

// One whose path names no source may have been meant for any.
void ExplainQueries::AddRefused(const std::string& webhook_id, const std::string& source,
                                RepeatedPtrField<Absence::Refused>& found) const {
  for (const RefusedRequestPtr& refused :
       context_.refused.FindById(webhook_id, kMaxRefusedLookedAt)) {
    if (found.size() == kMaxRefused) break;
    if (!source.empty() && !refused->source.empty() && refused->source != source) continue;
    *found.Add() = ToRefused(*refused);
  }
}

std::vector<LastWebhook> ExplainQueries::Sources() const {
  return context_.sources ? context_.sources() : std::vector<LastWebhook>();
}

}  // namespace hookgate
