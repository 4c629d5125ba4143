// `hookgate events`: any events, by time and filter.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_EVENTS_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_EVENTS_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command EventsCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_EVENTS_COMMAND_H_
