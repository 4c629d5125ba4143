#include "client/cli/commands/quarantine_discard_command.h"

#include <string>

#include "client/cli/commands/bulk_command.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/listed_selection.h"
#include "client/cli/commands/quarantine_selection.h"
#include "client/cli/confirm.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "quarantine discard";

using Stub = v1::AdminService::StubInterface;
using Request = v1::DiscardQuarantinedRequest;
using Response = v1::DiscardQuarantinedResponse;

ResultLine LineOf(const Response::Result& result, const Style& style) {
  return DiscardedLine(result.id(), result.discarded(), style);
}

int Run(const Flags& flags, Environment& environment) {
  const BulkCommand<Stub, Request, Response> command = {
      .name = kName,
      .words = {.verb = "discard",
                .singular = "signed webhook",
                .plural = "signed webhooks",
                .question = "Discard $0 permanently?"},
      .method = &Stub::DiscardQuarantined,
      .add = &Request::add_ids,
      .line = LineOf};
  return RunOnListed(command, Quarantine(), flags, environment);
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
      .flags = Join({ListedSelectionFlags("All that are there now."),
                     {YesFlag()},
                     CallFlags("How long each call may take.")}),
      .examples = {{"hookgate quarantine discard 7", "This one, after a question."},
                   {"hookgate quarantine discard --all --source staging --yes",
                    "All from this source, without one."}},
      .exits = ListedDiscardExits(),
      .run = Run};
}

}  // namespace hookgate::cli
