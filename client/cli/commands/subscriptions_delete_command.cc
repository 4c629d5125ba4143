#include "client/cli/commands/subscriptions_delete_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/subscription_call.h"
#include "client/cli/commands/subscription_flags.h"
#include "client/cli/confirm.h"
#include "client/cli/exit_code.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "subscriptions delete";

int Run(const Flags& flags, Environment& environment) {
  const absl::Status right = CheckCanConfirm(flags, environment);
  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  const auto request = ChangeRequest<v1::DeleteSubscriptionRequest>(flags);
  const std::string name = Printable(request.name());
  if (!Confirm(absl::StrCat("Delete ", name, " with its position and its dead letters?"), flags,
               environment)) {
    return Fail(kFailed, "nothing was deleted", environment);
  }
  GatewayClient gateway(flags, environment);
  v1::DeleteSubscriptionResponse response;
  const int exit_code = gateway.Call(&v1::SubscriptionService::StubInterface::DeleteSubscription,
                                     request, absl::StrCat("delete ", request.name()), response);
  if (exit_code != kSuccess) return exit_code;
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
          .exits = SubscriptionExits("It is deleted."),
          .run = Run};
}

}  // namespace hookgate::cli
