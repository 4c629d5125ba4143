// `hookgate failures`: what failed lately.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_FAILURES_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_FAILURES_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command FailuresCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_FAILURES_COMMAND_H_
