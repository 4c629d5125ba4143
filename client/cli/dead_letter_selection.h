// Which dead letters a command is about: SEQUENCE ..., or --all.
#ifndef HOOKGATE_CLIENT_CLI_DEAD_LETTER_SELECTION_H_
#define HOOKGATE_CLIENT_CLI_DEAD_LETTER_SELECTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/flags.h"
#include "client/connection.h"
#include "client/gateway_error.h"

namespace hookgate::cli {

// --all.
FlagSpec AllDeadLettersFlag();

// The first argument is the subscription. INVALID_ARGUMENT unless it is followed by sequences, each
// a number, or by none and --all.
absl::Status CheckDeadLetterSelection(const Flags& flags);

// Fills in the sequences as given, or those of all that are there, oldest first. REQUIRES:
// CheckDeadLetterSelection is OK.
GatewayError SelectDeadLetters(const Flags& flags, Connection& connection,
                               std::vector<int64_t>& sequences);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_DEAD_LETTER_SELECTION_H_
