// What can be set about a durable subscription.
#ifndef HOOKGATE_CLIENT_CLI_SUBSCRIPTION_FLAGS_H_
#define HOOKGATE_CLIENT_CLI_SUBSCRIPTION_FLAGS_H_

#include <vector>

#include "client/cli/flags.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {

// Filters, --ack-deadline, --max-attempts, --max-lost-deliveries, --min-backoff, --max-backoff.
// None has a default: the gateway's count.
std::vector<FlagSpec> SubscriptionFlags();

// Changes what the flags name, and nothing else. One list of a filter replaces that list.
void ApplySubscriptionFlags(const Flags& flags, v1::SubscriptionSettings& settings);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_SUBSCRIPTION_FLAGS_H_
