#include "tests/conformance/canonical_event.h"

#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

namespace json = boost::json;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

json::object ObjectOf(const Message& message);

json::value ValueOf(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return json::value(reflection.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return json::value(int64_t{reflection.GetInt64(message, &field)});
    case FieldDescriptor::CPPTYPE_BOOL:
      return json::value(reflection.GetBool(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ObjectOf(reflection.GetMessage(message, &field));
    default:
      std::abort();  // Events have no other kinds: see MessageDecoder::For.
  }
}

json::array ListOf(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  json::array list;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        list.emplace_back(reflection.GetRepeatedString(message, &field, i));
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        list.emplace_back(int64_t{reflection.GetRepeatedInt64(message, &field, i)});
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        list.emplace_back(reflection.GetRepeatedBool(message, &field, i));
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        list.emplace_back(ObjectOf(reflection.GetRepeatedMessage(message, &field, i)));
        break;
      default:
        std::abort();
    }
  }
  return list;
}

json::object ObjectOf(const Message& message) {
  json::object object;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (field.is_repeated()) {
      object[field.name()] = ListOf(message, field);
    } else if (!field.has_presence() || message.GetReflection()->HasField(message, &field)) {
      object[field.name()] = ValueOf(message, field);
    }
  }
  return object;
}

}  // namespace

json::object CanonicalEvent(const DecodedEvent& decoded) {
  json::object object = {{"type", decoded.event.type()},
                         {"subject", decoded.event.subject()},
                         {"failure", decoded.failure}};
  const auto& payload = *hookgate::v1::Event::descriptor()->FindOneofByName("payload");
  const FieldDescriptor* arm =
      decoded.event.GetReflection()->GetOneofFieldDescriptor(decoded.event, &payload);
  if (arm != nullptr) object[arm->name()] = ValueOf(decoded.event, *arm);
  return object;
}

std::string CanonicalError(const absl::Status& error) {
  std::string reason = ReasonOf(error);
  const std::string message(error.message());
  const size_t colon = message.find(": ");
  if (reason != reason::kInvalidEvent || colon == std::string::npos) return reason;
  return absl::StrCat(reason, " ", message.substr(0, colon));
}

}  // namespace hookgate
