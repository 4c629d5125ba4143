// Which dead letters a command is about: SEQUENCE ..., or --all, or what a job is to look for.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTER_SELECTION_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTER_SELECTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/cli/flags.h"
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

// The arguments behind the first one. INVALID_ARGUMENT if one is not a number; `where` says where
// they can be found.
absl::Status ParseSequences(const Flags& flags, absl::string_view where,
                            std::vector<int64_t>& sequences);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTER_SELECTION_H_
