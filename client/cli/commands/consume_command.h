// `hookgate consume`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_CONSUME_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_CONSUME_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command ConsumeCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_CONSUME_COMMAND_H_
