// Every command there is.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_COMMANDS_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_COMMANDS_H_

#include <vector>

#include "client/cli/command.h"

namespace hookgate::cli {

// In the order in which help lists them.
const std::vector<Command>& Commands();
const std::vector<CommandGroup>& CommandGroups();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_COMMANDS_H_
