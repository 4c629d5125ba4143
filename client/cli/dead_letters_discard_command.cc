#include "client/cli/dead_letters_discard_command.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/cli/common_flags.h"
#include "client/cli/confirm.h"
#include "client/cli/dead_letter_selection.h"
#include "client/cli/exit_code.h"
#include "client/cli/gateway_calls.h"
#include "client/cli/message_json.h"
#include "client/cli/report.h"
#include "client/cli/selection_job.h"
#include "client/connection.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

using Response = v1::DiscardDeadLettersResponse;

constexpr char kName[] = "dead-letters discard";
constexpr size_t kBatch = 1000;

std::string OutcomeText(const Response::Result& result, const Style& style) {
  return result.discarded() ? style(Look::kGood, "discarded") : style(Look::kBad, "not found");
}

// Prints what became of each; returns the exit code.
int PrintResults(const Response& response, const Flags& flags, Environment& environment) {
  const Style style = StyleOf(flags, environment);
  int exit_code = kFine;
  for (const Response::Result& result : response.results()) {
    if (!(result.discarded())) exit_code = kFailed;
    environment.out << (IsJson(flags)
                            ? MessageJson(result)
                            : absl::StrCat(result.sequence(), " ", OutcomeText(result, style)))
                    << "\n";
  }
  return exit_code;
}

int DiscardAll(const std::vector<int64_t>& sequences, const Flags& flags, Connection& connection,
               Environment& environment) {
  int exit_code = kFine;
  for (size_t begin = 0; begin < sequences.size(); begin += kBatch) {
    const size_t end = std::min(begin + kBatch, sequences.size());
    v1::DiscardDeadLettersRequest request;
    request.set_subscription(flags.arguments()[0]);
    for (size_t i = begin; i < end; ++i) request.add_sequences(sequences[i]);
    Response response;
    const GatewayError error = CallGateway(
        connection.subscriptions(), &v1::SubscriptionService::StubInterface::DiscardDeadLetters,
        request, flags.Duration("timeout"), response);
    if (!error.status.ok()) {
      return FailedCall(error, "cannot discard", connection.target(), environment);
    }
    if (PrintResults(response, flags, environment) != kFine) exit_code = kFailed;
  }
  return exit_code;
}

int Run(const Flags& flags, Environment& environment) {
  absl::Status right = CheckDeadLetterSelection(flags);
  if (right.ok() && !flags.Bool("preview")) right = CheckCanConfirm(flags, environment);
  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  if (LooksForDeadLetters(flags)) {
    v1::DiscardDeadLettersRequest request;
    request.set_subscription(flags.arguments()[0]);
    *request.mutable_selection() = DeadLettersLookedFor(flags, environment.clock.WallNow());
    return RunSelectionJob<Response>({.verb = "discard",
                                      .singular = "dead letter",
                                      .plural = "dead letters",
                                      .cannot_be_undone = true},
                                     &v1::SubscriptionService::StubInterface::DiscardDeadLetters,
                                     std::move(request), flags, environment);
  }
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  std::vector<int64_t> sequences;
  const GatewayError error = SelectDeadLetters(flags, *connection, sequences);
  if (!error.status.ok()) {
    return FailedCall(error, "cannot list the dead letters", connection->target(), environment);
  }
  if (sequences.empty()) {
    if (!IsJson(flags)) environment.out << "There is nothing to discard.\n";
    return kFine;
  }
  const std::string question = absl::StrCat("Discard ", sequences.size(), " dead letter",
                                            sequences.size() == 1 ? "" : "s", " for good?");
  if (!Confirm(question, flags, environment)) {
    return Fail(kFailed, "nothing was discarded", environment);
  }
  return DiscardAll(sequences, flags, *connection, environment);
}

}  // namespace

Command DeadLettersDiscardCommand() {
  return {
      .name = kName,
      .summary = "Forget them for good",
      .description =
          "Forgets dead letters for good: this subscription will not deliver them any more. "
          "Their events stay in the log. On a terminal it asks first. With flags that look for "
          "some, it says how many there are, and the gateway does it as a job; Ctrl-C ends the "
          "command and leaves the job to the gateway.",
      .arguments = {.usage = "SUBSCRIPTION [SEQUENCE ...]", .least = 1, .most = kAnyNumber},
      .flags = Join({DeadLetterFlags(),
                     {YesFlag(), GrpcFlag(), TimeoutFlag("How long each call may take."),
                      OutputFlag(), ColorFlag()}}),
      .examples = {{"hookgate dead-letters discard billing 42", "This one, after a question."},
                   {"hookgate dead-letters discard billing --all --yes", "All, without one."},
                   {"hookgate dead-letters discard billing --older-than 2w --preview",
                    "How many are older than two weeks?"}},
      .exits = {{kFine, "They were discarded, or there was nothing to discard."},
                {kFailed, "The answer was no, one could not be discarded, or the gateway refused."},
                {kWrongUsage, "The command line is wrong; nothing was done."},
                {kUnreachable, "No gateway answered in time."},
                {kNotFound, "There is no such subscription, or no more."},
                {kInterrupted, "Ctrl-C came while the job went on; it still does."}},
      .run = Run};
}

}  // namespace hookgate::cli
