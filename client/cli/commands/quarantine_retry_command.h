// hookgate quarantine retry: decode them again.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_RETRY_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_RETRY_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command QuarantineRetryCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_RETRY_COMMAND_H_
