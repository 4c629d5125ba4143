#include "client/cli/commands/subscriptions_create_command.h"

#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/start_flags.h"
#include "client/cli/commands/subscription_call.h"
#include "client/cli/commands/subscription_flags.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "subscriptions create";

int Run(const Flags& flags, Environment& environment) {
  const auto start = SubscriptionStartOf(flags, environment.clock.WallNow());
  if (!start.ok()) return WrongUsage(kName, start.status().message(), environment);
  v1::CreateSubscriptionRequest request;
  request.set_name(flags.arguments()[0]);
  *request.mutable_start() = *start;
  ApplySubscriptionFlags(flags, *request.mutable_settings());
  GatewayClient gateway(flags, environment);
  return RunSubscriptionCall(&v1::SubscriptionService::StubInterface::CreateSubscription, request,
                             "create", gateway);
}

}  // namespace

Command SubscriptionsCreateCommand() {
  return {.name = kName,
          .summary = "Make one, from a place in the log on",
          .description =
              "Makes a durable subscription. From then on the gateway keeps for it every event "
              "after its start that the filter admits, until a consumer has acked it. Where it "
              "starts must be given: no default would be right for everyone.",
          .arguments = {.usage = "NAME", .least = 1, .most = 1},
          .flags =
              Join({StartFlags(""), SubscriptionFlags(), CallFlags("How long the call may take.")}),
          .examples = {{"hookgate subscriptions create billing --from latest --type batch.failed",
                        "Failed batches, from now on."},
                       {"hookgate subscriptions create audit --from earliest --max-attempts 3",
                        "All stored events, and all new ones."}},
          .exits = {{kSuccess, "It was made."},
                    {kFailed, "The gateway refused, or the output could not be written."},
                    {kWrongUsage, "The command line is wrong; nothing was done."},
                    {kUnreachable, "No gateway answered in time."}},
          .run = Run};
}

}  // namespace hookgate::cli
