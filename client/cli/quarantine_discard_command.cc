#include "client/cli/quarantine_discard_command.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/common_flags.h"
#include "client/cli/confirm.h"
#include "client/cli/exit_code.h"
#include "client/cli/gateway_calls.h"
#include "client/cli/message_json.h"
#include "client/cli/quarantine_selection.h"
#include "client/cli/report.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "quarantine discard";
constexpr size_t kBatch = 1000;

// Prints what became of each; returns the exit code.
int PrintResults(const v1::DiscardQuarantinedResponse& response, const Flags& flags,
                 Environment& environment) {
  const Style style = StyleOf(flags, environment);
  int exit_code = kFine;
  for (const auto& result : response.results()) {
    if (!result.discarded()) exit_code = kFailed;
    const std::string outcome =
        result.discarded() ? style(Look::kGood, "discarded") : style(Look::kBad, "not found");
    environment.out << (IsJson(flags) ? MessageJson(result)
                                      : absl::StrCat(result.id(), " ", outcome))
                    << "\n";
  }
  return exit_code;
}

int DiscardAll(const std::vector<int64_t>& ids, const Flags& flags, Connection& connection,
               Environment& environment) {
  int exit_code = kFine;
  for (size_t begin = 0; begin < ids.size(); begin += kBatch) {
    const size_t end = std::min(begin + kBatch, ids.size());
    v1::DiscardQuarantinedRequest request;
    for (size_t i = begin; i < end; ++i) request.add_ids(ids[i]);
    v1::DiscardQuarantinedResponse response;
    const GatewayError error =
        CallGateway(connection.admin(), &v1::AdminService::StubInterface::DiscardQuarantined,
                    request, flags.Duration("timeout"), response);
    if (!error.status.ok()) {
      return FailedCall(error, "cannot discard", connection.target(), environment);
    }
    if (PrintResults(response, flags, environment) != kFine) exit_code = kFailed;
  }
  return exit_code;
}

int Run(const Flags& flags, Environment& environment) {
  absl::Status right = CheckQuarantineSelection(flags);
  if (right.ok()) right = CheckCanConfirm(flags, environment);
  if (!right.ok()) return WrongUsage(kName, right.message(), environment);
  const std::unique_ptr<Connection> connection =
      environment.connect(flags.Text("grpc"), environment.security);
  std::vector<int64_t> ids;
  const GatewayError error = SelectQuarantined(flags, *connection, ids);
  if (!error.status.ok()) {
    return FailedCall(error, "cannot list the quarantine", connection->target(), environment);
  }
  if (ids.empty()) {
    if (!IsJson(flags)) environment.out << "There is nothing to discard.\n";
    return kFine;
  }
  const std::string question = absl::StrCat("Discard ", ids.size(), " signed webhook",
                                            ids.size() == 1 ? "" : "s", " for good?");
  if (!Confirm(question, flags, environment)) {
    return Fail(kFailed, "nothing was discarded", environment);
  }
  return DiscardAll(ids, flags, *connection, environment);
}

}  // namespace

Command QuarantineDiscardCommand() {
  return {.name = kName,
          .summary = "Remove them for good",
          .description =
              "Removes webhooks from the quarantine for good: no upgrade can turn them into events "
              "any more. On a terminal it asks first.",
          .arguments = {.usage = "[ID ...]", .most = kAnyNumber},
          .flags = Join({QuarantineSelectionFlags(),
                         {YesFlag(), GrpcFlag(), TimeoutFlag("How long each call may take."),
                          OutputFlag(), ColorFlag()}}),
          .examples = {{"hookgate quarantine discard 7", "This one, after a question."},
                       {"hookgate quarantine discard --all --source staging --yes",
                        "All from this source, without one."}},
          .exits = {{kFine, "They are gone, or there was nothing to discard."},
                    {kFailed, "The answer was no, one is not there, or the gateway refused."},
                    {kWrongUsage,
                     "The command line is wrong, or --yes is missing where nobody can be asked; "
                     "nothing was done."},
                    {kUnreachable, "No gateway answered in time."}},
          .run = Run};
}

}  // namespace hookgate::cli
