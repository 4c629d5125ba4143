// What the gateway's own code makes of webhooks, for a script to compare with what others make of
// them.
//
// Reads cases from stdin, one JSON object a line, and prints the answer to each as one line. `body`
// is in base64, so that it can be any bytes; a header that is null or left out is absent.
//
//   {"decode": BODY}        {"event": {...}}, as canonical_event.h says,
//                           or {"error": "invalid_event data.id", "message": "data.id: is missing"}
//   {"verify": {"secrets": [TEXT...], "id": TEXT, "timestamp": TEXT, "signature": TEXT, "body":
//   BODY,
//    "now": SECONDS, "tolerance": SECONDS}}
//                           {"secret_index": 0}, or {"error": REASON, "message": TEXT}, or for
//                           secrets that a configuration cannot have {"error": "bad_secret",
//                           "message": TEXT}
//   {"sign": {"secret": TEXT, "id": TEXT, "timestamp": TEXT, "body": BODY}}
//                           {"signature": "v1,..."}
//   {"schema": null}        {"types": [{"type": "batch.failed", "arm": "batch_failed", "message":
//                           "BatchFailedWebhookEvent", "fields": [{"name": "id", "kind": "string",
//                           "repeated": false, "required": true, "literal": "", "subject":
//                           false}...]}...]}; fields that are messages have `fields` of their own
//
// A line that is none of these ends the program with exit code 1.
#include <boost/json.hpp>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "hookgate/schema/v1/options.pb.h"
#include "server/base/status.h"
#include "server/event/decode_event.h"
#include "server/event/event_schema.h"
#include "server/signature/standard_webhooks.h"
#include "tests/conformance/canonical_event.h"

namespace hookgate {
namespace {

namespace json = boost::json;

[[noreturn]] void Die(const std::string& why) {
  std::cerr << "answer_cases: " << why << "\n";
  std::exit(1);
}

std::string Text(const json::value& value) {
  if (!value.is_string()) Die("not a string: " + json::serialize(value));
  return std::string(value.get_string().c_str(), value.get_string().size());
}

std::string Bytes(const json::value& base64) {
  std::string bytes;
  if (!absl::Base64Unescape(Text(base64), &bytes)) Die("not base64: " + Text(base64));
  return bytes;
}

// A header's text, which outlives its view; a null view if the header is absent.
class Header {
 public:
  Header(const json::object& request, json::string_view name) {
    const json::value* value = request.if_contains(name);
    present_ = value != nullptr && !value->is_null();
    if (present_) text_ = Text(*value);
  }
  absl::string_view view() const {
    return present_ ? absl::string_view(text_) : absl::string_view();
  }

 private:
  bool present_ = false;
  std::string text_;
};

json::object Refusal(const std::string& error, const absl::Status& status) {
  return {{"error", error}, {"message", std::string(status.message())}};
}

json::object Decode(const json::value& body) {
  const absl::StatusOr<DecodedEvent> decoded = DecodeEvent(Bytes(body));
  if (!decoded.ok()) return Refusal(CanonicalError(decoded.status()), decoded.status());
  return {{"event", CanonicalEvent(*decoded)}};
}

// As the SDKs read it: a text without a prefix is the key itself.
absl::StatusOr<Secret> SecretOf(const std::string& text) {
  for (const char* prefix : {"whsec_", "whpk_", "whsk_"}) {
    if (absl::StartsWith(text, prefix)) return Secret::Parse("case", text);
  }
  return Secret::FromRawText("case", text);
}

json::object VerifyCase(const json::object& request) {
  std::vector<Secret> secrets;
  for (const json::value& text : request.at("secrets").as_array()) {
    absl::StatusOr<Secret> secret = SecretOf(Text(text));
    if (!secret.ok()) return Refusal("bad_secret", secret.status());
    secrets.push_back(*std::move(secret));
  }
  const Header id(request, "id");
  const Header timestamp(request, "timestamp");
  const Header signature(request, "signature");
  const absl::StatusOr<VerifiedWebhook> verified =
      Verify({.id = id.view(), .timestamp = timestamp.view(), .signature = signature.view()},
             Bytes(request.at("body")), secrets,
             absl::FromUnixSeconds(request.at("now").to_number<int64_t>()),
             absl::Seconds(request.at("tolerance").to_number<int64_t>()));
  if (!verified.ok()) return Refusal(ReasonOf(verified.status()), verified.status());
  return {{"secret_index", verified->secret_indices.front()}};
}

json::object SignCase(const json::object& request) {
  const absl::StatusOr<Secret> secret = SecretOf(Text(request.at("secret")));
  if (!secret.ok()) return Refusal("bad_secret", secret.status());
  return {{"signature", Sign(*secret, Text(request.at("id")), Text(request.at("timestamp")),
                             Bytes(request.at("body")))}};
}

json::array FieldsOf(const google::protobuf::Descriptor& message) {
  json::array fields;
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *message.field(i);
    const auto& rules = field.options().GetExtension(hookgate::schema::v1::field);
    json::object described = {{"name", field.name()},
                              {"kind", field.type_name()},
                              {"repeated", field.is_repeated()},
                              {"required", rules.required()},
                              {"literal", rules.literal()},
                              {"subject", rules.subject()}};
    if (field.message_type() != nullptr) described["fields"] = FieldsOf(*field.message_type());
    fields.push_back(std::move(described));
  }
  return fields;
}

json::object Schema() {
  json::array types;
  for (const EventType& type : KnownEventTypes()) {
    types.push_back({{"type", type.name},
                     {"arm", type.arm->name()},
                     {"message", type.message->name()},
                     {"fields", FieldsOf(*type.message)}});
  }
  return {{"types", std::move(types)}};
}

json::object Answer(const std::string& line) {
  boost::system::error_code error;
  const json::value parsed = json::parse(line, error);
  if (error || !parsed.is_object()) Die("not a JSON object: " + line);
  const json::object& request = parsed.get_object();
  if (const json::value* body = request.if_contains("decode")) return Decode(*body);
  if (const json::value* verify = request.if_contains("verify")) {
    return VerifyCase(verify->as_object());
  }
  if (const json::value* sign = request.if_contains("sign")) return SignCase(sign->as_object());
  if (request.contains("schema")) return Schema();
  Die("unknown request: " + line);
}

void AnswerAll() {
  std::ios::sync_with_stdio(false);
  std::string line;
  while (std::getline(std::cin, line)) std::cout << Answer(line) << "\n";
}

}  // namespace
}  // namespace hookgate

int main() {
  hookgate::AnswerAll();
  return 0;
}
