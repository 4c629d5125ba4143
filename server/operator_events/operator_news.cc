#include "server/operator_events/operator_news.h"

#include <boost/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/base/status.h"
#include "server/event/decode_event.h"
#include "server/eventlog/compose_event.h"

namespace hookgate {
namespace {

namespace json = boost::json;

struct TypeName {
  OperatorEventType type;
  absl::string_view name;
};

constexpr TypeName kTypes[] = {
    {OperatorEventType::kDeadLettered, "hookgate.subscription.dead_lettered"},
    {OperatorEventType::kStuck, "hookgate.subscription.stuck"},
    {OperatorEventType::kLost, "hookgate.subscription.lost"},
    {OperatorEventType::kSilent, "hookgate.source.silent"},
    {OperatorEventType::kSecretFailing, "hookgate.secret.failing"},
    {OperatorEventType::kReloadFailed, "hookgate.reload.failed"},
};

bool Admits(absl::string_view pattern, absl::string_view name) {
  if (pattern == "*" || pattern == name) return true;
  return absl::ConsumeSuffix(&pattern, "*") && absl::EndsWith(pattern, ".") &&
         absl::StartsWith(name, pattern);
}

json::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace

absl::string_view NameOf(OperatorEventType type) {
  for (const TypeName& each : kTypes) {
    if (each.type == type) return each.name;
  }
  return "";
}

absl::StatusOr<std::set<OperatorEventType>> MatchOperatorEventTypes(absl::string_view pattern) {
  std::set<OperatorEventType> types;
  for (const TypeName& each : kTypes) {
    if (Admits(pattern, each.name)) types.insert(each.type);
  }
  if (!types.empty()) return types;
  return absl::InvalidArgumentError(absl::StrCat(
      "is not an operator event's type, nor \"hookgate.*\" for all of them; there are: ",
      absl::StrJoin(kTypes, ", ", [](std::string* out, const TypeName& each) {
        absl::StrAppend(out, each.name);
      })));
}

absl::StatusOr<std::unique_ptr<StoredEvent>> MakeOperatorEvent(const OperatorNews& news,
                                                               const EventTrace& trace,
                                                               Durability durability) {
  json::object body;
  body.emplace("id", View(news.id));
  body.emplace("created_at", absl::ToUnixSeconds(news.time));
  body.emplace("type", View(NameOf(news.type)));
  body.emplace("left_out", news.left_out);
  boost::system::error_code error;
  body.emplace("data", json::parse(View(news.data), error));
  std::string text = json::serialize(body);
  absl::StatusOr<DecodedEvent> decoded = DecodeBuiltInEvent(text);
  if (!decoded.ok()) {
    return absl::InternalError(
        absl::StrCat(NameOf(news.type), ": ", std::string(decoded.status().message())));
  }
  std::unique_ptr<StoredEvent> event = ComposeEvent(*std::move(decoded),
                                                    {.source = kOperatorSource,
                                                     .webhook_id = news.id,
                                                     .webhook_time = news.time,
                                                     .receive_time = news.time,
                                                     .trace = trace,
                                                     .durability = durability},
                                                    std::move(text));
  event->is_webhook = false;
  return event;
}

}  // namespace hookgate
