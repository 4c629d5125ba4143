// `hookgate explain`: all that is known of one event.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_EXPLAIN_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_EXPLAIN_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command ExplainCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_EXPLAIN_COMMAND_H_
