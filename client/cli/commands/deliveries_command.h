// `hookgate deliveries`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_DELIVERIES_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_DELIVERIES_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command DeliveriesCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_DELIVERIES_COMMAND_H_
