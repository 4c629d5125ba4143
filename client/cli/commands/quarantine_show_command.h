// hookgate quarantine show: one of them, with its body.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_SHOW_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_SHOW_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command QuarantineShowCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_SHOW_COMMAND_H_
