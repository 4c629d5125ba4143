// The event types that this build knows, read from the descriptor of hookgate.v1.Event: each arm of
// its `payload` whose message has a field `type` with a literal. Adding a type takes a message and
// an arm, and no code.
#ifndef HOOKGATE_SERVER_EVENT_EVENT_SCHEMA_H_
#define HOOKGATE_SERVER_EVENT_EVENT_SCHEMA_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "server/event/message_decoder.h"

namespace hookgate {

// One event type.
struct EventType {
  std::string name;                              // "batch.failed"
  const google::protobuf::FieldDescriptor* arm;  // of hookgate.v1.Event.payload
  const google::protobuf::Descriptor* message;   // that arm's message
  bool failure = false;                          // option hookgate.schema.v1.event.failure
  bool built_in = false;                         // option hookgate.schema.v1.event.built_in
  // The fields that lead from `message` to the one marked as the subject, which is a string:
  // {data, id}. Empty if none is marked.
  std::vector<const google::protobuf::FieldDescriptor*> subject_path;
  // The field `created_at` of `message`, Unix seconds; null if it has none that is an int64.
  const google::protobuf::FieldDescriptor* created_at = nullptr;
  MessageDecoder decoder;  // of `message`
};

// Those that webhooks bring, by name. Computed once; lives for ever; safe from any thread. Aborts
// on a schema that ReadEventTypes refuses: that is a mistake in a .proto, which every test and
// every start finds.
const std::vector<EventType>& KnownEventTypes();

// The type called `name` among them, or null.
const EventType* FindEventType(absl::string_view name);

// Those that the gateway itself makes, and no webhook brings: as KnownEventTypes.
const std::vector<EventType>& BuiltInEventTypes();
const EventType* FindBuiltInEventType(absl::string_view name);

// Whether events of this type report a failure: by the schema for a known or built-in type, by
// HasNameOfFailure for one that is not.
bool IsFailureType(absl::string_view type);
// Whether it ends with ".failed".
bool HasNameOfFailure(absl::string_view type);

// The event types among the arms of `payload`, by name.
// FAILED_PRECONDITION names the field or message that is wrong: one that cannot be decoded
// (message_decoder.h), a `type` that is not required, two arms of one type, two subjects in one
// message, or a subject that is no string or stands in a list.
absl::StatusOr<std::vector<EventType>> ReadEventTypes(
    const google::protobuf::OneofDescriptor& payload);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENT_EVENT_SCHEMA_H_
