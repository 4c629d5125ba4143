// The event types that this build knows, read from the descriptor of hookgate.v1.Event: each arm of its
// `payload` whose message has a field `type` with a literal. Adding a type takes a message and an arm, and no code.
#ifndef HOOKGATE_SERVER_EVENT_EVENT_SCHEMA_H_
#define HOOKGATE_SERVER_EVENT_EVENT_SCHEMA_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace hookgate {

// One event type.
struct EventType {
  std::string name;                                // "batch.failed"
  const google::protobuf::FieldDescriptor* arm;    // of hookgate.v1.Event.payload
  const google::protobuf::Descriptor* message;     // that arm's message
  bool failure = false;                            // option hookgate.schema.v1.event.failure
};

// All of them, by name. Computed once; lives for ever; safe from any thread.
const std::vector<EventType>& KnownEventTypes();

// The type called `name`, or null.
const EventType* FindEventType(absl::string_view name);

// Whether events of this type report a failure: by the schema for a known type, by the ending
// ".failed" for one that is not.
bool IsFailureType(absl::string_view type);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENT_EVENT_SCHEMA_H_
