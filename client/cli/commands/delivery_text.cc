#include "client/cli/commands/delivery_text.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "client/cli/time_format.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

// Of an enum's value that this build does not know, or that needs no words of its own:
// "DELIVERY_END_NACKED" is "nacked".
std::string PlainName(absl::string_view name, absl::string_view prefix) {
  if (name.size() <= prefix.size()) return "";
  return absl::StrReplaceAll(absl::AsciiStrToLower(name.substr(prefix.size())), {{"_", " "}});
}

absl::string_view ListText(v1::FilterList list) {
  switch (list) {
    case v1::FILTER_LIST_SOURCES:
      return "its filter does not admit the source";
    case v1::FILTER_LIST_TYPES:
      return "its filter does not admit the type";
    case v1::FILTER_LIST_SUBJECTS:
      return "its filter does not admit the subject";
    default:
      return "its filter does not admit it";
  }
}

// "until 17:16:40 in 20 s".
std::string UntilText(absl::string_view what, const v1::EventDelivery& delivery,
                      const Reader& reader) {
  if (!delivery.has_until_time()) return "";
  const WhenText when = When(true, delivery.until_time(), reader);
  return absl::StrCat(what, " ", when.local, " (", when.age, ")");
}

// How the delivery before ended, and with which reason.
std::string LastText(const v1::EventDelivery& delivery) {
  std::string text = EndText(delivery.last_end());
  if (!delivery.reason().empty()) {
    absl::StrAppend(&text, text.empty() ? "" : ": ", "\"", delivery.reason(), "\"");
  }
  return text;
}

// As it is shown: a filter that does not admit an event says more than that its turn has not come.
v1::DeliveryState StateOf(const v1::EventDelivery& delivery) {
  const bool filtered = delivery.filtered_by() != v1::FILTER_LIST_UNSPECIFIED;
  return filtered && delivery.state() == v1::DELIVERY_STATE_NOT_REACHED
             ? v1::DELIVERY_STATE_FILTERED
             : delivery.state();
}

std::string WaitingText(const v1::EventDelivery& delivery, const Reader& reader) {
  std::string text = LastText(delivery);
  const auto until = FromProto(delivery.until_time(), "");
  const bool waits = delivery.has_until_time() && until.ok() && *until > reader.now;
  absl::StrAppend(&text, text.empty() ? "" : "; ",
                  waits ? UntilText("not before", delivery, reader) : "waits for a consumer");
  return text;
}

// Of one that was asked for again.
absl::string_view AckedBeforeText(const v1::EventDelivery& delivery) {
  for (const v1::DeliveryAttempt& attempt : delivery.attempts()) {
    if (attempt.end() == v1::DELIVERY_END_ACKED) {
      return "; it had been acked before it was to be delivered again";
    }
  }
  return "";
}

}  // namespace

std::string StateText(const v1::EventDelivery& delivery) {
  const v1::DeliveryState state = StateOf(delivery);
  switch (state) {
    case v1::DELIVERY_STATE_DEAD_LETTERED:
      return "dead";
    case v1::DELIVERY_STATE_UNSPECIFIED:
      return "unknown";
    default: {
      const std::string text = PlainName(v1::DeliveryState_Name(state), "DELIVERY_STATE_");
      return text.empty() ? absl::StrCat("state ", static_cast<int>(state)) : text;
    }
  }
}

Look LookOfState(const v1::EventDelivery& delivery) {
  switch (StateOf(delivery)) {
    case v1::DELIVERY_STATE_DEAD_LETTERED:
    case v1::DELIVERY_STATE_LOST:
      return Look::kBad;
    case v1::DELIVERY_STATE_ACKED:
      return Look::kGood;
    case v1::DELIVERY_STATE_FILTERED:
    case v1::DELIVERY_STATE_BEFORE_START:
      return Look::kFaint;
    default:
      return Look::kPlain;
  }
}

