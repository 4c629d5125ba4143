// hookgate status: how the gateway is.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_STATUS_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_STATUS_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command StatusCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_STATUS_COMMAND_H_
