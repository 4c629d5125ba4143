#include "client/cli/commands/conflicts_discard_command.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands/batched_call.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/confirm.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "conflicts discard";
constexpr int kPageSize = 1000;

absl::Status CheckSelection(const Flags& flags) {
  if (flags.Bool("all") != flags.arguments().empty()) {
    return absl::InvalidArgumentError(flags.Bool("all")
                                          ? "--all, or sequences, but not both"
                                          : "nothing is selected: give sequences, or --all");
  }
  if (flags.Given("source") && !flags.Bool("all")) {
    return absl::InvalidArgumentError("--source narrows --all; a sequence needs no source");
  }
  for (const std::string& argument : flags.arguments()) {
    int64_t sequence = 0;
    if (!absl::SimpleAtoi(argument, &sequence) || sequence < 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", argument,
          "\" is not a sequence: sequences are numbers, and hookgate conflicts list shows "
          "them"));
    }
  }
  return absl::OkStatus();
}

// As given, or of all that are there.
GatewayError Select(const Flags& flags, GatewayClient& gateway, std::vector<int64_t>& sequences) {
  for (const std::string& argument : flags.arguments()) {
    sequences.emplace_back();
    (void)absl::SimpleAtoi(argument, &sequences.back());
  }
  if (!flags.Bool("all")) return GatewayError();
  v1::ListConflictsRequest request;
  request.set_source(flags.Text("source"));
  request.set_page_size(kPageSize);
  do {
    v1::ListConflictsResponse response;
    GatewayError error =
        gateway.Try(&v1::AdminService::StubInterface::ListConflicts, request, response);
    if (!error.status.ok()) return error;
    for (const auto& conflict : response.conflicts()) sequences.push_back(conflict.sequence());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return GatewayError();
}

ResultLine LineOf(const v1::DiscardConflictsResponse::Result& result, const Style& style) {
  return {.number = result.sequence(),
          .done = result.discarded(),
          .outcome = result.discarded() ? style(Look::kGood, "discarded")
                                        : style(Look::kBad, "not found")};
}

int Run(const Flags& flags, Environment& environment) {
  absl::Status right = CheckSelection(flags);
  if (right.ok()) right = CheckCanConfirm(flags, environment);
  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  GatewayClient gateway(flags, environment);
  std::vector<int64_t> sequences;
  const int listed = gateway.Report(Select(flags, gateway, sequences), "list conflicts");
  if (listed != kSuccess) return listed;
  if (sequences.empty()) {
    if (!IsJson(flags)) environment.out << "There is nothing to discard.\n";
    return kSuccess;
  }
  const std::string question =
      absl::StrCat("Discard the other bodies of ", sequences.size(), " event",
                   sequences.size() == 1 ? "" : "s", " permanently?");
  if (!Confirm(question, flags, environment)) {
    return Fail(kFailed, "nothing was discarded", environment);
  }
  using Stub = v1::AdminService::StubInterface;
  using Request = v1::DiscardConflictsRequest;
  return CallInBatches(
      BatchedCall<Stub, Request, v1::DiscardConflictsResponse>{.what = "discard",
                                                               .method = &Stub::DiscardConflicts,
                                                               .add = &Request::add_sequences,
                                                               .line = LineOf},
      sequences, gateway);
}

}  // namespace

Command ConflictsDiscardCommand() {
  return {
      .name = kName,
      .summary = "Discard other bodies permanently",
      .description =
          "Removes the other bodies of events permanently. The events stay as they are. On a "
          "terminal it asks first.",
      .arguments = {.usage = "[SEQUENCE ...]", .most = kAnyNumber},
      .flags =
          {{.name = "all", .kind = FlagKind::kBool, .help = "Of all events that have any now."},
           {.name = "source", .value = "NAME", .help = "With --all: only those from this source."},
           YesFlag(),
           GrpcFlag(),
           TimeoutFlag("How long each call may take."),
           OutputFlag(),
           ColorFlag()},
      .examples = {{"hookgate conflicts discard 42", "Of this event, after a question."},
                   {"hookgate conflicts discard --all --yes", "All, without one."}},
      .exits = {{kSuccess, "They are removed, or there was nothing to discard."},
                {kFailed, "The answer was no, one is not there, or the gateway refused."},
                {kWrongUsage,
                 "The command line is wrong, or --yes is missing without a terminal; "
                 "nothing was done."},
                {kUnreachable, "No gateway answered in time."}},
      .run = Run};
}

}  // namespace hookgate::cli
