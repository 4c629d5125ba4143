// `hookgate dead-letters list`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTERS_LIST_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTERS_LIST_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command DeadLettersListCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTERS_LIST_COMMAND_H_