std::string EndText(v1::DeliveryEnd end) {
  switch (end) {
    case v1::DELIVERY_END_CONSUMER_DECIDED:
      return "the consumer gave it up";
    case v1::DELIVERY_END_SEEK:
      return "the subscription was moved by a seek";
    case v1::DELIVERY_END_EVENT_REMOVED:
      return "retention removed the event";
    case v1::DELIVERY_END_UNSPECIFIED:
      return "";
    default:
      return PlainName(v1::DeliveryEnd_Name(end), "DELIVERY_END_");
  }
}

std::string WhyText(const v1::EventDelivery& delivery, const Reader& reader) {
  switch (StateOf(delivery)) {
    case v1::DELIVERY_STATE_FILTERED:
      return std::string(ListText(delivery.filtered_by()));
    case v1::DELIVERY_STATE_BEFORE_START:
      return "the subscription begins after it";
    case v1::DELIVERY_STATE_SKIPPED:
      return absl::StrCat("a seek moved the subscription past it", AckedBeforeText(delivery));
    case v1::DELIVERY_STATE_LOST:
      return absl::StrCat("retention removed it before it was settled", AckedBeforeText(delivery));
    case v1::DELIVERY_STATE_NOT_REACHED:
      return "the subscription has not reached it";
    case v1::DELIVERY_STATE_LEASED:
      return UntilText("its lease ends", delivery, reader);
    case v1::DELIVERY_STATE_WAITING:
      return WaitingText(delivery, reader);
    case v1::DELIVERY_STATE_DEAD_LETTERED:
      return LastText(delivery);
    case v1::DELIVERY_STATE_NOT_REMEMBERED:
      return "how and when is no longer stored";
    default:
      return "";
  }
}

bool IsHeldByPause(const v1::SubscriptionDelivery& delivery) {
  const v1::DeliveryState state = StateOf(delivery.delivery());
  return delivery.has_pause_time() &&
         (state == v1::DELIVERY_STATE_NOT_REACHED || state == v1::DELIVERY_STATE_WAITING);
}

std::string StateText(const v1::SubscriptionDelivery& delivery) {
  return absl::StrCat(StateText(delivery.delivery()), IsHeldByPause(delivery) ? ", paused" : "");
}

std::string WhyText(const v1::SubscriptionDelivery& delivery, const Reader& reader) {
  if (!IsHeldByPause(delivery)) return WhyText(delivery.delivery(), reader);
  const std::string last = LastText(delivery.delivery());
  const WhenText since = When(true, delivery.pause_time(), reader);
  return absl::StrCat(last, last.empty() ? "" : "; ", "the subscription has been paused since ",
                      since.local, " (", since.age, ")");
}

Table AttemptsTable(const v1::EventDelivery& delivery, const Reader& reader) {
  Table table({{"ATTEMPT", true}, {"CONSUMER"}, {"BEGAN"}, {"TOOK", true}, {"ENDED"}, {"REASON"}});
  for (const v1::DeliveryAttempt& attempt : delivery.attempts()) {
    const auto begin = FromProto(attempt.begin_time(), "");
    const auto end = FromProto(attempt.end_time(), "");
    const bool took = attempt.has_begin_time() && attempt.has_end_time() && begin.ok() && end.ok();
    const std::string ended = EndText(attempt.end());
    table.AddRow({{absl::StrCat(attempt.attempt())},
                  {attempt.consumer().empty() ? "-" : attempt.consumer()},
                  {When(attempt.has_begin_time(), attempt.begin_time(), reader).local},
                  {took ? DurationText(absl::Trunc(*end - *begin, absl::Milliseconds(1))) : "-"},
                  {ended.empty() ? "not yet" : ended},
                  {attempt.reason().empty() ? "-" : attempt.reason()}});
  }
  return table;
}

Handling HandlingOf(const v1::EventDelivery& delivery) {
  switch (StateOf(delivery)) {
    case v1::DELIVERY_STATE_FILTERED:
    case v1::DELIVERY_STATE_BEFORE_START:
      return Handling::kNotItsJob;
    case v1::DELIVERY_STATE_ACKED:
    case v1::DELIVERY_STATE_DISCARDED:
      return Handling::kHandled;
    case v1::DELIVERY_STATE_NOT_REMEMBERED:
      return Handling::kForgotten;
    default:
      return Handling::kNotHandled;
  }
}

}  // namespace hookgate::cli
