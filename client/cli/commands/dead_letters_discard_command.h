// `hookgate dead-letters discard`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTERS_DISCARD_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTERS_DISCARD_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command DeadLettersDiscardCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_DEAD_LETTERS_DISCARD_COMMAND_H_
