#include "client/cli/commands/subscriptions_show_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_calls.h"
#include "client/cli/commands/subscription_text.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/report.h"
#include "client/connection.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "subscriptions show";

int Run(const Flags& flags, Environment& environment) {
  v1::GetSubscriptionRequest request;
  request.set_name(flags.arguments()[0]);
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  v1::GetSubscriptionResponse response;
  const GatewayError error = CallGateway(connection->subscriptions(),
                                         &v1::SubscriptionService::StubInterface::GetSubscription,
                                         request, flags.Duration("timeout"), response);
  if (!error.status.ok()) {
    return FailedCall(error, absl::StrCat("cannot show ", request.name()), connection->target(),
                      environment);
  }
  environment.out << (IsJson(flags) ? MessageJson(response.subscription()) + "\n"
                                    : SubscriptionPage(response.subscription(),
                                                       ReaderOf(flags, environment)));
  return kSuccess;
}

}  // namespace

Command SubscriptionsShowCommand() {
  return {
      .name = kName,
      .summary = "Show one: how far behind it is, and its consumers",
      .description =
          "Shows a durable subscription: its settings, how far behind it is, what is in "
          "flight or waits for redelivery, its dead letters, what retention took before it was "
          "acked, and each consumer with what it holds and when it acked last.",
      .arguments = {.usage = "NAME", .least = 1, .most = 1},
      .flags = {GrpcFlag(), TimeoutFlag("How long the call may take."), OutputFlag(), ColorFlag()},
      .examples = {{"hookgate subscriptions show billing",
                    "Is it keeping up? Which consumers does it have?"},
                   {"hookgate subscriptions show billing --output json | jq -r .backlog.events",
                    "One number, for a script."}},
      .exits = {{kSuccess, "It was printed."},
                {kFailed, "The gateway refused, or the output could not be written."},
                {kWrongUsage, "The command line is wrong; nothing was done."},
                {kUnreachable, "No gateway answered in time."},
                {kNotFound, "There is no such subscription (any more)."}},
      .run = Run};
}

}  // namespace hookgate::cli
