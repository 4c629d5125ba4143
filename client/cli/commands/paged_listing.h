// What commands that list one kind of thing share: pages, a limit, a table or JSON lines.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_PAGED_LISTING_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_PAGED_LISTING_H_

#include <functional>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/environment.h"
#include "client/cli/flags.h"
#include "client/cli/table.h"
#include "client/gateway_error.h"

namespace hookgate::cli {

// --limit, --all, --grpc, --timeout, --output, --color.
std::vector<FlagSpec> PagedListingFlags();
// How the commands end.
std::vector<Command::Exit> ListingExits();

struct ListedItems {
  struct Item {
    std::vector<Table::Cell> cells;  // Of the table.
    std::string json;
  };
  std::vector<Item> items;
  std::string next_page_token;
};

struct PagedListing {
  std::string command;   // "quarantine list"
  std::string singular;  // "webhook in quarantine"
  std::string plural;    // "webhooks in quarantine"
  std::string none;      // What is said when there are none: "The quarantine is empty."
  std::vector<Table::Column> columns;
  // One page from `page_token` on.
  std::function<GatewayError(GatewayClient& gateway, int page_size, const std::string& page_token,
                             ListedItems& page)>
      fetch;
  // Asked after the pages: lines that explain them, printed below the table alone; may be null.
  std::function<std::string(GatewayClient& gateway)> remark = nullptr;
};

// Prints page after page up to --limit, or all; returns the exit code.
int RunPagedListing(const PagedListing& listing, const Flags& flags, Environment& environment);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_PAGED_LISTING_H_
