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
#include "client/cli/reader.h"
#include "client/cli/table.h"
#include "client/gateway_error.h"
#include "google/protobuf/repeated_ptr_field.h"

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

// Gets one page from `page_token` on.
using FetchPage = std::function<GatewayError(GatewayClient& gateway, int page_size,
                                             const std::string& page_token, ListedItems& page)>;

struct PagedListing {
  std::string command;   // "quarantine list"
  std::string singular;  // "webhook in quarantine"
  std::string plural;    // "webhooks in quarantine"
  std::string none;      // What is said when there are none: "The quarantine is empty."
  std::vector<Table::Column> columns;
  FetchPage fetch;
  // Asked after the pages: lines that explain them, printed below the table alone; may be null.
  std::function<std::string(GatewayClient& gateway)> remark = nullptr;
};

// Gets pages by `method`, whose `request` says what is listed, of `items` of the response, each as
// `item_of` shows it to `reader`.
template <typename Stub, typename Request, typename Response, typename Item>
FetchPage FetchBy(UnaryMethod<Stub, Request, Response> method, Request request,
                  const google::protobuf::RepeatedPtrField<Item>& (Response::*items)() const,
                  ListedItems::Item (*item_of)(const Item&, const Reader&), const Reader& reader) {
  return [=](GatewayClient& gateway, int page_size, const std::string& page_token,
             ListedItems& page) mutable {
    request.set_page_size(page_size);
    request.set_page_token(page_token);
    Response response;
    GatewayError error = gateway.Try(method, request, response);
    for (const Item& item : (response.*items)()) page.items.push_back(item_of(item, reader));
    page.next_page_token = response.next_page_token();
    return error;
  };
}

// Prints page after page up to --limit, or all; returns the exit code.
int RunPagedListing(const PagedListing& listing, const Flags& flags, Environment& environment);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_PAGED_LISTING_H_
