// The commands that are about the table of commands itself: `hookgate completion`, `hookgate man`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_TABLE_COMMANDS_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_TABLE_COMMANDS_H_

#include <vector>

#include "client/cli/command.h"

namespace hookgate::cli {

// `run` calls the function below with the table, which this command is a part of.
Command CompletionCommand(int (*run)(const Flags&, Environment&));
Command ManCommand(int (*run)(const Flags&, Environment&));

int PrintCompletion(const std::vector<Command>& commands, const std::vector<CommandGroup>& groups,
                    const Flags& flags, Environment& environment);
int PrintManPage(const std::vector<Command>& commands, const std::vector<CommandGroup>& groups,
                 Environment& environment);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_TABLE_COMMANDS_H_
