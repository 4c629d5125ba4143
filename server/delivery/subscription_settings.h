// What can be set about a durable subscription, checked and with its defaults filled in.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_SETTINGS_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_SETTINGS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/delivery/event_filter.h"
#include "server/delivery/subscription_state.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

struct SubscriptionSettings {
  EventFilter filter;
  DeliveryPolicy policy;
  hookgate::v1::SubscriptionSettings effective;  // the same, every field present

  // Errors: InvalidField, with paths below `field`.
  static absl::StatusOr<SubscriptionSettings> FromProto(
      const hookgate::v1::SubscriptionSettings& proto, absl::string_view field);
};

// Lower-case letters, digits, '-', '_' and '.'; 1 to 100 bytes. Errors: InvalidField.
absl::Status CheckSubscriptionName(absl::string_view name, absl::string_view field);
// The same, of a subscription that is to be made: it also begins with a letter or a digit, since
// programs take "-x" for a flag and ".." for a folder. There may be older ones that do not.
absl::Status CheckNewSubscriptionName(absl::string_view name, absl::string_view field);

// 1 to 200 bytes of printable UTF-8. Errors: InvalidField.
absl::Status CheckConsumerName(absl::string_view name, absl::string_view field);

// Where a new subscription, or one that is seeked, stands: after this event. Reads the log if it
// begins at a time. Errors: InvalidField below `field`, and those of ResolveCursor.
absl::StatusOr<Sequence> ResolveStart(const hookgate::v1::SubscriptionStart& start,
                                      absl::string_view field, EventLog& log);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_SETTINGS_H_
