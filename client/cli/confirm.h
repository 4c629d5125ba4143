// Ask before what cannot be undone.
#ifndef HOOKGATE_CLIENT_CLI_CONFIRM_H_
#define HOOKGATE_CLIENT_CLI_CONFIRM_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/cli/environment.h"
#include "client/cli/flags.h"

namespace hookgate::cli {

// --yes: do not ask.
FlagSpec YesFlag();

// INVALID_ARGUMENT if there is neither --yes nor a terminal on which to ask.
absl::Status CheckCanConfirm(const Flags& flags, const Environment& environment);

// True with --yes; otherwise what the user says to `question`. REQUIRES: CheckCanConfirm is OK.
bool Confirm(absl::string_view question, const Flags& flags, Environment& environment);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_CONFIRM_H_
