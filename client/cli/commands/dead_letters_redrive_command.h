// `hookgate dead-letters redrive`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTERS_REDRIVE_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTERS_REDRIVE_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command DeadLettersRedriveCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTERS_REDRIVE_COMMAND_H_
