#include "client/cli/commands/dead_letters_discard_command.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/batched_call.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/dead_letter_selection.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/selection_job.h"
#include "client/cli/confirm.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

using Response = v1::DiscardDeadLettersResponse;

constexpr char kName[] = "dead-letters discard";

ResultLine LineOf(const Response::Result& result, const Style& style) {
  return {.number = result.sequence(),
          .done = result.discarded(),
          .outcome = result.discarded() ? style(Look::kGood, "discarded")
                                        : style(Look::kBad, "not found")};
}

int Run(const Flags& flags, Environment& environment) {
  absl::Status right = CheckDeadLetterSelection(flags);
  if (right.ok() && !flags.Bool("preview")) right = CheckCanConfirm(flags, environment);
  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  if (LooksForDeadLetters(flags)) {
    v1::DiscardDeadLettersRequest request;
    request.set_subscription(flags.arguments()[0]);
    *request.mutable_selection() = DeadLettersLookedFor(flags, environment.clock.WallNow());
    return RunSelectionJob({.verb = "discard",
                            .singular = "dead letter",
                            .plural = "dead letters",
                            .cannot_be_undone = true},
                           &v1::SubscriptionService::StubInterface::DiscardDeadLetters, request,
                           flags, environment);
  }
  std::vector<int64_t> sequences;
  (void)ParseSequences(flags, "", sequences);  // They were checked.
  const std::string question = absl::StrCat("Discard ", sequences.size(), " dead letter",
                                            sequences.size() == 1 ? "" : "s", " permanently?");
  if (!Confirm(question, flags, environment)) {
    return Fail(kFailed, "nothing was discarded", environment);
  }
  GatewayClient gateway(flags, environment);
  using Stub = v1::SubscriptionService::StubInterface;
  using Request = v1::DiscardDeadLettersRequest;
  BatchedCall<Stub, Request, Response> call = {.what = "discard",
                                               .method = &Stub::DiscardDeadLetters,
                                               .add = &Request::add_sequences,
                                               .line = LineOf};
  call.request.set_subscription(flags.arguments()[0]);
  return CallInBatches(call, sequences, gateway);
}

}  // namespace

Command DeadLettersDiscardCommand() {
  return {
      .name = kName,
      .summary = "Discard dead letters permanently",
      .description =
          "Discards dead letters permanently: this subscription will not deliver them again. "
          "Their events stay in the event log. On a terminal it asks first. With --all, or flags "
          "that "
          "look for some, it says how many there are, and the gateway does it as a job; Ctrl-C "
          "ends the command and leaves the job to the gateway.",
      .arguments = {.usage = "SUBSCRIPTION [SEQUENCE ...]", .least = 1, .most = kAnyNumber},
      .flags = Join({DeadLetterFlags(),
                     {YesFlag(), GrpcFlag(), TimeoutFlag("How long each call may take."),
                      OutputFlag(), ColorFlag()}}),
      .examples = {{"hookgate dead-letters discard billing 42", "This one, after a question."},
                   {"hookgate dead-letters discard billing --all --yes", "All, without one."},
                   {"hookgate dead-letters discard billing --older-than 2w --preview",
                    "How many are older than two weeks?"}},
      .exits = {{kSuccess, "They were discarded, or there was nothing to discard."},
                {kFailed, "The answer was no, one could not be discarded, or the gateway refused."},
                {kWrongUsage, "The command line is wrong; nothing was done."},
                {kUnreachable, "No gateway answered in time."},
                {kNotFound, "There is no such subscription (any more)."},
                {kInterrupted, "Ctrl-C came while the job went on; it still does."}},
      .run = Run};
}

}  // namespace hookgate::cli
