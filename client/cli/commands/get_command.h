// `hookgate get`: one event, whole.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_GET_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_GET_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command GetCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_GET_COMMAND_H_
