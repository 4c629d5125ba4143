// What --help prints. Pure.
#ifndef HOOKGATE_CLIENT_CLI_HELP_H_
#define HOOKGATE_CLIENT_CLI_HELP_H_

#include <string>
#include <vector>

#include "client/cli/command.h"

namespace hookgate::cli {

// All commands in a few words each, those of a group as one.
std::string Overview(const std::vector<Command>& commands, const std::vector<CommandGroup>& groups);

// What the group is about, and those of `commands` that are in it.
std::string OverviewOf(const CommandGroup& group, const std::vector<Command>& commands);

// One command, whole.
std::string HelpOf(const Command& command);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_HELP_H_
