#include "client/cli/commands/subscriptions_create_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_calls.h"
#include "client/cli/commands/start_flags.h"
#include "client/cli/commands/subscription_flags.h"
#include "client/cli/commands/subscription_text.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/report.h"
#include "client/connection.h"
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
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  v1::CreateSubscriptionResponse response;
  const GatewayError error = CallGateway(
      connection->subscriptions(), &v1::SubscriptionService::StubInterface::CreateSubscription,
      request, flags.Duration("timeout"), response);
  if (!error.status.ok()) {
    return FailedCall(error, absl::StrCat("cannot create ", request.name()), connection->target(),
                      environment);
  }
  environment.out << (IsJson(flags) ? MessageJson(response.subscription()) + "\n"
                                    : SubscriptionPage(response.subscription(),
                                                       ReaderOf(flags, environment)));
  return kSuccess;
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
          .flags = Join({StartFlags(""),
                         SubscriptionFlags(),
                         {GrpcFlag(), TimeoutFlag("How long the call may take."), OutputFlag(),
                          ColorFlag()}}),
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
