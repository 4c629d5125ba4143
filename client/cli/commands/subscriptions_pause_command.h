// hookgate subscriptions pause, hookgate subscriptions resume.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_PAUSE_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_PAUSE_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command SubscriptionsPauseCommand();
Command SubscriptionsResumeCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_PAUSE_COMMAND_H_
