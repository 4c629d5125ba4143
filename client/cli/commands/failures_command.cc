#include "client/cli/commands/failures_command.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands/common_flags.h"
#include "client/cli/commands/delivery_text.h"
#include "client/cli/commands/event_listing.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/commands/paged_listing.h"
#include "client/cli/report.h"

namespace hookgate::cli {
namespace {

using Deliveries = google::protobuf::RepeatedPtrField<v1::SubscriptionDelivery>;

// More subscriptions than this are counted by state, in one column.
constexpr size_t kMaxColumns = 4;

// Where an event is.
struct Places {
  Deliveries deliveries;
  // Subscriptions that the answer had no room for.
  int omitted = 0;
};

// kHandled if somebody has handled the event, and nobody still has to. Subscriptions that had no
// room may have to.
Handling HandlingOfAll(const Places& places) {
  if (places.omitted > 0) return Handling::kNotHandled;
  Handling all = Handling::kNotHandled;
  for (const v1::SubscriptionDelivery& each : places.deliveries) {
    const Handling handling = HandlingOf(each.delivery());
    if (handling == Handling::kNotHandled) return handling;
    if (handling == Handling::kForgotten) all = handling;
    if (handling == Handling::kHandled && all != Handling::kForgotten) all = handling;
  }
  return all;
}

// "3 acked, 1 dead".
std::string StateCounts(const Places& places) {
  std::map<std::string, int> counts;
  if (places.omitted > 0) counts["not shown"] = places.omitted;
  for (const v1::SubscriptionDelivery& each : places.deliveries) {
    ++counts[StateText(each)];
  }
  return absl::StrJoin(counts, ", ", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, entry.second, " ", entry.first);
  });
}

// Lists failures, and where each is in the subscriptions that the caller may look at.
class Failures {
 public:
  Failures(const Flags& flags, absl::Time now) : flags_(flags) {
    FillRequest(flags, now, request_);
  }

  GatewayError Fetch(GatewayClient& gateway, int page_size, const std::string& page_token,
                     ListedPage& page) {
    request_.set_page_size(page_size);
    request_.set_page_token(page_token);
    v1::ListRecentFailuresResponse response;
    GatewayError error = List(gateway, request_, response);
    if (!error.status.ok()) return error;
    page.events.assign(response.events().begin(), response.events().end());
    page.next_page_token = response.next_page_token();
    page.total = response.total_count();
    page.total_truncated = response.total_count_truncated();
    if (IsJson(flags_) && !chooses()) return error;
    error = LookUp(gateway, page.events);
    // Without it the list is as good as it can be; but a choice by it would be wrong.
    if (!chooses()) return GatewayError();
    if (!error.status.ok()) return error;
    Choose(page);
    return error;
  }

  Table MakeTable(const std::vector<v1::Event>& events, const Reader& reader) const {
    const std::vector<std::string> names = Names(events);
    const bool one_column = names.size() > kMaxColumns || omitted_events_ > 0;
    std::vector<Table::Column> columns = EventColumns();
    for (const std::string& name : names) {
      if (!one_column) columns.push_back({name});
    }
    if (one_column) columns.push_back({"SUBSCRIPTIONS"});
    Table table(std::move(columns));
    for (const v1::Event& event : events) {
      std::vector<Table::Cell> cells = EventCells(event, reader);
      const auto known = places_.find(event.sequence());
      const Places places = known == places_.end() ? Places() : known->second;
      if (one_column) {
        cells.push_back({StateCounts(places)});
      } else {
        AddStates(names, places.deliveries, cells);
      }
      table.AddRow(std::move(cells));
    }
    return table;
  }

  // What the window does not show.
  std::string Note(GatewayClient& gateway) {
    std::string note;
    if (hidden_ > 0) {
      absl::StrAppend(&note, hidden_, hidden_ == 1 ? " subscription" : " subscriptions",
                      " of which you may not know",
                      chooses() ? " did not count" : " have no column", ".\n");
    }
    if (omitted_events_ > 0) {
      absl::StrAppend(&note, "Of ", omitted_events_, omitted_events_ == 1 ? " event" : " events",
                      " not every subscription had room in an answer",
                      !chooses()             ? ""
                      : omitted_events_ == 1 ? "; it counts as not handled"
                                             : "; they count as not handled",
                      ": hookgate explain SEQUENCE --subscription NAME tells of one.\n");
    }
    if (forgotten_ > 0) {
      absl::StrAppend(&note, forgotten_, forgotten_ == 1 ? " more was" : " more were",
                      " settled longer ago than is remembered (storage.history): who handled ",
                      forgotten_ == 1 ? "it" : "them", " is not known.\n");
    }
    if (request_.has_start_time()) {
      v1::ListRecentFailuresRequest older = request_;
      *older.mutable_end_time() = request_.start_time();
      older.mutable_start_time()->set_seconds(0);
      absl::StrAppend(&note,
                      Beyond(gateway, older, "older", "before that: --since AGO shows more"));
    }
    if (request_.has_end_time()) {
      v1::ListRecentFailuresRequest newer = request_;
      *newer.mutable_start_time() = request_.end_time();
      newer.clear_end_time();
      absl::StrAppend(
          &note, Beyond(gateway, newer, "newer", "after that: without --until they are shown"));
    }
    return note;
  }

 private:
  // A line about those that `request` finds, outside the window. That there are any is worth one,
  // that this cannot be told is not.
  std::string Beyond(GatewayClient& gateway, v1::ListRecentFailuresRequest request,
                     absl::string_view which, absl::string_view where) const {
    request.set_page_size(1);
    request.clear_page_token();
    v1::ListRecentFailuresResponse response;
    if (!List(gateway, request, response).status.ok() || response.total_count() == 0) return "";
    return absl::StrCat(response.total_count_truncated() ? "At least " : "", response.total_count(),
                        " ", which, response.total_count() == 1 ? " failure is " : " failures are ",
                        where, ".\n");
  }

