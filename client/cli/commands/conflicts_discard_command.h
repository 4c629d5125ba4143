// hookgate conflicts discard: forget other bodies.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_CONFLICTS_DISCARD_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_CONFLICTS_DISCARD_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command ConflictsDiscardCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_CONFLICTS_DISCARD_COMMAND_H_
