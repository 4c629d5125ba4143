// What can be set about a durable subscription.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTION_FLAGS_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTION_FLAGS_H_

#include <string>
#include <vector>

#include "client/cli/flags.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {

// Filters, --ack-deadline, --max-attempts, --max-lost-deliveries, --min-backoff, --max-backoff.
// None has a default: the gateway's count.
std::vector<FlagSpec> SubscriptionFlags();

// The settings that the flags name, as paths of UpdateSubscriptionRequest.update_mask.
// --all-events, where a command has it, names the whole filter.
std::vector<std::string> SettingsNamed(const Flags& flags);

// --etag: of a change that is meant for the subscription as it was looked at.
FlagSpec EtagFlag();

// Changes what the flags name, and nothing else. One list of a filter replaces that list.
void ApplySubscriptionFlags(const Flags& flags, v1::SubscriptionSettings& settings);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTION_FLAGS_H_
