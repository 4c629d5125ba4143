// hookgate quarantine discard: remove them for good.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_DISCARD_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_DISCARD_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command QuarantineDiscardCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_DISCARD_COMMAND_H_
