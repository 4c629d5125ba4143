#include "client/cli/commands/quarantine_list_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/message_json.h"
#include "hookgate/v1/admin_service.pb.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "quarantine list";

ListedItems::Item ItemOf(const v1::QuarantinedWebhook& webhook, const Reader& reader) {
  return {{{absl::StrCat(webhook.id())},
           {When(webhook.has_last_receive_time(), webhook.last_receive_time(), reader).age,
            Look::kFaint},
           {absl::StrCat(webhook.receive_count())},
           {webhook.source()},
           {webhook.webhook_id()},
           {webhook.reason(), Look::kBad},
           {webhook.detail()}},
          MessageJson(webhook)};
}

int Run(const Flags& flags, Environment& environment) {
  v1::ListQuarantinedRequest request;
  request.set_source(flags.Text("source"));
  return RunPagedListing({.command = kName,
                          .singular = "webhook in quarantine",
                          .plural = "webhooks in quarantine",
                          .none = flags.Has("source") ? "Nothing from this source is in quarantine."
                                                      : "The quarantine is empty.",
                          .columns = {{"ID", true},
                                      {"LAST CAME"},
                                      {"TIMES", true},
                                      {"SOURCE"},
                                      {"WEBHOOK-ID"},
                                      {"REASON"},
                                      {"DETAIL"}},
                          .fetch = FetchBy(&v1::AdminService::StubInterface::ListQuarantined,
                                           request, &v1::ListQuarantinedResponse::webhooks, ItemOf,
                                           ReaderOf(flags, environment))},
                         flags, environment);
}

}  // namespace

Command QuarantineListCommand() {
  return {.name = kName,
          .summary = "List the webhooks that could not be decoded",
          .description =
              "Lists the webhooks in quarantine, newest first: when each came last and how often, "
              "what it is, and why it was not decoded.",
          .flags = Join({{{.name = "source", .value = "NAME", .help = "Only from this source."}},
                         PagedListingFlags()}),
          .examples = {{"hookgate quarantine list", "What is in quarantine?"},
                       {"hookgate quarantine list --all --output json | jq -r .id",
                        "The ids alone, for a script."}},
          .exits = ListingExits(),
          .run = Run};
}

}  // namespace hookgate::cli
