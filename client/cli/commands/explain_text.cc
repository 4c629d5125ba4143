#include "client/cli/commands/explain_text.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/cli/commands/delivery_text.h"
#include "client/cli/page_text.h"
#include "client/cli/printable.h"
#include "client/cli/table.h"
#include "client/cli/time_format.h"
#include "server/base/proto_time.h"
#include "server/event/event_schema.h"
#include "server/event/operator_source.h"

namespace hookgate::cli {
namespace {

using v1::Absence;
using v1::ExplainEventResponse;

// "1 subscription", "2 subscriptions".
std::string Count(int64_t count, absl::string_view singular) {
  return absl::StrCat(count, " ", singular, count == 1 ? "" : "s");
}

std::string OrNone(const std::string& text) { return text.empty() ? "-" : text; }

// Of whole seconds, as senders sign them.
std::string SkewText(absl::Duration skew) {
  const std::string amount = DurationText(absl::Trunc(absl::AbsDuration(skew), absl::Seconds(1)));
  if (absl::AbsDuration(skew) < absl::Seconds(1)) return "received within a second of being signed";
  if (skew > absl::ZeroDuration()) return absl::StrCat("received ", amount, " after it was signed");
  return absl::StrCat("received ", amount,
                      " before the time that it was signed with: the sender's clock is ahead");
}

// "verified by the secret main; received within a second of being signed".
std::string ArrivalText(const v1::Event& event, const v1::Arrival& arrival) {
  if (event.source() == kOperatorSource) return "made by the gateway itself";
  std::vector<std::string> parts;
  if (!arrival.secrets().empty()) {
    parts.push_back(
        absl::StrCat("verified by the secret ", absl::StrJoin(arrival.secrets(), " and by ")));
  }
  const auto skew = FromProto(arrival.skew(), "");
  if (arrival.has_skew() && skew.ok()) {
    parts.push_back(SkewText(*skew));
  }
  return absl::StrJoin(parts, "; ");
}

std::string RepeatsText(const v1::Arrival& arrival, const Reader& reader) {
  if (arrival.duplicates() == 0 && arrival.conflicts() == 0) return "none";
  std::vector<std::string> parts;
  if (arrival.duplicates() > 0) {
    parts.push_back(absl::StrCat(arrival.duplicates(), " with the same body"));
  }
  if (arrival.conflicts() > 0) {
    parts.push_back(
        absl::StrCat(arrival.conflicts(), " with ANOTHER BODY, of which the first one is kept"));
  }
  return absl::StrCat(absl::StrJoin(parts, ", "), "; the last ",
                      WhenLine(arrival.has_last_repeat_time(), arrival.last_repeat_time(), reader));
}

// "3 requests that claimed this webhook-id: signature_mismatch; the last 2025-...".
std::string RefusedText(const v1::Arrival& arrival, const Reader& reader) {
  int64_t count = 0;
  std::set<std::string> codes;
  for (const Absence::Refused& each : arrival.refused()) {
    count += each.count();
    codes.insert(each.code());
  }
  const Absence::Refused& newest = arrival.refused(0);
  return absl::StrCat(Count(count, "request"),
                      " that claimed this webhook-id: ", absl::StrJoin(codes, ", "), "; the last ",
                      WhenLine(newest.has_last_time(), newest.last_time(), reader));
}

std::string QuarantinedText(const Absence::Quarantined& entry, const Reader& reader) {
  return absl::StrCat(
      "entry ", entry.id(), " came with this webhook-id and could not be decoded: ", entry.reason(),
      "; the last ", WhenLine(entry.has_last_receive_time(), entry.last_receive_time(), reader));
}

std::string EventFields(const ExplainEventResponse& response, const Reader& reader) {
  const v1::Event& event = response.event();
  const v1::Arrival& arrival = response.arrival();
  std::vector<Field> fields = {
      {"sequence", absl::StrCat(event.sequence())},
      {"type", event.type(), IsFailureType(event.type()) ? Look::kBad : Look::kPlain},
      {"subject", event.subject()},
      {"source", event.source()},
      {"webhook-id", event.webhook_id()},
      {"received", WhenLine(event.has_receive_time(), event.receive_time(), reader)},
      {"came", ArrivalText(event, arrival)},
      {"repeats", RepeatsText(arrival, reader),
       arrival.conflicts() > 0 ? Look::kBad : Look::kPlain}};
  if (!arrival.refused().empty()) {
    fields.push_back({"refused", RefusedText(arrival, reader), Look::kBad});
  }
  for (const Absence::Quarantined& each : arrival.quarantined()) {
    fields.push_back({"quarantine", QuarantinedText(each, reader), Look::kBad});
  }
  return FieldLines(fields, reader.style);
}

std::string StateFields(const ExplainEventResponse& response, const Reader& reader) {
  std::ostringstream out;
  if (!response.deliveries().empty()) {
    Table table({{"SUBSCRIPTION"}, {"STATE"}, {"SINCE"}, {"CONSUMER"}, {"ATTEMPT", true}, {"WHY"}});
    for (const v1::SubscriptionDelivery& each : response.deliveries()) {
      const v1::EventDelivery& delivery = each.delivery();
      table.AddRow({{each.subscription(), Look::kHeading},
                    {StateText(delivery), LookOfState(delivery)},
                    {When(delivery.has_state_time(), delivery.state_time(), reader).local},
                    {OrNone(delivery.consumer())},
                    {delivery.attempt() == 0 ? "-" : absl::StrCat(delivery.attempt())},
                    {OrNone(WhyText(each, reader))}});
    }
    out << "\n";
    table.Print(reader.style, out);
  } else if (response.hidden_subscriptions() == 0) {
    out << "\nThere are no durable subscriptions.\n";
  }
  if (response.omitted_subscriptions() > 0) {
    out << Count(response.omitted_subscriptions(), "more subscription")
        << " had no room: ask for them with --subscription NAME\n";
  }
  if (response.hidden_subscriptions() > 0) {
    out << Count(response.hidden_subscriptions(), "subscription")
        << " of which you may not know: that takes rights.consume of them, or rights.admin\n";
  }
  return out.str();
}

std::string AttemptFields(const ExplainEventResponse& response, const Reader& reader) {
  std::ostringstream out;
  for (const v1::SubscriptionDelivery& each : response.deliveries()) {
    const v1::EventDelivery& delivery = each.delivery();
    if (delivery.attempts().empty()) continue;
    out << "\nDeliveries in " << reader.style(Look::kHeading, Printable(each.subscription()));
    if (delivery.delivery_count() > delivery.attempts_size()) {
      out << ", the last " << delivery.attempts_size() << " of " << delivery.delivery_count();
    }
    out << ":\n";
    AttemptsTable(delivery, reader).Print(reader.style, out);
  }
  return out.str();
}

std::string OtherEvents(const ExplainEventResponse& response, const Reader& reader) {
  if (response.other_events().empty()) return "";
  std::ostringstream out;
  out << "\nThis is the newest of several; hookgate explain SEQUENCE explains another"
      << (response.more_other_events() ? ". There are also older ones" : "") << ":\n";
  Table table(
      {{"SEQUENCE", true}, {"RECEIVED"}, {"TYPE"}, {"SUBJECT"}, {"SOURCE"}, {"WEBHOOK-ID"}});
  for (const v1::OtherEvent& event : response.other_events()) {
    table.AddRow({{absl::StrCat(event.sequence())},
                  {When(event.has_receive_time(), event.receive_time(), reader).local},
                  {OrNone(event.type())},
                  {OrNone(event.subject())},
                  {event.source()},
                  {event.webhook_id()}});
  }
  table.Print(reader.style, out);
  return out.str();
}

// What somebody may do about an event in this state; "": nothing.
std::string NextStep(int64_t sequence, const v1::SubscriptionDelivery& each) {
  const v1::EventDelivery& delivery = each.delivery();
  const std::string& name = each.subscription();
  if (HandlingOf(delivery) != Handling::kNotHandled) return "";
  if (IsHeldByPause(each)) {
    return absl::StrCat("hookgate subscriptions resume ", name, "   delivers it");
  }
  switch (delivery.state()) {
    case v1::DELIVERY_STATE_DEAD_LETTERED:
      return absl::StrCat("hookgate dead-letters redrive ", name, " ", sequence,
                          "   delivers it again, once its cause is mended");
    case v1::DELIVERY_STATE_NOT_REACHED:
    case v1::DELIVERY_STATE_LEASED:
    case v1::DELIVERY_STATE_WAITING:
      return absl::StrCat("hookgate subscriptions show ", name,
                          "   shows its position and its consumers");
    default:
      return "";
  }
}

// As one word of a command line.
std::string ShellWord(const std::string& text) {
  const auto is_plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("._:/@-", c);
  };
  if (!text.empty() && text[0] != '-' && std::all_of(text.begin(), text.end(), is_plain)) {
    return text;
  }
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// What else there is to look at of the same webhook-id.
std::vector<std::string> OtherArrivalSteps(const ExplainEventResponse& response) {
  const v1::Arrival& arrival = response.arrival();
  std::vector<std::string> steps;
  if (arrival.conflicts() > 0) {
    steps.push_back(absl::StrCat("hookgate conflicts show ", response.event().sequence(),
                                 "   shows what came with another body, while that is kept"));
  }
  for (const Absence::Quarantined& each : arrival.quarantined()) {
    steps.push_back(
        absl::StrCat("hookgate quarantine show ", each.id(), "   shows what could not be decoded"));
  }
  if (!arrival.refused().empty()) {
    steps.push_back(
        absl::StrCat("hookgate refused --webhook-id=", ShellWord(response.event().webhook_id()),
                     "   shows the requests that were refused"));
  }
  return steps;
}

std::string NextSteps(const ExplainEventResponse& response) {
  std::vector<std::string> steps;
  for (const v1::SubscriptionDelivery& each : response.deliveries()) {
    std::string step = NextStep(response.event().sequence(), each);
    if (!step.empty()) steps.push_back(std::move(step));
  }
  for (std::string& step : OtherArrivalSteps(response)) steps.push_back(std::move(step));
  std::string text;
  for (const std::string& step : steps) {
    absl::StrAppend(&text, text.empty() ? "\nNext:\n" : "", "  ", Printable(step), "\n");
  }
  return text;
}

std::string Held(const Absence& absence, const Reader& reader) {
  if (absence.head_sequence() < absence.earliest_sequence()) return "The log holds no event.\n";
  return absl::StrCat(
      "The log holds the events #", absence.earliest_sequence(), " to #", absence.head_sequence(),
      ", received since ",
      WhenLine(absence.has_earliest_receive_time(), absence.earliest_receive_time(), reader),
      ".\n");
}

std::string Quarantined(const Absence& absence, const Reader& reader) {
  std::ostringstream out;
  for (const Absence::Quarantined& each : absence.quarantined()) {
    out << FieldLines({{"quarantine", absl::StrCat(each.id())},
                       {"source", each.source()},
                       {"webhook-id", each.webhook_id()},
                       {"reason", each.reason(), Look::kBad},
                       {"detail", each.detail()},
                       {"first came",
                        WhenLine(each.has_first_receive_time(), each.first_receive_time(), reader)},
                       {"last came",
                        WhenLine(each.has_last_receive_time(), each.last_receive_time(), reader)},
                       {"times", absl::StrCat(each.receive_count())}},
                      reader.style)
        << "\nNext:\n  hookgate quarantine show " << each.id() << "   shows its body\n"
        << "  hookgate quarantine retry " << each.id()
        << "   decodes it again, after an upgrade that knows more\n";
  }
  return out.str();
}

std::string Refused(const Absence& absence, const Reader& reader) {
  if (absence.refused().empty()) return "";
  std::ostringstream out;
  Table table({{"REFUSED"}, {"TIMES", true}, {"SOURCE"}, {"CLIENT"}, {"CODE"}, {"DETAIL"}});
  for (const Absence::Refused& each : absence.refused()) {
    table.AddRow({{When(each.has_last_time(), each.last_time(), reader).local},
                  {absl::StrCat(each.count())},
                  {OrNone(each.source())},
                  {OrNone(each.client_address())},
                  {each.code(), Look::kBad},
                  {OrNone(each.detail())}});
  }
  out << "\n";
  table.Print(reader.style, out);
  return out.str();
}

std::string LastWebhooks(const Absence& absence, const Reader& reader) {
  if (absence.sources().empty()) return "";
  std::ostringstream out;
  out << "\n";
  Table table({{"SOURCE"}, {"LAST WEBHOOK"}, {"AGE"}});
  for (const Absence::LastWebhook& each : absence.sources()) {
    const WhenText when = When(each.has_time(), each.time(), reader);
    table.AddRow({{each.source()}, {each.has_time() ? when.local : "none yet"}, {when.age}});
  }
  table.Print(reader.style, out);
  return out.str();
}

absl::string_view CauseText(Absence::Cause cause) {
  switch (cause) {
    case Absence::CAUSE_REMOVED:
      return "retention has removed it";
    case Absence::CAUSE_NOT_YET:
      return "there is no such event yet";
    case Absence::CAUSE_QUARANTINED:
      return "it came, and could not be decoded: it is in quarantine";
    case Absence::CAUSE_REFUSED:
      return "requests that claimed to be it were refused";
    default:
      // Of refused requests the newest are remembered, and none that came before a restart.
      return "it never came, was refused so long ago that it is forgotten, is in quarantine under "
             "another id, its webhook-id, or retention has removed it";
  }
}

std::string AbsencePage(const std::string& what, const ExplainEventResponse& response,
                        const Reader& reader) {
  const Absence& absence = response.absence();
  std::string page =
      absl::StrCat(Printable(what), ": ", reader.style(Look::kBad, CauseText(absence.cause())),
                   ".\n", Held(absence, reader));
  if (absence.admin_only()) {
    absl::StrAppend(&page,
                    "Whether it was refused or is in quarantine, callers with rights.admin are "
                    "told.\n");
  }
  absl::StrAppend(&page, Quarantined(absence, reader), Refused(absence, reader));
  if (absence.cause() == Absence::CAUSE_NEVER_SEEN) {
    absl::StrAppend(&page, LastWebhooks(absence, reader));
    if (!absence.admin_only()) {
      absl::StrAppend(&page,
                      "\nNext:\n"
                      "  hookgate quarantine list   shows what could not be decoded, of all ids\n"
                      "  hookgate refused   shows the requests that were refused\n");
    }
  }
  if (!response.deliveries().empty()) {
    absl::StrAppend(&page, StateFields(response, reader), AttemptFields(response, reader));
  }
  return page;
}

}  // namespace

std::string ExplainPage(const std::string& what, const ExplainEventResponse& response,
                        const Reader& reader) {
  if (!response.has_event()) return AbsencePage(what, response, reader);
  return absl::StrCat(EventFields(response, reader), StateFields(response, reader),
                      AttemptFields(response, reader), OtherEvents(response, reader),
                      NextSteps(response));
}

}  // namespace hookgate::cli
