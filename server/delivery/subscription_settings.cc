#include "server/delivery/subscription_settings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/duration.pb.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "server/delivery/start_position.h"

namespace hookgate {
namespace {

constexpr size_t kMaxNameBytes = 100;
constexpr size_t kMaxConsumerNameBytes = 200;
constexpr int kLeastAttempts = 1;
constexpr int kMostAttempts = 1000;  // and lost deliveries
constexpr absl::Duration kMinBackoff = absl::Milliseconds(100);

using hookgate::v1::SubscriptionStart;

std::string Below(absl::string_view field, absl::string_view name) {
  return absl::StrCat(field, ".", name);
}

absl::StatusOr<absl::Duration> DurationWithin(const google::protobuf::Duration& proto,
                                              const std::string& field, absl::Duration least,
                                              absl::Duration most) {
  ASSIGN_OR_RETURN(const absl::Duration duration, FromProto(proto, field));
  if (duration < least || duration > most) {
    return InvalidField(
        field, absl::StrCat("is ", absl::FormatDuration(duration), "; it must be from ",
                            absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
  }
  return duration;
}

// What is absent keeps its default.
absl::StatusOr<DeliveryPolicy> PolicyOf(const hookgate::v1::SubscriptionSettings& proto,
                                        absl::string_view field) {
  DeliveryPolicy policy;
  constexpr absl::Duration kMost = SubscriptionState::kMaxDelay;
  if (proto.has_ack_deadline()) {
    ASSIGN_OR_RETURN(policy.ack_deadline,
                     DurationWithin(proto.ack_deadline(), Below(field, "ack_deadline"),
                                    SubscriptionState::kMinLease, kMost));
  }
  if (proto.has_max_attempts()) {
    policy.max_attempts = proto.max_attempts();
    if (policy.max_attempts < kLeastAttempts || policy.max_attempts > kMostAttempts) {
      return InvalidField(Below(field, "max_attempts"),
                          absl::StrCat("is ", policy.max_attempts, "; it must be from ",
                                       kLeastAttempts, " to ", kMostAttempts));
    }
  }
  if (proto.has_max_lost_deliveries()) {
    policy.max_lost_deliveries = proto.max_lost_deliveries();
    if (policy.max_lost_deliveries < kLeastAttempts || policy.max_lost_deliveries > kMostAttempts) {
      return InvalidField(Below(field, "max_lost_deliveries"),
                          absl::StrCat("is ", policy.max_lost_deliveries, "; it must be from ",
                                       kLeastAttempts, " to ", kMostAttempts));
    }
  }
  if (proto.has_minimum_backoff()) {
    ASSIGN_OR_RETURN(policy.minimum_backoff,
                     DurationWithin(proto.minimum_backoff(), Below(field, "minimum_backoff"),
                                    kMinBackoff, kMost));
    // Only one of the two given: the other follows, rather than contradict it.
    policy.maximum_backoff = std::max(policy.maximum_backoff, policy.minimum_backoff);
  }
  if (proto.has_maximum_backoff()) {
    ASSIGN_OR_RETURN(policy.maximum_backoff,
                     DurationWithin(proto.maximum_backoff(), Below(field, "maximum_backoff"),
                                    kMinBackoff, kMost));
    if (!proto.has_minimum_backoff()) {
      policy.minimum_backoff = std::min(policy.minimum_backoff, policy.maximum_backoff);
    }
  }
  if (policy.minimum_backoff > policy.maximum_backoff) {
    return InvalidField(Below(field, "minimum_backoff"),
                        absl::StrCat("is ", absl::FormatDuration(policy.minimum_backoff),
                                     ", more than maximum_backoff, ",
                                     absl::FormatDuration(policy.maximum_backoff)));
  }
  return policy;
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

}  // namespace

absl::StatusOr<SubscriptionSettings> SubscriptionSettings::FromProto(
    const hookgate::v1::SubscriptionSettings& proto, absl::string_view field) {
  SubscriptionSettings settings;
  ASSIGN_OR_RETURN(settings.filter, EventFilter::Create(proto.filter(), Below(field, "filter")));
  ASSIGN_OR_RETURN(settings.policy, PolicyOf(proto, field));
  settings.effective = proto;
  settings.effective.mutable_filter();
  settings.effective.set_max_attempts(settings.policy.max_attempts);
  settings.effective.set_max_lost_deliveries(settings.policy.max_lost_deliveries);
  *settings.effective.mutable_ack_deadline() = ToProto(settings.policy.ack_deadline);
  *settings.effective.mutable_minimum_backoff() = ToProto(settings.policy.minimum_backoff);
  *settings.effective.mutable_maximum_backoff() = ToProto(settings.policy.maximum_backoff);
  return settings;
}

absl::Status CheckSubscriptionName(absl::string_view name, absl::string_view field) {
  if (name.empty()) return InvalidField(field, "is empty; name the subscription");
  if (name.size() > kMaxNameBytes) {
    return InvalidField(field, absl::StrCat("is longer than ", kMaxNameBytes, " bytes"));
  }
  if (!std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return InvalidField(field,
                        "has other characters than lower-case letters, digits, '-', '_' and '.'");
  }
  return absl::OkStatus();
}

absl::Status CheckNewSubscriptionName(absl::string_view name, absl::string_view field) {
  RETURN_IF_ERROR(CheckSubscriptionName(name, field));
  if (absl::ascii_isalnum(static_cast<unsigned char>(name[0]))) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("begins with '", name.substr(0, 1),
                                          "'; begin it with a letter or a digit"));
}

absl::Status CheckConsumerName(absl::string_view name, absl::string_view field) {
  if (name.empty()) {
    return InvalidField(field, "is empty; give the consumer a name, such as its host's");
  }
  if (name.size() > kMaxConsumerNameBytes) {
    return InvalidField(field, absl::StrCat("is longer than ", kMaxConsumerNameBytes, " bytes"));
  }
  // Protobuf has checked that it is UTF-8.
  const bool printable = std::none_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
  return printable ? absl::OkStatus() : InvalidField(field, "has control characters");
}

absl::StatusOr<Sequence> ResolveStart(const SubscriptionStart& start, absl::string_view field,
                                      EventLog& log) {
  switch (start.start_case()) {
    case SubscriptionStart::kAfterCursor:
      return ResolveCursor(start.after_cursor(), Below(field, "after_cursor"), log);
    case SubscriptionStart::kStartTime:
      return StartAtTime(start.start_time(), Below(field, "start_time"), log);
    case SubscriptionStart::kStartPosition:
      return StartAtPosition(start.start_position(), Below(field, "start_position"), log);
    case SubscriptionStart::START_NOT_SET:
      break;
  }
  return InvalidField(field, "is missing: set after_cursor, start_time or start_position");
}

}  // namespace hookgate
