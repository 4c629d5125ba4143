// hookgate conflicts show: one of them, with its bodies.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_CONFLICTS_SHOW_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_CONFLICTS_SHOW_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command ConflictsShowCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_CONFLICTS_SHOW_COMMAND_H_
