// hookgate quarantine list: the webhooks that could not be decoded.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_LIST_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_LIST_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command QuarantineListCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_LIST_COMMAND_H_
