// `hookgate subscribe`: prints events as they come.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIBE_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIBE_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command SubscribeCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIBE_COMMAND_H_
