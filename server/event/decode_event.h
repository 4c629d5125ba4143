// A webhook's JSON body as a typed event: Boost.JSON beside the message's descriptor.
//
// Accepts what the model class of openai-python accepts and refuses what it refuses, except where
// protobuf cannot hold it. The rules stand in proto/hookgate/schema/v1/options.proto; the
// differences, above the code in decode_event.cc, message_decoder.cc and parse_json.cc, and in
// tests/conformance/sdk/differences.py; tests/conformance/differential looks for others.
#ifndef HOOKGATE_SERVER_EVENT_DECODE_EVENT_H_
#define HOOKGATE_SERVER_EVENT_DECODE_EVENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "google/protobuf/arena.h"
#include "hookgate/v1/event.pb.h"

namespace hookgate {

// A type or subject of more bytes is not a key: nobody filters by it, and tables, environment
// variables and the log's indexes are not made for it.
inline constexpr size_t kMaxKeyBytes = 1024;

// Moved from, it holds nothing.
struct DecodedEvent {
  DecodedEvent();

  // Of `event`, which consists of some twenty small parts.
  std::unique_ptr<google::protobuf::Arena> memory;
  // `type`, `subject` and `payload` are set; the rest of the envelope is the caller's.
  hookgate::v1::Event& event;
  // When it happened, as the payload's `created_at` says; nullopt: its type has none, or is not
  // known.
  absl::optional<absl::Time> create_time;
  // By the schema for a type that it holds for this body, by HasNameOfFailure for another one.
  bool failure = false;
  std::string event_id;  // the body's member `id`, as event_id.h says
};

// Decodes `body`. A type that the schema does not hold, or that is built in, becomes an
// UnrecognizedEvent, and so does a body whose type or subject is longer than kMaxKeyBytes: without
// its subject then, and without the type if that is too long. `raw_json` has both.
// Pure; safe from any thread. Takes bounded stack and time for any input.
// Errors, both INVALID_ARGUMENT, told apart by reason (base/reason.h):
//   body_not_json  not UTF-8 JSON, or nested deeper than 128; a lone surrogate, also as "\ud800",
//                  is not UTF-8. A byte order mark before the JSON is passed over
//   invalid_event  no object with a text member `type`, or not the shape of that type; the message
//                  begins with the path of the field, such as "data.id: ..."
// No message holds more than some 40 bytes of `body`, control characters escaped.
absl::StatusOr<DecodedEvent> DecodeEvent(absl::string_view body);

// The same for a body that the gateway itself has made, of a built-in type; any other type is
// invalid_event.
absl::StatusOr<DecodedEvent> DecodeBuiltInEvent(absl::string_view body);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENT_DECODE_EVENT_H_
