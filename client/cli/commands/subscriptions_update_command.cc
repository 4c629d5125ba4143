#include "client/cli/commands/subscriptions_update_command.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/subscription_call.h"
#include "client/cli/commands/subscription_flags.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "subscriptions update";

int Run(const Flags& flags, Environment& environment) {
  const std::vector<std::string> paths = SettingsNamed(flags);
  if (paths.empty()) {
    return WrongUsage(kName, "nothing is to change: name at least one setting", environment);
  }
  const std::string& name = flags.arguments()[0];
  GatewayClient gateway(flags, environment);
  v1::GetSubscriptionRequest get;
  get.set_name(name);
  v1::GetSubscriptionResponse before;
  const int exit_code = gateway.Call(&v1::SubscriptionService::StubInterface::GetSubscription, get,
                                     absl::StrCat("update ", name), before);
  if (exit_code != kSuccess) return exit_code;
  auto update = ChangeRequest<v1::UpdateSubscriptionRequest>(flags);
  // The lists of the filter that are not named, and a gateway that knows no mask, take all
  // settings from here: nobody must have changed them in between.
  if (update.etag().empty()) update.set_etag(before.subscription().etag());
  for (const std::string& path : paths) update.mutable_update_mask()->add_paths(path);
  *update.mutable_settings() = before.subscription().settings();
  if (flags.Bool("all-events")) update.mutable_settings()->clear_filter();
  ApplySubscriptionFlags(flags, *update.mutable_settings());
  return RunSubscriptionCall(&v1::SubscriptionService::StubInterface::UpdateSubscription, update,
                             "update", gateway);
}

}  // namespace

Command SubscriptionsUpdateCommand() {
  return {.name = kName,
          .summary = "Change some of its settings",
          .description =
              "Changes the settings that are named, and no others; nothing is changed if another "
              "caller changes the subscription at the same moment. Its consumers stay. A new "
              "filter judges what has not been delivered yet; what was delivered stays due until "
              "it is acked. --source, --type and --subject replace what was there.",
          .arguments = {.usage = "NAME", .least = 1, .most = 1},
          .flags = Join({SubscriptionFlags(),
                         {{.name = "all-events",
                           .kind = FlagKind::kBool,
                           .help = "Drop the filter that was there, before the others are set."},
                          EtagFlag()},
                         CallFlags("How long each call may take.")}),
          .examples = {{"hookgate subscriptions update billing --ack-deadline 2m",
                        "Give its consumers more time."},
                       {"hookgate subscriptions update billing --all-events --type 'batch.*'",
                        "Every event of a batch, from any source."}},
          .exits = SubscriptionExits("It was changed."),
          .run = Run};
}

}  // namespace hookgate::cli
