// `hookgate send`: signs a webhook and posts it.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SEND_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SEND_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command SendCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SEND_COMMAND_H_
