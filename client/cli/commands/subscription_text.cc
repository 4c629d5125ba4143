#include "client/cli/commands/subscription_text.h"

#include <sstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/cli/page_text.h"
#include "client/cli/table.h"
#include "client/cli/time_format.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

std::string DurationOf(const google::protobuf::Duration& proto) {
  const auto duration = FromProto(proto, "");
  return duration.ok() ? DurationText(*duration) : "-";
}

std::string BacklogText(const v1::Backlog& backlog) {
  std::string text = absl::StrCat(backlog.events(), backlog.events() == 1 ? " event" : " events");
  if (backlog.has_oldest_unacked_age()) {
    absl::StrAppend(&text, ", the oldest received ", AgeOf(true, backlog.oldest_unacked_age()),
                    " ago");
  }
  return text;
}

std::string LostText(const v1::Backlog& backlog) {
  const int64_t owed = backlog.lost_events() - backlog.lost_unread_events();
  std::string text;
  if (owed > 0) {
    text = absl::StrCat(owed, owed == 1 ? " event" : " events",
                        ": retention removed them before they were acked");
  }
  if (backlog.lost_unread_events() > 0) {
    absl::StrAppend(&text, text.empty() ? "" : "; and ", "up to ", backlog.lost_unread_events(),
                    backlog.lost_unread_events() == 1 ? " event" : " events",
                    ": retention removed them before the filter had looked at them");
  }
  return text;
}

Table ConsumerTable(const v1::Subscription& subscription, const Reader& reader) {
  Table table({{"CONSUMER"},
               {"STREAMS", true},
               {"IN FLIGHT", true},
               {"CREDIT", true},
               {"ACKS/S", true},
               {"LAST ACK"}});
  for (const v1::Subscription::Consumer& consumer : subscription.consumers()) {
    table.AddRow(
        {{consumer.name()},
         {absl::StrCat(consumer.streams())},
         {absl::StrCat(consumer.in_flight_messages())},
         {absl::StrCat(consumer.credit_messages())},
         {absl::StrFormat("%.1f", consumer.ack_rate())},
         {When(consumer.has_last_ack_time(), consumer.last_ack_time(), reader).age, Look::kFaint}});
  }
  return table;
}

}  // namespace

absl::string_view ConditionText(int condition) {
  switch (condition) {
    case v1::SUBSCRIPTION_CONDITION_LEASES_FULL:
      return "as many events are leased as can be: nothing is handed out until some are acked";
    case v1::SUBSCRIPTION_CONDITION_UNSETTLED_FULL:
      return "as many events wait to be acked as can: nothing new is taken until some are";
    case v1::SUBSCRIPTION_CONDITION_DEAD_LETTERS_FULL:
      return "the dead letters are full: events out of attempts are tried on; redrive or discard "
             "some";
    case v1::SUBSCRIPTION_CONDITION_FILTER_ADMITS_NONE:
      return "the filter has not admitted one event of all that passed: is it right?";
    case v1::SUBSCRIPTION_CONDITION_PAUSED:
      return "it is paused: nothing is handed out until hookgate subscriptions resume";
    default:
      return "";
  }
}

std::string FilterText(const v1::EventFilter& filter) {
  std::vector<std::string> parts;
  const auto add = [&parts](absl::string_view name, const auto& values) {
    if (!values.empty()) parts.push_back(absl::StrCat(name, " ", absl::StrJoin(values, " or ")));
  };
  add("source", filter.sources());
  add("type", filter.types());
  add("subject", filter.subjects());
  return parts.empty() ? "every event" : absl::StrJoin(parts, ", ");
}

std::string AgeOf(bool present, const google::protobuf::Duration& age) {
  const auto duration = FromProto(age, "");
  if (!present || !duration.ok()) return "-";
  return CoarseDurationText(*duration);
}

std::string ConditionNames(const v1::Subscription& subscription) {
  std::vector<std::string> names;
  for (const int condition : subscription.conditions()) {
    absl::string_view name = v1::SubscriptionCondition_Name(condition);
    if (!absl::ConsumePrefix(&name, "SUBSCRIPTION_CONDITION_")) continue;  // A newer one.
    names.push_back(absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"_", " "}}));
  }
  return names.empty() ? "-" : absl::StrJoin(names, ", ");
}

std::string SubscriptionPage(const v1::Subscription& subscription, const Reader& reader) {
  const v1::SubscriptionSettings& settings = subscription.settings();
  std::vector<Field> fields = {
      {"name", subscription.name()},
      {"created", WhenLine(subscription.has_create_time(), subscription.create_time(), reader)},
      {"etag", subscription.etag()},
      {"events", FilterText(settings.filter())},
      {"ack deadline", DurationOf(settings.ack_deadline())},
      {"attempts", absl::StrCat("at most ", settings.max_attempts(), ", with ",
                                DurationOf(settings.minimum_backoff()), " to ",
                                DurationOf(settings.maximum_backoff()), " between them")},
      {"lost deliveries",
       absl::StrCat("at most ", settings.max_lost_deliveries(), ", besides the first")},
      {"position", subscription.position_cursor()},
      {"backlog", BacklogText(subscription.backlog())},
      {"in flight", absl::StrCat(subscription.in_flight())},
      {"to be redelivered", absl::StrCat(subscription.awaiting_redelivery())},
      {"dead letters", absl::StrCat(subscription.dead_letters()),
       subscription.dead_letters() > 0 ? Look::kBad : Look::kPlain}};
  if (subscription.has_pause_time()) {
    fields.push_back(
        {"paused since", WhenLine(true, subscription.pause_time(), reader), Look::kBad});
  }
  if (subscription.passed_events() > 0) {
    fields.push_back({"filter", absl::StrCat("admitted ", subscription.admitted_events(), " of ",
                                             subscription.passed_events(), " that passed")});
  }
  if (subscription.backlog().lost_events() > 0) {
    fields.push_back({"LOST", LostText(subscription.backlog()), Look::kBad});
  }
  for (const int condition : subscription.conditions()) {
    const absl::string_view text = ConditionText(condition);
    if (!text.empty()) fields.push_back({"NOTE", std::string(text), Look::kBad});
  }
  std::ostringstream page;
  page << FieldLines(fields, reader.style) << "\n";
  if (subscription.consumers().empty()) {
    page << "It has no consumers.\n";
  } else {
    ConsumerTable(subscription, reader).Print(reader.style, page);
  }
  return page.str();
}

}  // namespace hookgate::cli
