#include "client/cli/commands/deliveries_command.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/message_json.h"
#include "client/cli/reader.h"
#include "hookgate/v1/event_delivery.pb.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "deliveries";

struct StateName {
  v1::DeliveryState state;
  const char* flag;  // The value of --state.
  Look look;
};
constexpr StateName kStates[] = {{v1::DELIVERY_STATE_LEASED, "leased", Look::kPlain},
                                 {v1::DELIVERY_STATE_WAITING, "waiting", Look::kPlain},
                                 {v1::DELIVERY_STATE_ACKED, "acked", Look::kPlain},
                                 {v1::DELIVERY_STATE_DEAD_LETTERED, "dead", Look::kBad},
                                 {v1::DELIVERY_STATE_DISCARDED, "discarded", Look::kPlain},
                                 {v1::DELIVERY_STATE_SKIPPED, "skipped", Look::kPlain},
                                 {v1::DELIVERY_STATE_LOST, "lost", Look::kBad}};

std::vector<std::string> StateFlags() {
  std::vector<std::string> flags;
  for (const StateName& state : kStates) flags.push_back(state.flag);
  return flags;
}

Table::Cell StateCell(v1::DeliveryState state) {
  for (const StateName& name : kStates) {
    if (name.state == state) return {name.flag, name.look};
  }
  return {v1::DeliveryState_Name(state)};
}

// Of 2 deliveries or more, their number as well: "3 of 5".
std::string AttemptText(const v1::EventDelivery& delivery) {
  if (delivery.attempt() == 0) return "-";
  if (delivery.delivery_count() <= delivery.attempt()) return absl::StrCat(delivery.attempt());
  return absl::StrCat(delivery.attempt(), " of ", delivery.delivery_count());
}

ListedItems::Item ItemOf(const v1::ListedDelivery& listed, const Reader& reader) {
  const v1::EventDelivery& delivery = listed.delivery();
  return {{{absl::StrCat(listed.sequence())},
           StateCell(delivery.state()),
           {When(delivery.has_state_time(), delivery.state_time(), reader).age, Look::kFaint},
           {delivery.consumer().empty() ? "-" : delivery.consumer()},
           {AttemptText(delivery)},
           {When(delivery.has_until_time(), delivery.until_time(), reader).age, Look::kFaint},
           {listed.has_receive_time() ? listed.type() : "(removed by retention)"},
           {listed.subject()},
           {delivery.reason()}},
          MessageJson(listed)};
}

v1::ListDeliveriesRequest RequestOf(const Flags& flags) {
  v1::ListDeliveriesRequest request;
  request.set_subscription(flags.arguments()[0]);
  for (const std::string& wanted : flags.List("state")) {
    for (const StateName& name : kStates) {
      if (name.flag == wanted) request.add_states(name.state);
    }
  }
  if (flags.Has("reason")) request.set_reason_contains(flags.Text("reason"));
  if (flags.Has("consumer")) request.set_consumer(flags.Text("consumer"));
  request.set_order(flags.Text("order") == "oldest" ? v1::ORDER_OLDEST_FIRST
                                                    : v1::ORDER_NEWEST_FIRST);
  return request;
}

// Why events that wait may not come when their time has come. Nothing if it cannot be asked: the
// list is what was wanted.
std::string PauseRemark(GatewayClient& gateway, const Flags& flags, const Reader& reader) {
  v1::GetSubscriptionRequest request;
  request.set_name(flags.arguments()[0]);
  v1::GetSubscriptionResponse response;
  const GatewayError error =
      gateway.Try(&v1::SubscriptionService::StubInterface::GetSubscription, request, response);
  const v1::Subscription& subscription = response.subscription();
  if (!error.status.ok() || !subscription.has_pause_time()) return "";
  const WhenText since = When(true, subscription.pause_time(), reader);
  return absl::StrCat("Paused since ", since.local, " (", since.age,
                      "): nothing is handed out until `hookgate subscriptions resume ",
                      subscription.name(), "`.\n");
}

int Run(const Flags& flags, Environment& environment) {
  const Reader reader = ReaderOf(flags, environment);
  return RunPagedListing(
      {.command = kName,
       .singular = "delivered event",
       .plural = "delivered events",
       .none = "There are no such events.",
       .columns = {{"SEQUENCE", true},
                   {"STATE"},
                   {"SINCE"},
                   {"CONSUMER"},
                   {"ATTEMPT", true},
                   {"UNTIL"},
                   {"TYPE"},
                   {"SUBJECT"},
                   {"REASON"}},
       .fetch = FetchBy(&v1::SubscriptionService::StubInterface::ListDeliveries, RequestOf(flags),
                        &v1::ListDeliveriesResponse::deliveries, ItemOf, reader),
       .remark = [&](GatewayClient& gateway) { return PauseRemark(gateway, flags, reader); }},
      flags, environment);
}

}  // namespace

Command DeliveriesCommand() {
  return {
      .name = kName,
      .summary = "List what became of a subscription's events",
      .description =
          "Lists the events that a durable subscription has delivered, newest first: where each "
          "is now and since when, which consumer has it or had it last, at which attempt, until "
          "when it is leased or waits, and the reason of its last nack. Events that are settled "
          "are listed for as long as the gateway remembers them (storage.history). Events that "
          "were never delivered to it, since its filter did not admit them or it has not reached "
          "them, are not listed.",
      .arguments = {.usage = "SUBSCRIPTION", .least = 1, .most = 1, .flag_of_stray = "state"},
      .flags = Join({{{.name = "state",
                       .kind = FlagKind::kChoice,
                       .help = "Only events in this state; give it several times for any of "
                               "several.",
                       .repeated = true,
                       .choices = StateFlags()},
                      {.name = "reason",
                       .value = "TEXT",
                       .help = "Only events whose last nack has this text in its reason."},
                      {.name = "consumer",
                       .value = "NAME",
                       .help = "Only events that this consumer has, or had last."},
                      {.name = "order",
                       .kind = FlagKind::kChoice,
                       .help = "The order, by sequence.",
                       .default_value = "newest",
                       .choices = {"newest", "oldest"}}},
                     PagedListingFlags()}),
      .examples = {{"hookgate deliveries billing --state waiting",
                    "What failed, when is it delivered again, and why?"},
                   {"hookgate deliveries billing --reason 'no route' --all",
                    "Everything that was nacked for one reason."},
                   {"hookgate deliveries billing --state leased --consumer worker-7",
                    "What does one consumer hold now?"}},
      .exits = ListingExits(),
      .run = Run};
}

}  // namespace hookgate::cli
