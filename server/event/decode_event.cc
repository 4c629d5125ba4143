#include "server/event/decode_event.h"

#include <boost/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/message.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/event/event_schema.h"
#include "server/event/message_decoder.h"
#include "server/event/parse_json.h"

// What is an event
//
// The SDK's `unwrap` never refuses: what is no valid event of a known type comes back unvalidated.
// Here a known type has the shape that the SDK's model class demands, or it is an error, and an
// unknown type is an UnrecognizedEvent.

namespace hookgate {
namespace {

namespace json = boost::json;
using hookgate::v1::Event;

// Room on the stack for a usual body, well under 1 KiB of JSON.
constexpr size_t kDocumentBytes = 4096;

absl::Status NoEvent(absl::string_view message) {
  return ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidEvent, message);
}

// What the parts of a usual event take together. Larger ones get more.
constexpr size_t kEventBytes = 2048;

std::unique_ptr<google::protobuf::Arena> MakeArena() {
  google::protobuf::ArenaOptions options;
  options.start_block_size = kEventBytes;
  return std::make_unique<google::protobuf::Arena>(options);
}

// The text member `name` of `object`, or null if it is missing or no text.
const json::string* FindText(const json::object& object, json::string_view name) {
  const json::value* member = object.if_contains(name);
  return member != nullptr ? member->if_string() : nullptr;
}

absl::StatusOr<std::string> TypeOf(const json::object& body) {
  const json::value* type = body.if_contains("type");
  if (type == nullptr) return NoEvent("type: is missing");
  const json::string* text = type->if_string();
  if (text == nullptr)
    return NoEvent(absl::StrCat("type: must be a string, not ", DescribeJson(*type)));
  return std::string(text->data(), text->size());
}

// The field of `payload` that `path`, which is not empty, leads to.
const std::string& TextAt(const google::protobuf::Message& payload,
                          const std::vector<const google::protobuf::FieldDescriptor*>& path,
                          std::string& scratch) {
  const google::protobuf::Message* holder = &payload;
  for (const google::protobuf::FieldDescriptor* step : path) {
    if (step == path.back()) break;
    holder = &holder->GetReflection()->GetMessage(*holder, step);
  }
  return holder->GetReflection()->GetStringReference(*holder, path.back(), &scratch);
}

// Decodes `body`, which is of `type`, into the payload and the subject of `decoded`.
absl::Status DecodeKnown(const EventType& type, const json::object& body, DecodedEvent& decoded) {
  Event& event = decoded.event;
  google::protobuf::Message& payload = *event.GetReflection()->MutableMessage(&event, type.arm);
  RETURN_IF_ERROR(type.decoder.Decode(body, payload));
  if (!type.subject_path.empty()) {
    std::string scratch;
    event.set_subject(TextAt(payload, type.subject_path, scratch));
  }
  if (type.created_at != nullptr) {
    decoded.create_time =
        absl::FromUnixSeconds(payload.GetReflection()->GetInt64(payload, type.created_at));
  }
  return absl::OkStatus();
}

// data.id of `object` if it is a text and can be a key, otherwise "".
std::string SubjectOfUnknown(const json::object& object) {
  const json::value* data = object.if_contains("data");
  if (data == nullptr || !data->is_object()) return "";
  const json::string* id = FindText(data->get_object(), "id");
  if (id == nullptr || id->size() > kMaxKeyBytes) return "";
  return std::string(id->data(), id->size());
}

// The id of `object` itself, likewise.
std::string EventIdIn(const json::object& object) {
  const json::string* id = FindText(object, "id");
  if (id == nullptr || id->size() > kMaxKeyBytes) return "";
  return std::string(id->data(), id->size());
}

// Whatever was decoded into `decoded` besides its type is replaced.
void SetUnrecognized(absl::string_view body, std::string subject, DecodedEvent& decoded) {
  decoded.create_time.reset();
  Event& event = decoded.event;
  event.set_subject(std::move(subject));
  hookgate::v1::UnrecognizedEvent& unrecognized = *event.mutable_unrecognized();
  unrecognized.set_type(event.type());
  unrecognized.set_subject(event.subject());
  // It is for JSON parsers, most of which do not take the mark.
  absl::ConsumePrefix(&body, kByteOrderMark);
  unrecognized.set_raw_json(std::string(body));
}

// Parses `body` into `document`, and returns the object that it is.
absl::StatusOr<const json::object*> ParseObject(absl::string_view body, json::value& document) {
  RETURN_IF_ERROR(ParseJson(body, document));
  const json::object* object = document.if_object();
  if (object == nullptr) {
    return NoEvent(absl::StrCat("the body must be an object, not ", DescribeJson(document)));
  }
  return object;
}

}  // namespace

DecodedEvent::DecodedEvent()
    : memory(MakeArena()),
      event(*google::protobuf::Arena::CreateMessage<hookgate::v1::Event>(memory.get())) {}

absl::StatusOr<DecodedEvent> DecodeEvent(absl::string_view body) {
  unsigned char memory[kDocumentBytes];
  json::monotonic_resource resource(memory, sizeof(memory));
  json::value document(&resource);
  ASSIGN_OR_RETURN(const json::object* const object, ParseObject(body, document));

  DecodedEvent decoded;
  decoded.event_id = EventIdIn(*object);
  Event& event = decoded.event;
  ASSIGN_OR_RETURN(std::string name, TypeOf(*object));
  if (name.size() > kMaxKeyBytes) {
    SetUnrecognized(body, "", decoded);
    return decoded;
  }
  const EventType* const type = FindEventType(name);
  // A type that is built in is unknown here: whoever signs may claim it.
  decoded.failure = type != nullptr ? type->failure : HasNameOfFailure(name);
  event.set_type(std::move(name));
  if (type == nullptr) {
    SetUnrecognized(body, SubjectOfUnknown(*object), decoded);
    return decoded;
  }
  RETURN_IF_ERROR(DecodeKnown(*type, *object, decoded));
  if (event.subject().size() > kMaxKeyBytes) SetUnrecognized(body, "", decoded);
  return decoded;
}

absl::StatusOr<DecodedEvent> DecodeBuiltInEvent(absl::string_view body) {
  json::value document;
  ASSIGN_OR_RETURN(const json::object* const object, ParseObject(body, document));
  ASSIGN_OR_RETURN(const std::string name, TypeOf(*object));
  const EventType* const type = FindBuiltInEventType(name);
  if (type == nullptr) return NoEvent("type: must be one that is built in");
  DecodedEvent decoded;
  decoded.event_id = EventIdIn(*object);
  decoded.failure = type->failure;
  decoded.event.set_type(name);
  RETURN_IF_ERROR(DecodeKnown(*type, *object, decoded));
  return decoded;
}

}  // namespace hookgate
