#include "client/cli/commands/subscriptions_show_command.h"

#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/subscription_call.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "subscriptions show";

int Run(const Flags& flags, Environment& environment) {
  v1::GetSubscriptionRequest request;
  request.set_name(flags.arguments()[0]);
  GatewayClient gateway(flags, environment);
  return RunSubscriptionCall(&v1::SubscriptionService::StubInterface::GetSubscription, request,
                             "show", gateway);
}

}  // namespace

Command SubscriptionsShowCommand() {
  return {.name = kName,
          .summary = "Show one: how far behind it is, and its consumers",
          .description =
              "Shows a durable subscription: its settings, how far behind it is, what is in "
              "flight or waits for redelivery, its dead letters, what retention took before it was "
              "acked, and each consumer with what it holds and when it acked last.",
          .arguments = {.usage = "NAME", .least = 1, .most = 1},
          .flags = CallFlags("How long the call may take."),
          .examples = {{"hookgate subscriptions show billing",
                        "Is it keeping up? Which consumers does it have?"},
                       {"hookgate subscriptions show billing --output json | jq -r .backlog.events",
                        "One number, for a script."}},
          .exits = SubscriptionExits("It was printed."),
          .run = Run};
}

}  // namespace hookgate::cli
