#include "client/cli/commands/quarantine_retry_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/batched_call.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/quarantine_selection.h"
#include "client/cli/exit_code.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

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
  if (const absl::Status right = CheckQuarantineSelection(flags); !right.ok()) {
    return WrongUsage(kName, right.message(), environment);
  }
  GatewayClient gateway(flags, environment);
  std::vector<int64_t> ids;
  const int listed = gateway.Report(SelectQuarantined(flags, gateway, ids), "list the quarantine");
  if (listed != kSuccess) return listed;
  if (ids.empty() && !IsJson(flags)) environment.out << "There is nothing to retry.\n";
  using Stub = v1::AdminService::StubInterface;
  using Request = v1::RetryQuarantinedRequest;
  return CallInBatches(BatchedCall<Stub, Request, Response>{.what = "retry",
                                                            .method = &Stub::RetryQuarantined,
                                                            .add = &Request::add_ids,
                                                            .line = LineOf,
                                                            .max_batch = kBatch},
                       ids, gateway);
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
      .flags =
          Join({QuarantineSelectionFlags(),
                {GrpcFlag(), TimeoutFlag("How long each call may take: one for every 100.", "30s"),
                 OutputFlag(), ColorFlag()}}),
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
