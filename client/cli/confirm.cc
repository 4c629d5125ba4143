#include "client/cli/confirm.h"

#include <istream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace hookgate::cli {

FlagSpec YesFlag() {
  return {.name = "yes",
          .kind = FlagKind::kBool,
          .help = "Do not ask. Needed if standard input is not a terminal."};
}

absl::Status CheckCanConfirm(const Flags& flags, const Environment& environment) {
  if (flags.Bool("yes") || environment.in_is_terminal) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "this cannot be undone, and there is no terminal to ask on: give --yes to confirm");
}

bool Confirm(absl::string_view question, const Flags& flags, Environment& environment) {
  if (flags.Bool("yes")) return true;
  environment.out.flush();
  environment.err << absl::StrCat(question, " [y/N] ");
  environment.err.flush();
  std::string answer;
  if (!std::getline(environment.in, answer)) environment.err << "\n";
  answer = absl::AsciiStrToLower(absl::StripAsciiWhitespace(answer));
  return answer == "y" || answer == "yes";
}

}  // namespace hookgate::cli
