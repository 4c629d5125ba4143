// hookgate jobs list, hookgate jobs cancel.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_JOBS_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_JOBS_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command JobsListCommand();
Command JobsCancelCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_JOBS_COMMAND_H_
