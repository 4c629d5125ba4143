// Which entries of the quarantine a command is about: ID ..., or --all.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_SELECTION_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_SELECTION_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/flags.h"
#include "client/gateway_error.h"

namespace hookgate::cli {

// --all and --source.
std::vector<FlagSpec> QuarantineSelectionFlags();

// INVALID_ARGUMENT unless it is ids or --all, and each id is a number.
absl::Status CheckQuarantineSelection(const Flags& flags);

// Fills in the ids as given, or those of all that are there, oldest first, so that what becomes of
// them comes in the order in which they came. REQUIRES: CheckQuarantineSelection is OK.
GatewayError SelectQuarantined(const Flags& flags, GatewayClient& gateway,
                               std::vector<int64_t>& ids);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_QUARANTINE_SELECTION_H_
