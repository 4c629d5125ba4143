#include "client/cli/commands/subscriptions_update_command.h"

#include <string>
#include <vector>

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

constexpr char kName[] = "subscriptions update";

int Run(const Flags& flags, Environment& environment) {
  const std::vector<std::string> paths = SettingsNamed(flags);
  if (paths.empty()) {
    return WrongUsage(kName, "nothing is to change: name at least one setting", environment);
  }
  const std::string& name = flags.arguments()[0];
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  v1::GetSubscriptionRequest get;
  get.set_name(name);
  v1::GetSubscriptionResponse before;
  GatewayError error = CallGateway(connection->subscriptions(),
                                   &v1::SubscriptionService::StubInterface::GetSubscription, get,
                                   flags.Duration("timeout"), before);
  v1::UpdateSubscriptionResponse response;
  if (error.status.ok()) {
    v1::UpdateSubscriptionRequest update;
    update.set_name(name);
    // The lists of the filter that are not named, and a gateway that knows no mask, take all
    // settings from here: nobody must have changed them in between.
    update.set_etag(flags.Has("etag") ? flags.Text("etag") : before.subscription().etag());
    for (const std::string& path : paths) update.mutable_update_mask()->add_paths(path);
    *update.mutable_settings() = before.subscription().settings();
    if (flags.Bool("all-events")) update.mutable_settings()->clear_filter();
    ApplySubscriptionFlags(flags, *update.mutable_settings());
    error = CallGateway(connection->subscriptions(),
                        &v1::SubscriptionService::StubInterface::UpdateSubscription, update,
                        flags.Duration("timeout"), response);
  }
  if (!error.status.ok()) {
    return FailedCall(error, absl::StrCat("cannot update ", name), connection->target(),
                      environment);
  }
  environment.out << (IsJson(flags) ? MessageJson(response.subscription()) + "\n"
                                    : SubscriptionPage(response.subscription(),
                                                       ReaderOf(flags, environment)));
  return kSuccess;
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
                          EtagFlag(),
                          GrpcFlag(),
                          TimeoutFlag("How long each call may take."),
                          OutputFlag(),
                          ColorFlag()}}),
          .examples = {{"hookgate subscriptions update billing --ack-deadline 2m",
                        "Give its consumers more time."},
                       {"hookgate subscriptions update billing --all-events --type 'batch.*'",
                        "Every event of a batch, from any source."}},
          .exits = {{kSuccess, "It was changed."},
                    {kFailed, "The gateway refused, or the output could not be written."},
                    {kWrongUsage, "The command line is wrong; nothing was done."},
                    {kUnreachable, "No gateway answered in time."},
                    {kNotFound, "There is no such subscription (any more)."}},
          .run = Run};
}

}  // namespace hookgate::cli
