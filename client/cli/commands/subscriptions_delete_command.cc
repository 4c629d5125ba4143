#include "client/cli/commands/subscriptions_delete_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_calls.h"
#include "client/cli/commands/subscription_flags.h"
#include "client/cli/confirm.h"
#include "client/cli/exit_code.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "client/connection.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "subscriptions delete";

int Run(const Flags& flags, Environment& environment) {
  const absl::Status right = CheckCanConfirm(flags, environment);
  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  v1::DeleteSubscriptionRequest request;
  request.set_name(flags.arguments()[0]);
  if (flags.Has("etag")) request.set_etag(flags.Text("etag"));
  const std::string name = Printable(request.name());
  if (!Confirm(absl::StrCat("Delete ", name, " with its position and its dead letters?"), flags,
               environment)) {
    return Fail(kFailed, "nothing was deleted", environment);
  }
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  v1::DeleteSubscriptionResponse response;
  const GatewayError error = CallGateway(
      connection->subscriptions(), &v1::SubscriptionService::StubInterface::DeleteSubscription,
      request, flags.Duration("timeout"), response);
  if (!error.status.ok()) {
    return FailedCall(error, absl::StrCat("cannot delete ", request.name()), connection->target(),
                      environment);
  }
  environment.out << name << " was deleted\n";
  return kSuccess;
}

}  // namespace

Command SubscriptionsDeleteCommand() {
  return {.name = kName,
          .summary = "Forget it, with all that it still owes",
          .description =
              "Deletes a durable subscription: its position, what it still owes and its dead "
              "letters are deleted, and its streams are ended. The events themselves stay "
              "in the event log. On a terminal it asks first.",
          .arguments = {.usage = "NAME", .least = 1, .most = 1},
          .flags = {YesFlag(), EtagFlag(), GrpcFlag(), TimeoutFlag("How long the call may take.")},
          .examples = {{"hookgate subscriptions delete billing", "After a question."},
                       {"hookgate subscriptions delete billing --yes", "Without one."}},
          .exits = {{kSuccess, "It is deleted."},
                    {kFailed, "The gateway refused, or the output could not be written."},
                    {kWrongUsage, "The command line is wrong; nothing was done."},
                    {kUnreachable, "No gateway answered in time."},
                    {kNotFound, "There is no such subscription (any more)."}},
          .run = Run};
}

}  // namespace hookgate::cli
