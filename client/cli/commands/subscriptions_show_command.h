// `hookgate subscriptions show`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_SHOW_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_SHOW_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command SubscriptionsShowCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_SHOW_COMMAND_H_
