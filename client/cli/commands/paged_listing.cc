#include "client/cli/commands/paged_listing.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/call_exits.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"

namespace hookgate::cli {
namespace {

constexpr int64_t kPageSize = 200;

// What stands below the table, or in its place.
std::string Closing(const PagedListing& listing, int64_t count, bool more) {
  if (count == 0) return absl::StrCat(listing.none, "\n");
  if (!more) {
    return absl::StrCat("\n", count, " ", count == 1 ? listing.singular : listing.plural, "\n");
  }
  const std::string first =
      count == 1 ? listing.singular : absl::StrCat(count, " ", listing.plural);
  return absl::StrCat("\nthe first ", first, "; there are more: --limit N or --all shows them\n");
}

}  // namespace

std::vector<FlagSpec> PagedListingFlags() {
  return Join({{{.name = "limit",
                 .kind = FlagKind::kInt,
                 .value = "N",
                 .help = "Show at most so many.",
                 .default_value = "50",
                 .minimum = 1},
                {.name = "all", .kind = FlagKind::kBool, .help = "Show all of them."}},
               CallFlags("How long each call may take.")});
}

std::vector<Command::Exit> ListingExits() {
  return ShowExits("The list was printed, even if it is empty.",
                   "The gateway has no such source, or no such subscription.");
}

int RunPagedListing(const PagedListing& listing, const Flags& flags, Environment& environment) {
  if (const absl::Status right = CheckAtMostOne(flags, {"limit", "all"}); !right.ok()) {
    return WrongUsage(listing.command, right.message(), environment);
  }
  const int64_t limit =
      flags.Bool("all") ? std::numeric_limits<int64_t>::max() : flags.Int("limit");
  GatewayClient gateway(flags, environment);
  const bool json = IsJson(flags);
  Table table(listing.columns);
  int64_t count = 0;
  GatewayError error;
  ListedItems page;
  do {
    const int page_size = static_cast<int>(std::min(kPageSize, limit - count));
    const std::string page_token = page.next_page_token;
    page = ListedItems();
    error = listing.fetch(gateway, page_size, page_token, page);
    count += static_cast<int64_t>(page.items.size());
    for (ListedItems::Item& item : page.items) {
      if (json) {
        environment.out << item.json << "\n";
      } else {
        table.AddRow(std::move(item.cells));
      }
    }
  } while (!page.next_page_token.empty() && count < limit && environment.out.good());
  if (!json && count > 0) table.Print(StyleOf(flags, environment), environment.out);
  if (!error.status.ok()) {
    return gateway.Report(error, absl::StrCat("list ", listing.plural));
  }
  if (!json) {
    environment.out << Closing(listing, count, !page.next_page_token.empty());
    if (listing.remark != nullptr) environment.out << listing.remark(gateway);
  }
  return kSuccess;
}

}  // namespace hookgate::cli
