// hookgate streams: who is connected.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_STREAMS_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_STREAMS_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command StreamsCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_STREAMS_COMMAND_H_
