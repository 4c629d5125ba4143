#include "client/cli/commands/dead_letters_redrive_command.h"

#include <vector>

#include "client/cli/commands/bulk_command.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/dead_letter_selection.h"
#include "client/cli/commands/selection_job.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

using Stub = v1::SubscriptionService::StubInterface;
using Request = v1::RedriveDeadLettersRequest;
using Response = v1::RedriveDeadLettersResponse;

constexpr char kName[] = "dead-letters redrive";

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

ResultLine LineOf(const Response::Result& result, const Style& style) {
  return {.number = result.sequence(),
          .done = result.outcome() == Response::OUTCOME_REDRIVEN,
          .outcome = OutcomeText(result, style)};
}

int Run(const Flags& flags, Environment& environment) {
  const BulkCommand<Stub, Request, Response> command = {
      .name = kName,
      .words = {.verb = "redrive", .singular = "dead letter", .plural = "dead letters"},
      .method = &Stub::RedriveDeadLetters,
      .add = &Request::add_sequences,
      .line = LineOf};
  return RunOnDeadLetters(command, flags, environment);
}

}  // namespace

Command DeadLettersRedriveCommand() {
  return {
      .name = kName,
      .summary = "Deliver them again",
      .description =
          "Puts dead letters back: each is delivered again, as attempt 1, and marked as "
          "redriven. Mend what made them fail first. With --all, or flags that look for some, "
          "the gateway does it as a job, of which this command shows the progress; Ctrl-C ends the "
          "command and leaves the job to the gateway.",
      .arguments = {.usage = "SUBSCRIPTION [SEQUENCE ...]", .least = 1, .most = kAnyNumber},
      .flags = Join({DeadLetterFlags(), CallFlags("How long each call may take.")}),
      .examples = {{"hookgate dead-letters redrive billing 42", "This one."},
                   {"hookgate dead-letters redrive billing --all", "All of them."},
                   {"hookgate dead-letters redrive billing --reason-contains 'no route'",
                    "Those that failed because of the network."}},
      .exits = SelectionJobExits("They were redriven, or there was nothing to redrive.",
                                 "One could not be redriven, or the gateway refused."),
      .run = Run};
}

}  // namespace hookgate::cli