  bool chooses() const { return flags_.Bool("handled") || flags_.Bool("unhandled"); }

  GatewayError List(GatewayClient& gateway, const v1::ListRecentFailuresRequest& request,
                    v1::ListRecentFailuresResponse& response) const {
    return gateway.Try(&v1::EventService::StubInterface::ListRecentFailures, request, response);
  }

  // The first error ends it: an older gateway knows no states at all.
  GatewayError LookUp(GatewayClient& gateway, const std::vector<v1::Event>& events) {
    for (const v1::Event& event : events) {
      if (!look_up_error_.status.ok()) break;
      v1::ExplainEventRequest request;
      request.set_sequence(event.sequence());
      v1::ExplainEventResponse response;
      look_up_error_ =
          gateway.Try(&v1::EventService::StubInterface::ExplainEvent, request, response);
      hidden_ = std::max(hidden_, response.hidden_subscriptions());
      if (response.omitted_subscriptions() > 0) ++omitted_events_;
      places_[event.sequence()] = {std::move(*response.mutable_deliveries()),
                                   response.omitted_subscriptions()};
    }
    return look_up_error_;
  }

  // How many there are of a choice, nobody has counted.
  void Choose(ListedPage& page) {
    const Handling wanted = flags_.Bool("handled") ? Handling::kHandled : Handling::kNotHandled;
    const auto unwanted = [&](const v1::Event& event) {
      const Handling handling = HandlingOfAll(places_[event.sequence()]);
      if (handling == Handling::kForgotten) ++forgotten_;
      return handling != wanted;
    };
    page.events.erase(std::remove_if(page.events.begin(), page.events.end(), unwanted),
                      page.events.end());
    page.total.reset();
    page.total_truncated = false;
  }

  // Of the subscriptions of which there is a state.
  std::vector<std::string> Names(const std::vector<v1::Event>& events) const {
    std::set<std::string> names;
    for (const v1::Event& event : events) {
      const auto known = places_.find(event.sequence());
      if (known == places_.end()) continue;
      for (const v1::SubscriptionDelivery& each : known->second.deliveries) {
        names.insert(each.subscription());
      }
    }
    return {names.begin(), names.end()};
  }

  static void AddStates(const std::vector<std::string>& names, const Deliveries& deliveries,
                        std::vector<Table::Cell>& cells) {
    for (const std::string& name : names) {
      const auto each = std::find_if(deliveries.begin(), deliveries.end(),
                                     [&name](const v1::SubscriptionDelivery& delivery) {
                                       return delivery.subscription() == name;
                                     });
      if (each == deliveries.end()) {
        cells.push_back({"-"});
      } else {
        cells.push_back({StateText(*each), LookOfState(each->delivery())});
      }
    }
  }

  const Flags& flags_;
  v1::ListRecentFailuresRequest request_;
  std::map<int64_t, Places> places_;  // By sequence.
  GatewayError look_up_error_;
  int64_t forgotten_ = 0;   // Events that were not chosen, as nobody knows any more.
  int omitted_events_ = 0;  // Of which the answer left out subscriptions.
  int hidden_ = 0;          // Subscriptions that the caller may not look at.
};

int Run(const Flags& flags, Environment& environment) {
  if (const absl::Status one = CheckAtMostOne(flags, {"handled", "unhandled"}); !one.ok()) {
    return WrongUsage("failures", one.message(), environment);
  }
  const absl::Time now = environment.clock.WallNow();
  Failures failures(flags, now);
  const std::string kind = flags.Bool("handled")     ? "handled "
                           : flags.Bool("unhandled") ? "unhandled "
                                                     : "";
  return RunListing(
      {.command = "failures",
       .singular = kind + "failure",
       .plural = kind + "failures",
       .fetch =
           [&failures](GatewayClient& gateway, int page_size, const std::string& page_token,
                       ListedPage& page) {
             return failures.Fetch(gateway, page_size, page_token, page);
           },
       .table = [&failures](const std::vector<v1::Event>& events,
                            const Reader& reader) { return failures.MakeTable(events, reader); },
       .note = [&failures](GatewayClient& gateway) { return failures.Note(gateway); }},
      flags, now, environment);
}

std::vector<FlagSpec> HandledFlags() {
  return {{.name = "handled",
           .kind = FlagKind::kBool,
           .help = "Only those that every durable subscription whose filter admits them has acked "
                   "or discarded, and at least one has."},
          {.name = "unhandled",
           .kind = FlagKind::kBool,
           .help = "Only those that no subscription has handled, or that one still has to."}};
}

}  // namespace

Command FailuresCommand() {
  return {.name = "failures",
          .summary = "List recent failures, and what handled them",
          .description =
              "Lists the events that report a failure, such as batch.failed, newest first, and how "
              "many there are. Without flags: those of the last 24 hours; and it says how many "
              "older ones there are.\n\n"
              "Each durable subscription has a column that says where the event is; where there "
              "are more than four, one column counts them. hookgate explain says why.",
          .arguments = {.flag_of_stray = "subject"},
          .flags = Join({ListingFlags("24h"), HandledFlags()}),
          .examples = {{"hookgate failures --since 1h", "What failed in the last hour?"},
                       {"hookgate failures --unhandled --since 7d",
                        "Which failures of this week has no subscription handled?"},
                       {"hookgate failures --subject batch_abc --since 30d",
                        "Has this batch failed, in the last 30 days?"},
                       {"hookgate failures --output json --all | jq -r .subject",
                        "The ids alone, of all of them, for a script."}},
          .exits = ListingExits(),
          .run = Run};
}

}  // namespace hookgate::cli
