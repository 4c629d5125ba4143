#include "client/cli/commands/quarantine_discard_command.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/batched_call.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/quarantine_selection.h"
#include "client/cli/confirm.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "quarantine discard";

ResultLine LineOf(const v1::DiscardQuarantinedResponse::Result& result, const Style& style) {
  return {.number = result.id(),
          .done = result.discarded(),
          .outcome = result.discarded() ? style(Look::kGood, "discarded")
                                        : style(Look::kBad, "not found")};
}

int Run(const Flags& flags, Environment& environment) {
  absl::Status right = CheckQuarantineSelection(flags);
  if (right.ok()) right = CheckCanConfirm(flags, environment);
  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  GatewayClient gateway(flags, environment);
  std::vector<int64_t> ids;
  const int listed = gateway.Report(SelectQuarantined(flags, gateway, ids), "list the quarantine");
  if (listed != kSuccess) return listed;
  if (ids.empty()) {
    if (!IsJson(flags)) environment.out << "There is nothing to discard.\n";
    return kSuccess;
  }
  const std::string question = absl::StrCat("Discard ", ids.size(), " signed webhook",
                                            ids.size() == 1 ? "" : "s", " permanently?");
  if (!Confirm(question, flags, environment)) {
    return Fail(kFailed, "nothing was discarded", environment);
  }
  using Stub = v1::AdminService::StubInterface;
  using Request = v1::DiscardQuarantinedRequest;
  return CallInBatches(
      BatchedCall<Stub, Request, v1::DiscardQuarantinedResponse>{
          .what = "discard",
          .method = &Stub::DiscardQuarantined,
          .add = &Request::add_ids,
          .line = LineOf},
      ids, gateway);
}

}  // namespace

Command QuarantineDiscardCommand() {
  return {
      .name = kName,
      .summary = "Discard them permanently",
      .description =
          "Removes webhooks from the quarantine permanently: no upgrade can turn them into events "
          "any more. On a terminal it asks first.",
      .arguments = {.usage = "[ID ...]", .most = kAnyNumber},
      .flags = Join({QuarantineSelectionFlags(),
                     {YesFlag(), GrpcFlag(), TimeoutFlag("How long each call may take."),
                      OutputFlag(), ColorFlag()}}),
      .examples = {{"hookgate quarantine discard 7", "This one, after a question."},
                   {"hookgate quarantine discard --all --source staging --yes",
                    "All from this source, without one."}},
      .exits = {{kSuccess, "They are removed, or there was nothing to discard."},
                {kFailed, "The answer was no, one is not there, or the gateway refused."},
                {kWrongUsage,
                 "The command line is wrong, or --yes is missing without a terminal; "
                 "nothing was done."},
                {kUnreachable, "No gateway answered in time."}},
      .run = Run};
}

}  // namespace hookgate::cli
