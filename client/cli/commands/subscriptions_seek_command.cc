#include "client/cli/commands/subscriptions_seek_command.h"

#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/start_flags.h"
#include "client/cli/commands/subscription_call.h"
#include "client/cli/commands/subscription_flags.h"
#include "client/cli/report.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "subscriptions seek";

int Run(const Flags& flags, Environment& environment) {
  const auto target = SubscriptionStartOf(flags, environment.clock.WallNow());
  if (!target.ok()) return WrongUsage(kName, target.status().message(), environment);
  auto request = ChangeRequest<v1::SeekSubscriptionRequest>(flags);
  *request.mutable_target() = *target;
  GatewayClient gateway(flags, environment);
  return RunSubscriptionCall(&v1::SubscriptionService::StubInterface::SeekSubscription, request,
                             "seek", gateway);
}

}  // namespace

Command SubscriptionsSeekCommand() {
  return {.name = kName,
          .summary = "Move it to another place in the log: replay, or skip",
          .description =
              "Moves the position. Events after it are delivered, again if they were before, as "
              "attempt 1; events before it that were not acked are dropped. Deliveries in flight "
              "are void. Dead letters stay.",
          .arguments = {.usage = "NAME", .least = 1, .most = 1},
          .flags = Join({StartFlags(""), {EtagFlag()}, CallFlags("How long the call may take.")}),
          .examples = {{"hookgate subscriptions seek billing --since 2h",
                        "Deliver the last two hours again."},
                       {"hookgate subscriptions seek billing --from latest",
                        "Skip everything that is stored."}},
          .exits = SubscriptionExits("It was moved."),
          .run = Run};
}

}  // namespace hookgate::cli
