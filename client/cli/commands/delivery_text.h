// Where an event is in a subscription, in words. Pure. All that came from elsewhere is as received:
// make it Printable.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_DELIVERY_TEXT_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_DELIVERY_TEXT_H_

#include <string>

#include "client/cli/reader.h"
#include "client/cli/style.h"
#include "client/cli/table.h"
#include "hookgate/v1/event_delivery.pb.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate::cli {

// "acked", "dead", "not reached". What the subscription has not come to, but its filter does not
// admit, is "filtered".
std::string StateText(const v1::EventDelivery& delivery);
Look LookOfState(const v1::EventDelivery& delivery);

// "nacked", "deadline passed"; "" for a delivery that has not ended.
std::string EndText(v1::DeliveryEnd end);

// Why it is in that state, in a few words; "" if the state says all.
std::string WhyText(const v1::EventDelivery& delivery, const Reader& reader);

// Whether the event waits for the subscription to be resumed.
bool IsHeldByPause(const v1::SubscriptionDelivery& delivery);
// The same as above, of a subscription that may be paused.
std::string StateText(const v1::SubscriptionDelivery& delivery);
std::string WhyText(const v1::SubscriptionDelivery& delivery, const Reader& reader);

// Its attempts as rows; REQUIRES: there are any.
Table AttemptsTable(const v1::EventDelivery& delivery, const Reader& reader);

// What an event needs of a subscription.
enum class Handling {
  kNotItsJob,   // its filter does not admit it, or it begins later
  kHandled,     // acked or discarded
  kForgotten,   // any of the above, longer ago than is remembered
  kNotHandled,  // everything else
};
Handling HandlingOf(const v1::EventDelivery& delivery);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_DELIVERY_TEXT_H_
