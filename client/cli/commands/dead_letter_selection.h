// Which dead letters a command is about: SEQUENCE ..., or --all, or what a job is to look for.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTER_SELECTION_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTER_SELECTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cli/commands/bulk_command.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/item_numbers.h"
#include "client/cli/commands/selection_job.h"
#include "client/cli/environment.h"
#include "client/cli/flags.h"
#include "client/cli/report.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {

// --all; and --source, --type, --subject, --cause, --reason-contains and --older-than, which narrow
// each other, with SelectionJobFlags.
std::vector<FlagSpec> DeadLetterFlags();

// The first argument is the subscription. INVALID_ARGUMENT unless it is followed by sequences, each
// a number, or by none and --all, or by none and flags that look for some.
absl::Status CheckDeadLetterSelection(const Flags& flags);

// Whether a job is to look for them, by --all or by flags that look for some; what for.
bool LooksForDeadLetters(const Flags& flags);
v1::DeadLetterSelection DeadLettersLookedFor(const Flags& flags, absl::Time now);

// The whole of a command that does something to the dead letters that are selected.
template <typename Request, typename Response>
int RunOnDeadLetters(
    const BulkCommand<v1::SubscriptionService::StubInterface, Request, Response>& command,
    const Flags& flags, Environment& environment) {
  absl::Status right = CheckDeadLetterSelection(flags);
  if (right.ok() && !flags.Bool("preview")) right = CheckCanAsk(command.words, flags, environment);
  if (!right.ok()) return WrongUsage(command.name, right.message(), environment);
  Request request;
  request.set_subscription(flags.arguments()[0]);
  GatewayClient gateway(flags, environment);
  if (LooksForDeadLetters(flags)) {
    *request.mutable_selection() = DeadLettersLookedFor(flags, environment.clock.WallNow());
    return RunAsJob(command, request, gateway);
  }
  return RunOnNumbers(command, request, ParseNumbers(flags, 1, kDeadLetterSequences).value(),
                      gateway);
}

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTER_SELECTION_H_
