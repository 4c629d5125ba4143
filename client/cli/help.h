// What --help prints. Pure.
#ifndef HOOKGATE_CLIENT_CLI_HELP_H_
#define HOOKGATE_CLIENT_CLI_HELP_H_

#include <string>
#include <vector>

#include "client/cli/command.h"

namespace hookgate::cli {

// All commands in a few words each.
std::string Overview(const std::vector<Command>& commands);

// One command, whole.
std::string HelpOf(const Command& command);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_HELP_H_
