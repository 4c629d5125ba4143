// `hookgate subscriptions delete`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_DELETE_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_DELETE_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command SubscriptionsDeleteCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_DELETE_COMMAND_H_
