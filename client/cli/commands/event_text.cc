#include "client/cli/commands/event_text.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/page_text.h"
#include "client/cli/printable.h"
#include "google/protobuf/util/json_util.h"
#include "server/event/event_schema.h"

namespace hookgate::cli {
namespace {

using google::protobuf::Message;

constexpr char kNone[] = "-";

std::string OrNone(const std::string& text) { return text.empty() ? kNone : text; }

WhenText ReceiveTime(const v1::Event& event, const Reader& reader) {
  return When(event.has_receive_time(), event.receive_time(), reader);
}

Look LookOfType(const std::string& type) { return IsFailureType(type) ? Look::kBad : Look::kPlain; }

std::string Json(const Message& message, bool pretty) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.add_whitespace = pretty;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) return "{}";
  return PrintableJson(json);
}

std::string DurabilityText(v1::Durability durability) {
  return durability == v1::DURABILITY_LOCAL_DISK ? "on the gateway's disk"
                                                 : v1::Durability_Name(durability);
}

// The message in the oneof, or null: none that this build knows.
const Message* PayloadOf(const v1::Event& event) {
  const auto* oneof = v1::Event::descriptor()->FindOneofByName("payload");
  const auto* arm = event.GetReflection()->GetOneofFieldDescriptor(event, oneof);
  return arm == nullptr ? nullptr : &event.GetReflection()->GetMessage(event, arm);
}

std::string PayloadText(const v1::Event& event) {
  if (event.has_unrecognized()) {
    return absl::StrCat("body of a type that the gateway does not know:\n",
                        Block(event.unrecognized().raw_json()));
  }
  const Message* payload = PayloadOf(event);
  if (payload == nullptr) return "payload of a type that this hookgate does not know\n";
  return absl::StrCat("payload (", payload->GetDescriptor()->name(), "):\n",
                      Block(Json(*payload, true)));
}

}  // namespace

std::string EventLine(const v1::Event& event, const Reader& reader) {
  const Style& style = reader.style;
  const WhenText when = ReceiveTime(event, reader);
  const std::string type = Shortened(Printable(OrNone(event.type())));
  const std::vector<std::string> parts = {
      absl::StrCat(when.local, " ", style(Look::kFaint, absl::StrCat("(", when.age, ")"))),
      absl::StrCat("#", event.sequence()), style(LookOfType(event.type()), type),
      style(Look::kHeading, Shortened(Printable(OrNone(event.subject())))),
      Printable(absl::StrCat(event.source(), "/", event.webhook_id()))};
  return absl::StrJoin(parts, "  ");
}

std::string EventDetails(const v1::Event& event, const Reader& reader) {
  std::vector<Field> fields = {
      {"sequence", absl::StrCat(event.sequence())},
      {"type", event.type(), LookOfType(event.type())},
      {"subject", event.subject()},
      {"source", event.source()},
      {"webhook-id", event.webhook_id()},
      {"webhook time", WhenLine(event.has_webhook_time(), event.webhook_time(), reader)},
      {"received", WhenLine(event.has_receive_time(), event.receive_time(), reader)},
      {"durability", DurabilityText(event.durability())},
      {"cursor", event.cursor()}};
  const auto add_if_there = [&fields](const char* name, const std::string& value) {
    if (!value.empty()) fields.push_back({name, value});
  };
  add_if_there("trace", event.trace_parent());
  add_if_there("sender's trace", event.sender_trace_parent());
  add_if_there("sender's trace state", event.sender_trace_state());
  return absl::StrCat(FieldLines(fields, reader.style), PayloadText(event));
}

std::vector<Table::Column> EventColumns() {
  return {{"RECEIVED"}, {"AGE"},        {"TYPE"},          {"SUBJECT"},
          {"SOURCE"},   {"WEBHOOK-ID"}, {"SEQUENCE", true}};
}

std::vector<Table::Cell> EventCells(const v1::Event& event, const Reader& reader) {
  const WhenText when = ReceiveTime(event, reader);
  return {{when.local},
          {when.age, Look::kFaint},
          {OrNone(event.type()), LookOfType(event.type())},
          {OrNone(event.subject())},
          {event.source()},
          {event.webhook_id()},
          {absl::StrCat(event.sequence())}};
}

std::string EventJson(const v1::Event& event) { return Json(event, false); }

}  // namespace hookgate::cli
