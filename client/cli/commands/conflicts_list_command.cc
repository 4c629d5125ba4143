#include "client/cli/commands/conflicts_list_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/message_json.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "conflicts list";

ListedItems::Item ItemOf(const v1::Conflict& conflict, const Reader& reader) {
  return {{{absl::StrCat(conflict.sequence())},
           {When(conflict.has_last_receive_time(), conflict.last_receive_time(), reader).age,
            Look::kFaint},
           {absl::StrCat(conflict.receive_count())},
           {conflict.source()},
           {conflict.webhook_id()},
           {absl::StrCat(conflict.first_body_bytes())}},
          MessageJson(conflict)};
}

int Run(const Flags& flags, Environment& environment) {
  v1::ListConflictsRequest request;
  request.set_source(flags.Text("source"));
  return RunPagedListing(
      {.command = kName,
       .singular = "event with another body",
       .plural = "events with other bodies",
       .none = flags.Has("source") ? "No event of this source came with two bodies."
                                   : "No event came with two bodies.",
       .columns = {{"SEQUENCE", true},
                   {"LAST CAME"},
                   {"TIMES", true},
                   {"SOURCE"},
                   {"WEBHOOK-ID"},
                   {"BYTES", true}},
       .fetch =
           FetchBy(&v1::AdminService::StubInterface::ListConflicts, request,
                   &v1::ListConflictsResponse::conflicts, ItemOf, ReaderOf(flags, environment))},
      flags, environment);
}

}  // namespace

Command ConflictsListCommand() {
  return {.name = kName,
          .summary = "List events that were repeated with another body",
          .description =
              "Lists the events whose webhook-id was sent again with another body and a valid "
              "signature: when that was last, how often, and how long the first other body is. The "
              "event keeps the body that came first.",
          .flags = Join({{{.name = "source", .value = "NAME", .help = "Only from this source."}},
                         PagedListingFlags()}),
          .examples = {{"hookgate conflicts list", "Which events have another body?"},
                       {"hookgate conflicts list --all --output json | jq -r .sequence",
                        "The sequences alone, for a script."}},
          .exits = ListingExits(),
          .run = Run};
}

}  // namespace hookgate::cli
