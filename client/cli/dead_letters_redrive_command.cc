#include "client/cli/dead_letters_redrive_command.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/cli/common_flags.h"
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

using Response = v1::RedriveDeadLettersResponse;

constexpr char kName[] = "dead-letters redrive";
constexpr size_t kBatch = 1000;

std::string OutcomeText(const Response::Result& result, const Style& style) {
  switch (result.outcome()) {
    case Response::OUTCOME_REDRIVEN:
      return style(Look::kGood, "redriven");
    case Response::OUTCOME_NOT_FOUND:
      return style(Look::kBad, "not found");
    case Response::OUTCOME_EVENT_REMOVED:
      return style(Look::kBad, "its event was removed by retention");
    case Response::OUTCOME_TOO_MANY_UNSETTLED:
      return style(Look::kBad, "too many events are unsettled: try again later");
    default:
      return Response::Outcome_Name(result.outcome());
  }
}

// Prints what became of each; returns the exit code.
int PrintResults(const Response& response, const Flags& flags, Environment& environment) {
  const Style style = StyleOf(flags, environment);
  int exit_code = kFine;
  for (const Response::Result& result : response.results()) {
    if (!(result.outcome() == Response::OUTCOME_REDRIVEN)) exit_code = kFailed;
    environment.out << (IsJson(flags)
                            ? MessageJson(result)
                            : absl::StrCat(result.sequence(), " ", OutcomeText(result, style)))
                    << "\n";
  }
  return exit_code;
}

int RedriveAll(const std::vector<int64_t>& sequences, const Flags& flags, Connection& connection,
               Environment& environment) {
  int exit_code = kFine;
  for (size_t begin = 0; begin < sequences.size(); begin += kBatch) {
    const size_t end = std::min(begin + kBatch, sequences.size());
    v1::RedriveDeadLettersRequest request;
    request.set_subscription(flags.arguments()[0]);
    for (size_t i = begin; i < end; ++i) request.add_sequences(sequences[i]);
    Response response;
    const GatewayError error = CallGateway(
        connection.subscriptions(), &v1::SubscriptionService::StubInterface::RedriveDeadLetters,
        request, flags.Duration("timeout"), response);
    if (!error.status.ok()) {
      return FailedCall(error, "cannot redrive", connection.target(), environment);
    }
    if (PrintResults(response, flags, environment) != kFine) exit_code = kFailed;
  }
  return exit_code;
}

int Run(const Flags& flags, Environment& environment) {
  absl::Status right = CheckDeadLetterSelection(flags);

  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  if (LooksForDeadLetters(flags)) {
    v1::RedriveDeadLettersRequest request;
    request.set_subscription(flags.arguments()[0]);
    *request.mutable_selection() = DeadLettersLookedFor(flags, environment.clock.WallNow());
    return RunSelectionJob<Response>(
        {.verb = "redrive", .singular = "dead letter", .plural = "dead letters"},
        &v1::SubscriptionService::StubInterface::RedriveDeadLetters, std::move(request), flags,
        environment);
  }
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  std::vector<int64_t> sequences;
  const GatewayError error = SelectDeadLetters(flags, *connection, sequences);
  if (!error.status.ok()) {
    return FailedCall(error, "cannot list the dead letters", connection->target(), environment);
  }
  if (sequences.empty()) {
    if (!IsJson(flags)) environment.out << "There is nothing to redrive.\n";
    return kFine;
  }

  return RedriveAll(sequences, flags, *connection, environment);
}

}  // namespace

Command DeadLettersRedriveCommand() {
  return {
      .name = kName,
      .summary = "Deliver them again",
      .description =
          "Puts dead letters back: each is delivered again, as attempt 1, and marked as "
          "redriven. Mend what made them fail first. With flags that look for some, the gateway "
          "does it as a job, of which this command shows the progress; Ctrl-C ends the command "
          "and leaves the job to the gateway.",
      .arguments = {.usage = "SUBSCRIPTION [SEQUENCE ...]", .least = 1, .most = kAnyNumber},
      .flags = Join(
          {DeadLetterFlags(),
           {GrpcFlag(), TimeoutFlag("How long each call may take."), OutputFlag(), ColorFlag()}}),
      .examples = {{"hookgate dead-letters redrive billing 42", "This one."},
                   {"hookgate dead-letters redrive billing --all", "All of them."},
                   {"hookgate dead-letters redrive billing --reason-contains 'no route'",
                    "Those that failed because of the network."}},
      .exits = {{kFine, "They were redriven, or there was nothing to redrive."},
                {kFailed, "One could not be redriven, or the gateway refused."},
                {kWrongUsage, "The command line is wrong; nothing was done."},
                {kUnreachable, "No gateway answered in time."},
                {kNotFound, "There is no such subscription, or no more."},
                {kInterrupted, "Ctrl-C came while the job went on; it still does."}},
      .run = Run};
}

}  // namespace hookgate::cli
