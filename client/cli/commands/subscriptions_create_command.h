// `hookgate subscriptions create`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_CREATE_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_CREATE_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command SubscriptionsCreateCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_CREATE_COMMAND_H_
