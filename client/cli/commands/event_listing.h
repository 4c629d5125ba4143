// Shared by `failures` and `events`: the flags of a window of time, paging, and printing.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_EVENT_LISTING_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_EVENT_LISTING_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/cli/commands/event_text.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/environment.h"
#include "client/cli/flags.h"
#include "client/cli/reader.h"
#include "client/cli/table.h"
#include "client/gateway_error.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate::cli {

// --grpc, filters, --since (`default_since`: "" is none), --until, --limit, --all, --timeout,
// --output, --color.
std::vector<FlagSpec> ListingFlags(const std::string& default_since);

// Fills the fields that both list requests have, from the flags.
template <typename Request>
void FillRequest(const Flags& flags, absl::Time now, Request& request);

struct ListedPage {
  std::vector<v1::Event> events;
  std::string next_page_token;
  // How many there are in all, if the gateway counts them; with `total_truncated`, there are more.
  std::optional<int64_t> total;
  bool total_truncated = false;
};

struct Listing {
  std::string command;   // "failures"
  std::string singular;  // "failure"
  std::string plural;    // "failures"
  // One page from `page_token` on.
  std::function<GatewayError(GatewayClient& gateway, int page_size, const std::string& page_token,
                             ListedPage& page)>
      fetch;
  // Makes the table of all listed events. Empty: one row for each event, with the usual columns.
  std::function<Table(const std::vector<v1::Event>& events, const Reader& reader)> table = {};
  // Makes a line to print below the table; may return "".
  std::function<std::string(GatewayClient& gateway)> note = {};
};

// Prints page after page up to --limit, or all; returns the exit code.
int RunListing(const Listing& listing, const Flags& flags, absl::Time now,
               Environment& environment);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_EVENT_LISTING_H_
