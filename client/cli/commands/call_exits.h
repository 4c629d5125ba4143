// How commands end that make one call.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_CALL_EXITS_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_CALL_EXITS_H_

#include <string>
#include <vector>

#include "client/cli/command.h"

namespace hookgate::cli {

// Of one that shows something. `done` says what kSuccess means, such as "It was printed.", and
// `not_found` what kNotFound means.
std::vector<Command::Exit> ShowExits(const std::string& done, const std::string& not_found);

// Of one that changes something.
std::vector<Command::Exit> ChangeExits(const std::string& done, const std::string& not_found);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_CALL_EXITS_H_
