// The quarantine, as the list whose entries a command is about.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_SELECTION_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_SELECTION_H_

#include "client/cli/commands/listed_selection.h"

namespace hookgate::cli {

// With --all the oldest entries come first, so that what becomes of them comes in the order in
// which they came.
NumberedList Quarantine();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_SELECTION_H_
