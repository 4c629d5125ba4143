#include "client/cli/commands/subscriptions_pause_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_calls.h"
#include "client/cli/commands/subscription_flags.h"
#include "client/cli/commands/subscription_text.h"
#include "client/cli/exit_code.h"
#include "client/cli/message_json.h"
#include "client/cli/report.h"
#include "client/connection.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kPause[] = "subscriptions pause";
constexpr char kResume[] = "subscriptions resume";

// Calls `method` about the subscription that the flags name; `verb` for people.
template <typename Request, typename Response, typename Method>
int Change(absl::string_view verb, Method method, const Flags& flags, Environment& environment) {
  Request request;
  request.set_name(flags.arguments()[0]);
  if (flags.Has("etag")) request.set_etag(flags.Text("etag"));
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  Response response;
  const GatewayError error = CallGateway(connection->subscriptions(), method, request,
                                         flags.Duration("timeout"), response);
  if (!error.status.ok()) {
    return FailedCall(error, absl::StrCat("cannot ", verb, " ", request.name()),
                      connection->target(), environment);
  }
  environment.out << (IsJson(flags) ? MessageJson(response.subscription()) + "\n"
                                    : SubscriptionPage(response.subscription(),
                                                       ReaderOf(flags, environment)));
  return kSuccess;
}

int RunPause(const Flags& flags, Environment& environment) {
  return Change<v1::PauseSubscriptionRequest, v1::PauseSubscriptionResponse>(
      "pause", &v1::SubscriptionService::StubInterface::PauseSubscription, flags, environment);
}

int RunResume(const Flags& flags, Environment& environment) {
  return Change<v1::ResumeSubscriptionRequest, v1::ResumeSubscriptionResponse>(
      "resume", &v1::SubscriptionService::StubInterface::ResumeSubscription, flags, environment);
}

std::vector<FlagSpec> ChangeFlags() {
  return {EtagFlag(), GrpcFlag(), TimeoutFlag("How long the call may take."), OutputFlag(),
          ColorFlag()};
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
          .exits = {{kSuccess, "It is paused."},
                    {kFailed, "The gateway refused, or the output could not be written."},
                    {kWrongUsage, "The command line is wrong; nothing was done."},
                    {kUnreachable, "No gateway answered in time."},
                    {kNotFound, "There is no such subscription (any more)."}},
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
          .exits = {{kSuccess, "It is not paused (any more)."},
                    {kFailed, "The gateway refused, or the output could not be written."},
                    {kWrongUsage, "The command line is wrong; nothing was done."},
                    {kUnreachable, "No gateway answered in time."},
                    {kNotFound, "There is no such subscription (any more)."}},
          .run = RunResume};
}

}  // namespace hookgate::cli
