// The whole of `hookgate`, from its arguments to its exit code.
#ifndef HOOKGATE_CLIENT_CLI_CLI_H_
#define HOOKGATE_CLIENT_CLI_CLI_H_

#include <string>
#include <vector>

#include "client/cli/environment.h"

namespace hookgate::cli {

// Runs the command that `arguments` (without the program's name) begin with.
int RunCommandLine(const std::vector<std::string>& arguments, Environment& environment);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_CLI_H_
