#include "client/cli/commands/item_numbers.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hookgate::cli {

absl::StatusOr<int64_t> ParseNumber(absl::string_view argument, const NumberWords& words) {
  int64_t number = 0;
  if (absl::SimpleAtoi(argument, &number) && number > 0) return number;
  return absl::InvalidArgumentError(absl::StrCat("\"", argument, "\" is not ", words.one, ": ",
                                                 words.many, " are numbers, and ", words.shown_by,
                                                 " shows them"));
}

absl::StatusOr<std::vector<int64_t>> ParseNumbers(const Flags& flags, size_t first,
                                                  const NumberWords& words) {
  std::vector<int64_t> numbers;
  for (size_t i = first; i < flags.arguments().size(); ++i) {
    const absl::StatusOr<int64_t> number = ParseNumber(flags.arguments()[i], words);
    if (!number.ok()) return number.status();
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace hookgate::cli
