// hookgate refused: the webhook requests that were refused.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_REFUSED_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_REFUSED_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command RefusedCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_REFUSED_COMMAND_H_
