// hookgate subscriptions redeliver: deliver past events again.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_REDELIVER_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_REDELIVER_COMMAND_H_

#include "client/cli/command.h"

namespace hookgate::cli {

Command SubscriptionsRedeliverCommand();

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTIONS_REDELIVER_COMMAND_H_
