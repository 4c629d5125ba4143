#include "client/cli/commands/events_command.h"

#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/event_listing.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/paged_listing.h"

namespace hookgate::cli {
namespace {

int Run(const Flags& flags, Environment& environment) {
  const absl::Time now = environment.clock.WallNow();
  v1::ListEventsRequest request;
  FillRequest(flags, now, request);
  request.set_order(flags.Text("order") == "oldest" ? v1::ORDER_OLDEST_FIRST
                                                    : v1::ORDER_NEWEST_FIRST);
  const auto fetch = [&](GatewayClient& gateway, int page_size, const std::string& page_token,
                         ListedPage& page) {
    request.set_page_size(page_size);
    request.set_page_token(page_token);
    v1::ListEventsResponse response;
    GatewayError error =
        gateway.Try(&v1::EventService::StubInterface::ListEvents, request, response);
    page.events.assign(response.events().begin(), response.events().end());
    page.next_page_token = response.next_page_token();
    return error;
  };
  return RunListing({"events", "event", "events", fetch}, flags, now, environment);
}

}  // namespace

Command EventsCommand() {
  return {.name = "events",
          .summary = "List stored events",
          .description =
              "Lists the events that the gateway holds, of any type, by time and filter. It ends "
              "at the newest event; `hookgate subscribe` continues with new events.",
          .arguments = {.flag_of_stray = "subject"},
          .flags = Join({{{.name = "order",
                           .kind = FlagKind::kChoice,
                           .help = "The order, by sequence.",
                           .default_value = "newest",
                           .choices = {"newest", "oldest"}}},
                         ListingFlags("")}),
          .examples = {{"hookgate events --limit 10", "The ten newest events."},
                       {"hookgate events --since 2d --order oldest --all",
                        "Everything of the last two days, as it came."},
                       {"hookgate events --type 'batch.*' --output json",
                        "Events about batches, for a script."}},
          .exits = ListingExits(),
          .run = Run};
}

}  // namespace hookgate::cli
