// Where in the log to begin: --from, --after or --since.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_START_FLAGS_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_START_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/flags.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {

//   default_from  of --from: "latest" or "earliest"; "": none
std::vector<FlagSpec> StartFlags(const std::string& default_from);

// INVALID_ARGUMENT unless exactly one of them was given. For StartFlags("").
absl::StatusOr<v1::SubscriptionStart> SubscriptionStartOf(const Flags& flags, absl::Time now);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_START_FLAGS_H_
