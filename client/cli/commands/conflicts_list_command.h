// hookgate conflicts list: webhooks that came again with another body.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_CONFLICTS_LIST_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_CONFLICTS_LIST_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command ConflictsListCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_CONFLICTS_LIST_COMMAND_H_
