#include "server/event/event_id.h"

#include <boost/json.hpp>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "server/event/decode_event.h"
#include "server/event/parse_json.h"

namespace hookgate {
namespace {

using google::protobuf::FieldDescriptor;
using hookgate::v1::Event;

std::string IdInJson(const std::string& text) {
  boost::json::value document;
  if (!ParseJson(text, document).ok()) return "";
  const boost::json::object* object = document.if_object();
  const boost::json::value* id = object != nullptr ? object->if_contains("id") : nullptr;
  if (id == nullptr || !id->is_string()) return "";
  return std::string(id->get_string().data(), id->get_string().size());
}

std::string IdInPayload(const Event& event) {
  if (event.payload_case() == Event::PAYLOAD_NOT_SET) return "";
  const FieldDescriptor* const arm = Event::descriptor()->FindFieldByNumber(event.payload_case());
  const google::protobuf::Message& payload = event.GetReflection()->GetMessage(event, arm);
  const FieldDescriptor* const id = payload.GetDescriptor()->FindFieldByName("id");
  if (id == nullptr || id->is_repeated() || id->type() != FieldDescriptor::TYPE_STRING) return "";
  return payload.GetReflection()->GetString(payload, id);
}

}  // namespace

std::string EventIdOf(const Event& event) {
  std::string id =
      event.has_unrecognized() ? IdInJson(event.unrecognized().raw_json()) : IdInPayload(event);
  return id.size() <= kMaxKeyBytes ? id : "";
}

}  // namespace hookgate
