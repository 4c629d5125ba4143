// hookgate fsck: checks a log that no hookgated is running on.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_FSCK_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_FSCK_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command FsckCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_FSCK_COMMAND_H_
