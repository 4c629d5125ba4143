#include "client/cli/commands/refused_command.h"

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/message_json.h"
#include "client/cli/time_format.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

constexpr char kName[] = "refused";

// "192.0.2.7", "192.0.2.7 by 10.0.0.1", or "? by 10.0.0.1" if the proxy named nobody.
std::string Client(const v1::RefusedRequest& request) {
  const std::string& client = request.client_address();
  if (client == request.peer_address()) return client;
  return absl::StrCat(client.empty() ? "?" : client, " by ", request.peer_address());
}

ListedItems::Item ItemOf(const v1::RefusedRequest& request, const Reader& reader) {
  return {{{When(request.has_last_time(), request.last_time(), reader).age, Look::kFaint},
           {absl::StrCat(request.count())},
           {request.source().empty() ? request.path() : request.source()},
           {request.code(), Look::kBad},
           {Client(request)},
           {request.webhook_id()},
           {request.detail()}},
          MessageJson(request)};
}

int Run(const Flags& flags, Environment& environment) {
  const Reader reader = ReaderOf(flags, environment);
  v1::ListRefusedRequest request;
  request.set_source(flags.Text("source"));
  request.set_code(flags.Text("code"));
  request.set_address(flags.Text("address"));
  request.set_webhook_id(flags.Text("webhook-id"));
  if (flags.Has("since")) {
    *request.mutable_since_time() = ToProto(flags.Time("since", environment.clock.WallNow()));
  }
  const bool narrowed = flags.Has("source") || flags.Has("code") || flags.Has("address") ||
                        flags.Has("webhook-id") || flags.Has("since");
  PagedListing listing = {.command = kName,
                          .singular = "refused request",
                          .plural = "refused requests",
                          .none = narrowed ? "None of the refused requests in memory match."
                                           : "Nothing was refused since the gateway was started.",
                          .columns = {{"LAST CAME"},
                                      {"TIMES", true},
                                      {"SOURCE"},
                                      {"CODE"},
                                      {"FROM"},
                                      {"WEBHOOK-ID"},
                                      {"DETAIL"}}};
  listing.fetch = [&](GatewayClient& gateway, int page_size, const std::string& page_token,
                      ListedItems& page) {
    request.set_page_size(page_size);
    request.set_page_token(page_token);
    v1::ListRefusedResponse response;
    GatewayError error =
        gateway.Try(&v1::AdminService::StubInterface::ListRefused, request, response);
    if (error.status.ok() && response.max_remembered() == 0) {
      listing.none = "The gateway remembers no refusals: http.max_remembered_refusals is 0.";
    }
    for (const auto& refused : response.requests()) page.items.push_back(ItemOf(refused, reader));
    page.next_page_token = response.next_page_token();
    return error;
  };
  return RunPagedListing(listing, flags, environment);
}

}  // namespace

Command RefusedCommand() {
  return {
      .name = kName,
      .summary = "List the webhook requests that were refused",
      .description =
          "Lists the requests that the gateway answered with an error since it was started, the "
          "newest first: for what, from where, and which webhook they claimed to be. The same "
          "request, repeated, is listed once. The gateway keeps the newest 1000, or as many as "
          "http.max_remembered_refusals says, in memory. Bodies and the values of headers are "
          "not kept; --output json has the names and sizes of headers.\n\n"
          "Signed webhooks that could not be decoded are in quarantine instead: see hookgate "
          "quarantine list.",
      .arguments = {.flag_of_stray = "webhook-id"},
      .flags = Join({{{.name = "source", .value = "NAME", .help = "Only to this source."},
                      {.name = "code",
                       .value = "CODE",
                       .help = "Only those refused for this reason, such as signature_mismatch."},
                      {.name = "address",
                       .value = "IP",
                       .help = "Only from this address, of the client or of a proxy."},
                      {.name = "webhook-id",
                       .value = "ID",
                       .help = "Only those that claimed to be this webhook."},
                      {.name = "since",
                       .kind = FlagKind::kTime,
                       .value = "TIME",
                       .help = absl::StrCat("Only requests since then: ", kTimeForms, ".")}},
                     PagedListingFlags()}),
      .examples = {{"hookgate refused", "Which requests were refused recently?"},
                   {"hookgate refused --webhook-id wh_abc",
                    "Did this webhook come, and was it refused?"},
                   {"hookgate refused --code signature_mismatch --since 1h",
                    "Who signs with a wrong secret?"}},
      .exits = ListingExits(),
      .run = Run};
}

}  // namespace hookgate::cli
