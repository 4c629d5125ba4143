#include "client/cli/commands/event_listing.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/exit_code.h"
#include "client/cli/report.h"
#include "client/cli/time_format.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

// Small enough that the first rows come soon, large enough that calls do not count.
constexpr int64_t kPageSize = 200;

int64_t LimitOf(const Flags& flags) {
  return flags.Bool("all") ? std::numeric_limits<int64_t>::max() : flags.Int("limit");
}

// "in the last 24 h", "since TIME", "from TIME to TIME"... or "" if there is no bound.
std::string WindowText(const Flags& flags, absl::Time now, absl::TimeZone zone) {
  const bool since = flags.Has("since");
  const bool until = flags.Has("until");
  const auto time = [&](absl::string_view name) { return LocalTime(flags.Time(name, now), zone); };
  if (since && until) return absl::StrCat(" from ", time("since"), " to ", time("until"));
  if (until) return absl::StrCat(" until ", time("until"));
  if (!since) return "";
  const absl::StatusOr<absl::Duration> ago = ParseDuration(flags.Text("since"));
  return ago.ok() ? absl::StrCat(" in the last ", DurationText(*ago))
                  : absl::StrCat(" since ", time("since"));
}

bool HasFilter(const Flags& flags) {
  return flags.Given("source") || flags.Given("type") || flags.Given("subject");
}

// What RunListing has shown so far.
struct Shown {
  int64_t count = 0;
  bool more = false;  // There are, or may be, more than were asked for.
  std::optional<int64_t> total;
  bool total_truncated = false;
};

std::string Summary(const Listing& listing, const Shown& shown, const std::string& window) {
  if (!shown.more) {
    return absl::StrCat(shown.count, " ", shown.count == 1 ? listing.singular : listing.plural,
                        window);
  }
  if (!shown.total.has_value() || *shown.total <= shown.count) {
    const std::string first =
        shown.count == 1 ? listing.singular : absl::StrCat(shown.count, " ", listing.plural);
    return absl::StrCat("the first ", first, window,
                        "; there may be more: --limit N or --all shows them");
  }
  // A count that was cut short says only that there are no fewer.
  return absl::StrCat(shown.count, " of ", shown.total_truncated ? "at least " : "", *shown.total,
                      " ", listing.plural, window, "; --limit N or --all shows more");
}

// What stands below the table, or in its place.
std::string Closing(const Listing& listing, const Shown& shown, const Flags& flags, absl::Time now,
                    absl::TimeZone zone) {
  const std::string window = WindowText(flags, now, zone);
  if (shown.count > 0) return absl::StrCat("\n", Summary(listing, shown, window), "\n");
  return absl::StrCat("No ", listing.plural, window,
                      HasFilter(flags) ? " that match the filter" : "", ".\n");
}

Table PlainTable(const std::vector<v1::Event>& events, const Reader& reader) {
  Table table(EventColumns());
  for (const v1::Event& event : events) table.AddRow(EventCells(event, reader));
  return table;
}

absl::Status CheckFlags(const Flags& flags, absl::Time now) {
  if (flags.Has("since") && flags.Has("until") &&
      flags.Time("since", now) >= flags.Time("until", now)) {
    return absl::InvalidArgumentError("--since is not before --until");
  }
  return CheckAtMostOne(flags, {"limit", "all"});
}

// Calls `show` with each event, until it returns false. The result says what was shown, unless a
// call failed.
GatewayError ForEachEvent(const Listing& listing, const Flags& flags, GatewayClient& gateway,
                          const std::function<bool(const v1::Event&)>& show, Shown& shown) {
  const int64_t limit = LimitOf(flags);
  std::string page_token;
  do {
    ListedPage page;
    const int page_size = static_cast<int>(std::min(kPageSize, limit - shown.count));
    GatewayError error = listing.fetch(gateway, page_size, page_token, page);
    if (!error.status.ok()) return error;
    if (page_token.empty()) {
      shown.total = page.total;
      shown.total_truncated = page.total_truncated;
    }
    for (const v1::Event& event : page.events) {
      if (!show(event)) return GatewayError();
      ++shown.count;
    }
    page_token = page.next_page_token;
  } while (!page_token.empty() && shown.count < limit);
  shown.more = !page_token.empty() &&
               (!shown.total.has_value() || shown.total_truncated || *shown.total > shown.count);
  return GatewayError();
}

}  // namespace

std::vector<FlagSpec> ListingFlags(const std::string& default_since) {
  return Join(
      {{{.name = "since",
         .kind = FlagKind::kTime,
         .value = "AGO|TIME",
         .help = absl::StrCat("Only events received at or after this time: ", kTimeForms, "."),
         .default_value = default_since},
        {.name = "until",
         .kind = FlagKind::kTime,
         .value = "AGO|TIME",
         .help = "Only events received before this time, written as for --since. Default: "
                 "now."}},
       FilterFlags(),
       PagedListingFlags()});
}

template <typename Request>
void FillRequest(const Flags& flags, absl::Time now, Request& request) {
  *request.mutable_filter() = FilterOf(flags);
  if (flags.Has("since")) *request.mutable_start_time() = ToProto(flags.Time("since", now));
  if (flags.Has("until")) *request.mutable_end_time() = ToProto(flags.Time("until", now));
}
template void FillRequest(const Flags&, absl::Time, v1::ListRecentFailuresRequest&);
template void FillRequest(const Flags&, absl::Time, v1::ListEventsRequest&);

int RunListing(const Listing& listing, const Flags& flags, absl::Time now,
               Environment& environment) {
  if (const absl::Status right = CheckFlags(flags, now); !right.ok()) {
    return WrongUsage(listing.command, right.message(), environment);
  }
  GatewayClient gateway(flags, environment);
  const Reader reader = {now, environment.zone, StyleOf(flags, environment)};
  const bool json = IsJson(flags);
  std::vector<v1::Event> events;  // Of the table.
  const auto show = [&](const v1::Event& event) {
    if (json) {
      environment.out << EventJson(event) << "\n";
    } else {
      events.push_back(event);
    }
    return environment.out.good();
  };
  Shown shown;
  const GatewayError error = ForEachEvent(listing, flags, gateway, show, shown);
  if (!json && shown.count > 0) {
    const Table table = listing.table ? listing.table(events, reader) : PlainTable(events, reader);
    table.Print(reader.style, environment.out);
  }
  if (!error.status.ok()) {
    return gateway.Report(error, absl::StrCat("list ", listing.plural));
  }
  if (!json) environment.out << Closing(listing, shown, flags, now, environment.zone);
  if (!json && listing.note) environment.out << listing.note(gateway);
  return kSuccess;
}

}  // namespace hookgate::cli
