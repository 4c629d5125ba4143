#include "client/cli/commands/subscriptions_seek_command.h"

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

constexpr char kName[] = "subscriptions seek";

int Run(const Flags& flags, Environment& environment) {
  const auto target = SubscriptionStartOf(flags, environment.clock.WallNow());
  if (!target.ok()) return WrongUsage(kName, target.status().message(), environment);
  v1::SeekSubscriptionRequest request;
  request.set_name(flags.arguments()[0]);
  *request.mutable_target() = *target;
  if (flags.Has("etag")) request.set_etag(flags.Text("etag"));
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  v1::SeekSubscriptionResponse response;
  const GatewayError error = CallGateway(connection->subscriptions(),
                                         &v1::SubscriptionService::StubInterface::SeekSubscription,
                                         request, flags.Duration("timeout"), response);
  if (!error.status.ok()) {
    return FailedCall(error, absl::StrCat("cannot seek ", request.name()), connection->target(),
                      environment);
  }
  environment.out << (IsJson(flags) ? MessageJson(response.subscription()) + "\n"
                                    : SubscriptionPage(response.subscription(),
                                                       ReaderOf(flags, environment)));
  return kSuccess;
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
          .flags = Join({StartFlags(""),
                         {EtagFlag(), GrpcFlag(), TimeoutFlag("How long the call may take."),
                          OutputFlag(), ColorFlag()}}),
          .examples = {{"hookgate subscriptions seek billing --since 2h",
                        "Deliver the last two hours again."},
                       {"hookgate subscriptions seek billing --from latest",
                        "Skip everything that is stored."}},
          .exits = {{kSuccess, "It was moved."},
                    {kFailed, "The gateway refused, or the output could not be written."},
                    {kWrongUsage, "The command line is wrong; nothing was done."},
                    {kUnreachable, "No gateway answered in time."},
                    {kNotFound, "There is no such subscription (any more)."}},
          .run = Run};
}

}  // namespace hookgate::cli
