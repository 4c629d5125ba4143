// Scripts that make a shell complete `hookgate`'s commands, flags and values on Tab. Pure.
#ifndef HOOKGATE_CLIENT_CLI_COMPLETION_H_
#define HOOKGATE_CLIENT_CLI_COMPLETION_H_

#include <string>
#include <vector>

#include "client/cli/command.h"

namespace hookgate::cli {

// What each shell reads: with `source`, or as a file in its folder of completions. Commands
// complete after `hookgate` and after a group, flags after "-", the words of a choice and names of
// files after the flags that take them; other values do not complete.
std::string BashCompletion(const std::vector<Command>& commands,
                           const std::vector<CommandGroup>& groups);
std::string ZshCompletion(const std::vector<Command>& commands,
                          const std::vector<CommandGroup>& groups);
std::string FishCompletion(const std::vector<Command>& commands,
                           const std::vector<CommandGroup>& groups);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMPLETION_H_
