#include "client/cli/commands/conflicts_discard_command.h"

#include <cstdint>
#include <string>
#include <vector>

#include "client/cli/commands/bulk_command.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/item_numbers.h"
#include "client/cli/commands/listed_selection.h"
#include "client/cli/confirm.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "conflicts discard";

using Stub = v1::AdminService::StubInterface;
using Request = v1::DiscardConflictsRequest;
using Response = v1::DiscardConflictsResponse;

GatewayError List(const std::string& source, GatewayClient& gateway,
                  std::vector<int64_t>& sequences) {
  return ListNumbers(&Stub::ListConflicts, source, &v1::ListConflictsResponse::conflicts,
                     &v1::Conflict::sequence, gateway, sequences);
}

ResultLine LineOf(const Response::Result& result, const Style& style) {
  return DiscardedLine(result.sequence(), result.discarded(), style);
}

int Run(const Flags& flags, Environment& environment) {
  const BulkCommand<Stub, Request, Response> command = {
      .name = kName,
      .words = {.verb = "discard",
                .singular = "event",
                .plural = "events",
                .question = "Discard the other bodies of $0 permanently?"},
      .method = &Stub::DiscardConflicts,
      .add = &Request::add_sequences,
      .line = LineOf};
  return RunOnListed(command, {.name = "conflicts", .words = kConflictSequences, .list = List},
                     flags, environment);
}

}  // namespace

Command ConflictsDiscardCommand() {
  return {.name = kName,
          .summary = "Discard other bodies permanently",
          .description =
              "Removes the other bodies of events permanently. The events stay as they are. On a "
              "terminal it asks first.",
          .arguments = {.usage = "[SEQUENCE ...]", .most = kAnyNumber},
          .flags = Join({ListedSelectionFlags("Of all events that have any now."),
                         {YesFlag()},
                         CallFlags("How long each call may take.")}),
          .examples = {{"hookgate conflicts discard 42", "Of this event, after a question."},
                       {"hookgate conflicts discard --all --yes", "All, without one."}},
          .exits = ListedDiscardExits(),
          .run = Run};
}

}  // namespace hookgate::cli
