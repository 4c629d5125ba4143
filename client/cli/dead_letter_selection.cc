#include "client/cli/dead_letter_selection.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/gateway_calls.h"
#include "client/cli/printable.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr int kPageSize = 1000;

}  // namespace

FlagSpec AllDeadLettersFlag() {
  return {.name = "all", .kind = FlagKind::kBool, .help = "All that are there now."};
}

absl::Status CheckDeadLetterSelection(const Flags& flags) {
  const std::vector<std::string>& arguments = flags.arguments();
  if (flags.Bool("all") != (arguments.size() == 1)) {
    return absl::InvalidArgumentError(flags.Bool("all") ? "--all, or sequences, but not both"
                                                        : "which ones? Give sequences, or --all");
  }
  for (size_t i = 1; i < arguments.size(); ++i) {
    int64_t sequence = 0;
    if (!absl::SimpleAtoi(arguments[i], &sequence) || sequence < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", Printable(arguments[i]),
                       "\" is no sequence: those are numbers, and hookgate dead-letters list shows "
                       "them"));
    }
  }
  return absl::OkStatus();
}

GatewayError SelectDeadLetters(const Flags& flags, Connection& connection,
                               std::vector<int64_t>& sequences) {
  const std::vector<std::string>& arguments = flags.arguments();
  for (size_t i = 1; i < arguments.size(); ++i) {
    sequences.emplace_back();
    (void)absl::SimpleAtoi(arguments[i], &sequences.back());
  }
  if (!flags.Bool("all")) return GatewayError();
  v1::ListDeadLettersRequest request;
  request.set_subscription(arguments[0]);
  request.set_page_size(kPageSize);
  request.set_include_events(false);  // Sequences are all that is wanted, and bodies may be large.
  do {
    v1::ListDeadLettersResponse response;
    GatewayError error = CallGateway(connection.subscriptions(),
                                     &v1::SubscriptionService::StubInterface::ListDeadLetters,
                                     request, flags.Duration("timeout"), response);
    if (!error.status.ok()) return error;
    for (const auto& letter : response.dead_letters()) sequences.push_back(letter.sequence());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return GatewayError();
}

}  // namespace hookgate::cli
