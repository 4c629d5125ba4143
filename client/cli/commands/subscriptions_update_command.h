// `hookgate subscriptions update`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_UPDATE_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_UPDATE_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command SubscriptionsUpdateCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_UPDATE_COMMAND_H_
