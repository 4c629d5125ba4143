#include "client/cli/commands/subscriptions_pause_command.h"

#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/subscription_call.h"
#include "client/cli/commands/subscription_flags.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kPause[] = "subscriptions pause";
constexpr char kResume[] = "subscriptions resume";

int RunPause(const Flags& flags, Environment& environment) {
  GatewayClient gateway(flags, environment);
  return RunSubscriptionCall(&v1::SubscriptionService::StubInterface::PauseSubscription,
                             ChangeRequest<v1::PauseSubscriptionRequest>(flags), "pause", gateway);
}

int RunResume(const Flags& flags, Environment& environment) {
  GatewayClient gateway(flags, environment);
  return RunSubscriptionCall(&v1::SubscriptionService::StubInterface::ResumeSubscription,
                             ChangeRequest<v1::ResumeSubscriptionRequest>(flags), "resume",
                             gateway);
}

std::vector<FlagSpec> ChangeFlags() {
  return Join({{EtagFlag()}, CallFlags("How long the call may take.")});
}

}  // namespace

Command SubscriptionsPauseCommand() {
  return {.name = kPause,
          .summary = "Hand out nothing until it is resumed",
          .description =
              "Pauses a durable subscription: once this command has ended, its consumers are given "
              "nothing more. They stay connected, what they hold they can still ack, and the "
              "backlog grows. The pause outlives a restart of the gateway. Retention still removes "
              "events that are older than storage.max_unsettled_age.",
          .arguments = {.usage = "NAME", .least = 1, .most = 1},
          .flags = ChangeFlags(),
          .examples = {{"hookgate subscriptions pause billing",
                        "While the service behind it is being mended."}},
          .exits = SubscriptionExits("It is paused."),
          .run = RunPause};
}

Command SubscriptionsResumeCommand() {
  return {.name = kResume,
          .summary = "Hand out again what a pause held back",
          .description =
              "Ends the pause of a durable subscription: its consumers get the events of the time "
              "between, "
              "the oldest first.",
          .arguments = {.usage = "NAME", .least = 1, .most = 1},
          .flags = ChangeFlags(),
          .examples = {{"hookgate subscriptions resume billing", "The service is back."}},
          .exits = SubscriptionExits("It is not paused (any more)."),
          .run = RunResume};
}

}  // namespace hookgate::cli
