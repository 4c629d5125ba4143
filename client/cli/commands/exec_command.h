// The command of --exec, before it runs for any event.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_EXEC_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_EXEC_COMMAND_H_

#include <string>

#include "client/cli/commands/exec_program.h"

namespace hookgate::cli {

// Why `command` cannot be what is to handle events; "" if nothing is wrong. A mistake would show
// only with events, each of which would be acked unhandled, or become a dead letter:
//
//   - it names no program, or only one that would run the event, a stranger's text
//   - a variable in it is not set, or what is to be run is one that is empty
//   - the shell does not understand it
//
// What cannot be told without running it, such as what a file that it reads sets, is believed.
//   sample  what it would be run with; its input does not matter
// Runs the shell, but nothing of the command.
std::string ProblemOfCommand(const std::string& command, const ProgramInput& sample);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_EXEC_COMMAND_H_
