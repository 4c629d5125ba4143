// `hookgate ready`: whether a gateway should be sent webhooks now.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_READY_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_READY_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command ReadyCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_READY_COMMAND_H_
