#include "client/cli/failures_command.h"

#include "client/cli/event_listing.h"
#include "client/cli/gateway_calls.h"
#include "client/cli/paged_listing.h"

namespace hookgate::cli {
namespace {

int Run(const Flags& flags, Environment& environment) {
  const absl::Time now = environment.clock.WallNow();
  v1::ListRecentFailuresRequest request;
  FillRequest(flags, now, request);
  const auto fetch = [&](Connection& connection, int page_size, const std::string& page_token,
                         ListedPage& page) {
    request.set_page_size(page_size);
    request.set_page_token(page_token);
    v1::ListRecentFailuresResponse response;
    GatewayError error =
        CallGateway(connection.events(), &v1::EventService::StubInterface::ListRecentFailures,
                    request, flags.Duration("timeout"), response);
    page.events.assign(response.events().begin(), response.events().end());
    page.next_page_token = response.next_page_token();
    page.total = response.total_count();
    page.total_truncated = response.total_count_truncated();
    return error;
  };
  return RunListing({"failures", "failure", "failures", fetch}, flags, now, environment);
}

}  // namespace

Command FailuresCommand() {
  return {.name = "failures",
          .summary = "List what failed lately",
          .description =
              "Lists the events that report a failure, such as batch.failed, newest first, and how "
              "many there are. Without flags: those of the last 24 hours.",
          .arguments = {.flag_of_stray = "subject"},
          .flags = ListingFlags("24h"),
          .examples = {{"hookgate failures --since 1h", "What failed in the last hour?"},
                       {"hookgate failures --subject batch_abc --since 30d",
                        "Has this batch failed, in the last 30 days?"},
                       {"hookgate failures --output json --all | jq -r .subject",
                        "The ids alone, of all of them, for a script."}},
          .exits = ListingExits(),
          .run = Run};
}

}  // namespace hookgate::cli
