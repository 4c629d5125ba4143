// A decoded event as one line of JSON, for comparing with what others make of the same body.
#ifndef HOOKGATE_TESTS_CONFORMANCE_CANONICAL_EVENT_H_
#define HOOKGATE_TESTS_CONFORMANCE_CANONICAL_EVENT_H_

#include <boost/json.hpp>
#include <string>

#include "server/event/decode_event.h"

namespace hookgate {

// {"type": "batch.failed", "subject": "batch_1", "failure": true, "batch_failed": {...}}: the last
// member is the arm of Event.payload with its fields by name. Absent fields are left out, lists
// never; integers are JSON integers.
boost::json::object CanonicalEvent(const DecodedEvent& decoded);

// The error in the words of the vectors: "body_not_json", or "invalid_event" and, if the error has
// one, the path of the field: "invalid_event data.id".
std::string CanonicalError(const absl::Status& error);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CONFORMANCE_CANONICAL_EVENT_H_
