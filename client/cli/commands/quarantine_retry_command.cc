#include "client/cli/commands/quarantine_retry_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/bulk_command.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/listed_selection.h"
#include "client/cli/commands/quarantine_selection.h"
#include "client/cli/exit_code.h"
#include "client/cli/printable.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

using Stub = v1::AdminService::StubInterface;
using Request = v1::RetryQuarantinedRequest;
using Response = v1::RetryQuarantinedResponse;

constexpr char kName[] = "quarantine retry";
// Each entry that is released is a write to the gateway's log: so many fit any --timeout.
constexpr size_t kBatch = 100;

bool IsDone(const Response::Result& result) {
  return result.outcome() == Response::OUTCOME_RELEASED ||
         result.outcome() == Response::OUTCOME_STORED_BEFORE;
}

std::string OutcomeText(const Response::Result& result, const Style& style) {
  switch (result.outcome()) {
    case Response::OUTCOME_RELEASED:
      return absl::StrCat(style(Look::kGood, "released"), ": event #", result.sequence());
    case Response::OUTCOME_STORED_BEFORE:
      return absl::StrCat(style(Look::kGood, "stored before"), ": event #", result.sequence());
    case Response::OUTCOME_NOT_DECODED:
      return absl::StrCat(style(Look::kBad, "not decoded"), ": ", Printable(result.reason()), ": ",
                          Printable(result.detail()));
    case Response::OUTCOME_NOT_FOUND:
      return style(Look::kBad, "not found");
    default:
      return Response::Outcome_Name(result.outcome());
  }
}

ResultLine LineOf(const Response::Result& result, const Style& style) {
  return {.number = result.id(), .done = IsDone(result), .outcome = OutcomeText(result, style)};
}

int Run(const Flags& flags, Environment& environment) {
  const BulkCommand<Stub, Request, Response> command = {
      .name = kName,
      .words = {.verb = "retry", .singular = "webhook", .plural = "webhooks"},
      .method = &Stub::RetryQuarantined,
      .add = &Request::add_ids,
      .line = LineOf,
      .max_batch = kBatch};
  return RunOnListed(command, Quarantine(), flags, environment);
}

}  // namespace

Command QuarantineRetryCommand() {
  return {
      .name = kName,
      .summary = "Decode them again, as after an upgrade",
      .description =
          "Decodes webhooks in quarantine again. What the gateway understands now becomes an event "
          "under its own webhook-id, once, and leaves the quarantine; subscribers get it as the "
          "newest event. What it still does not understand stays. Oldest first with --all.",
      .arguments = {.usage = "[ID ...]", .most = kAnyNumber},
      .flags = Join({ListedSelectionFlags("All that are there now."),
                     CallFlags("How long each call may take: one for every 100.", "30s")}),
      .examples = {{"hookgate quarantine retry 7 8", "These two."},
                   {"hookgate quarantine retry --all", "After an upgrade of hookgated."}},
      .exits = {{kSuccess, "All of them are events now, or there was nothing to retry."},
                {kFailed, "One still cannot be decoded or is not there; or the gateway refused."},
                {kWrongUsage, "The command line is wrong; nothing was done."},
                {kUnreachable,
                 "No gateway answered in time; those that were done already leave no trace in the "
                 "quarantine, and it can be called again."}},
      .run = Run};
}

}  // namespace hookgate::cli
