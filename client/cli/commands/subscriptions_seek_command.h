// `hookgate subscriptions seek`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_SEEK_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_SEEK_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command SubscriptionsSeekCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_SEEK_COMMAND_H_
