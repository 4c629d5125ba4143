#include "client/cli/commands/dead_letters_discard_command.h"

#include <vector>

#include "client/cli/commands/bulk_command.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/dead_letter_selection.h"
#include "client/cli/commands/selection_job.h"
#include "client/cli/confirm.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {
namespace {

using Stub = v1::SubscriptionService::StubInterface;
using Request = v1::DiscardDeadLettersRequest;
using Response = v1::DiscardDeadLettersResponse;

constexpr char kName[] = "dead-letters discard";

ResultLine LineOf(const Response::Result& result, const Style& style) {
  return DiscardedLine(result.sequence(), result.discarded(), style);
}

int Run(const Flags& flags, Environment& environment) {
  const BulkCommand<Stub, Request, Response> command = {
      .name = kName,
      .words = {.verb = "discard",
                .singular = "dead letter",
                .plural = "dead letters",
                .question = "Discard $0 permanently?"},
      .method = &Stub::DiscardDeadLetters,
      .add = &Request::add_sequences,
      .line = LineOf};
  return RunOnDeadLetters(command, flags, environment);
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
      .flags = Join({DeadLetterFlags(), {YesFlag()}, CallFlags("How long each call may take.")}),
      .examples = {{"hookgate dead-letters discard billing 42", "This one, after a question."},
                   {"hookgate dead-letters discard billing --all --yes", "All, without one."},
                   {"hookgate dead-letters discard billing --older-than 2w --preview",
                    "How many are older than two weeks?"}},
      .exits = SelectionJobExits(
          "They were discarded, or there was nothing to discard.",
          "The answer was no, one could not be discarded, or the gateway refused."),
      .run = Run};
}

}  // namespace hookgate::cli
