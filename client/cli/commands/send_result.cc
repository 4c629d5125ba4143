#include "client/cli/commands/send_result.h"

#include <boost/json.hpp>

#include "absl/strings/str_cat.h"
#include "client/cli/printable.h"

namespace hookgate::cli {
namespace {

namespace json = boost::json;

constexpr int kOk = 200;
constexpr size_t kShownOfForeignBody = 200;

json::object ParseObject(const std::string& body) {
  boost::system::error_code error;
  const json::value value = json::parse(body, error);
  return !error && value.is_object() ? value.get_object() : json::object();
}

std::string TextMember(const json::object& object, json::string_view name) {
  const json::value* member = object.if_contains(name);
  if (member == nullptr || !member->is_string()) return "";
  return std::string(member->get_string());
}

}  // namespace

SendResult ReadAnswer(const HttpAnswer& answer, absl::string_view webhook_id) {
  SendResult result;
  result.status = answer.status;
  result.webhook_id = std::string(webhook_id);
  result.retry_after = answer.field("retry-after");
  const json::object body = ParseObject(answer.body);
  const std::string state = TextMember(body, "status");
  if (answer.status == kOk && (state == "stored" || state == "duplicate")) {
    result.state = state;
    result.sequence = TextMember(body, "sequence");
    return result;
  }
  result.code = TextMember(body, "code");
  result.detail = TextMember(body, "detail");
  if (result.code.empty()) {
    result.detail = absl::StrCat("this is not the answer of a Hookgate gateway: ",
                                 answer.body.substr(0, kShownOfForeignBody));
  }
  return result;
}

std::string ResultLine(const SendResult& result, const Style& style) {
  const std::string word = !result.state.empty()  ? result.state
                           : !result.code.empty() ? result.code
                                                  : "unknown";
  std::string line = style(result.accepted() ? Look::kGood : Look::kBad,
                           Printable(absl::StrCat(result.status, " ", word)));
  if (!result.sequence.empty()) absl::StrAppend(&line, " sequence ", Printable(result.sequence));
  absl::StrAppend(&line, " ", Printable(result.webhook_id));
  if (!result.detail.empty()) absl::StrAppend(&line, ": ", Printable(result.detail));
  if (!result.accepted() && !result.retry_after.empty()) {
    absl::StrAppend(&line, " (retry after ", Printable(result.retry_after), " s)");
  }
  return line;
}

std::string ResultJson(const SendResult& result) {
  json::object object = {{"status", result.status}};
  const auto add = [&object](json::string_view name, const std::string& text) {
    if (!text.empty()) object.emplace(name, text);
  };
  add("state", result.state);
  add("code", result.code);
  add("sequence", result.sequence);
  add("webhook_id", result.webhook_id);
  // What a stranger sent may be no UTF-8, which JSON cannot hold.
  add("detail", Printable(result.detail));
  add("retry_after", Printable(result.retry_after));
  return PrintableJson(json::serialize(object));
}

}  // namespace hookgate::cli
