// Items that a command line names by numbers, such as the sequence of an event. Pure.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_ITEM_NUMBERS_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_ITEM_NUMBERS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/cli/flags.h"

namespace hookgate::cli {

// What messages call the numbers of one kind of item.
struct NumberWords {
  absl::string_view one;       // "a sequence"
  absl::string_view many;      // "sequences"
  absl::string_view shown_by;  // The command that shows them: "hookgate events".
};

inline constexpr NumberWords kQuarantineIds = {"an id", "ids", "hookgate quarantine list"};
inline constexpr NumberWords kConflictSequences = {"a sequence", "sequences",
                                                   "hookgate conflicts list"};
inline constexpr NumberWords kDeadLetterSequences = {"a sequence", "sequences",
                                                     "hookgate dead-letters list"};
inline constexpr NumberWords kEventSequences = {"a sequence", "sequences", "hookgate events"};
inline constexpr NumberWords kJobIds = {"the id of a job", "those", "hookgate jobs list"};

// INVALID_ARGUMENT if `argument` is not a number above 0; the message says where there are some.
absl::StatusOr<int64_t> ParseNumber(absl::string_view argument, const NumberWords& words);

// The same for all arguments from the one at `first` on.
absl::StatusOr<std::vector<int64_t>> ParseNumbers(const Flags& flags, size_t first,
                                                  const NumberWords& words);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_ITEM_NUMBERS_H_
