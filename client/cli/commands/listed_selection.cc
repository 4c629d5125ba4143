#include "client/cli/commands/listed_selection.h"

namespace hookgate::cli {

std::vector<FlagSpec> ListedSelectionFlags(const std::string& all) {
  return {{.name = "all", .kind = FlagKind::kBool, .help = all},
          {.name = "source", .value = "NAME", .help = "With --all: only those from this source."}};
}

std::vector<Command::Exit> ListedDiscardExits() {
  return {{kSuccess, "They are removed, or there was nothing to discard."},
          {kFailed, "The answer was no, one is not there, or the gateway refused."},
          {kWrongUsage,
           "The command line is wrong, or --yes is missing without a terminal; nothing was done."},
          {kUnreachable, "No gateway answered in time."}};
}

absl::Status CheckListedSelection(const Flags& flags, const NumberWords& words) {
  if (flags.Bool("all") && !flags.arguments().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--all, or ", words.many, ", but not both"));
  }
  if (!flags.Bool("all") && flags.arguments().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("nothing is selected: give ", words.many, ", or --all"));
  }
  if (flags.Given("source") && !flags.Bool("all")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--source narrows --all; ", words.one, " needs no source"));
  }
  return ParseNumbers(flags, 0, words).status();
}

}  // namespace hookgate::cli
