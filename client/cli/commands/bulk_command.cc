#include "client/cli/commands/bulk_command.h"

#include "absl/strings/substitute.h"
#include "client/cli/confirm.h"
#include "client/cli/report.h"

namespace hookgate::cli {

std::string CountText(int64_t count, const BulkWords& words) {
  return absl::StrCat(count, " ", count == 1 ? words.singular : words.plural);
}

absl::Status CheckCanAsk(const BulkWords& words, const Flags& flags,
                         const Environment& environment) {
  return words.question.empty() ? absl::OkStatus() : CheckCanConfirm(flags, environment);
}

bool MayGoOn(const BulkWords& words, const std::string& counted, GatewayClient& gateway) {
  if (words.question.empty()) return true;
  const std::string question = absl::Substitute(words.question, counted);
  if (Confirm(question, gateway.flags(), gateway.environment())) return true;
  Say("nothing was discarded", gateway.environment());
  return false;
}

int NothingToDo(const BulkWords& words, GatewayClient& gateway) {
  if (!IsJson(gateway.flags())) {
    gateway.environment().out << "There is nothing to " << words.verb << ".\n";
  }
  return kSuccess;
}

ResultLine DiscardedLine(int64_t number, bool discarded, const Style& style) {
  return {.number = number,
          .done = discarded,
          .outcome = discarded ? style(Look::kGood, "discarded") : style(Look::kBad, "not found")};
}

}  // namespace hookgate::cli
