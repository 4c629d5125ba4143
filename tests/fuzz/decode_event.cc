// The input is a webhook's body. What it decodes to is the same after it was stored and read.

#include "server/event/decode_event.h"

#include <google/protobuf/util/message_differencer.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/event/event_schema.h"
#include "server/event/parse_json.h"
#include "tests/fuzz/fuzz_target.h"

namespace hookgate {
namespace {

using google::protobuf::util::MessageDifferencer;
using hookgate::v1::Event;

// Larger than any message is today; one that quotes the body whole would be larger still.
constexpr size_t kMaxMessageBytes = 512;

void CheckRefusal(const absl::Status& error) {
  const std::string reason = ReasonOf(error);
  Expect(absl::IsInvalidArgument(error) &&
             (reason == reason::kBodyNotJson || reason == reason::kInvalidEvent),
         "a refusal is INVALID_ARGUMENT body_not_json or invalid_event", error.ToString());
  Expect(!HasControlCharacters(error.message()), "a printable message", error.message());
  Expect(error.message().size() <= kMaxMessageBytes, "a short message", error.message());
}

void CheckDecoded(const DecodedEvent& decoded, const std::string& body) {
  const Event& event = decoded.event;
  // A type that is built in is unknown here: whoever signs may claim it.
  const EventType* const type = FindEventType(event.type());
  Expect(decoded.failure == (type != nullptr ? type->failure : HasNameOfFailure(event.type())),
         "failure by the schema, or by the name of what it does not hold", body);
  Expect(event.payload_case() != Event::PAYLOAD_NOT_SET, "a payload", body);
  Expect(event.type().size() <= kMaxKeyBytes && event.subject().size() <= kMaxKeyBytes,
         "keys of bounded length", body);
  const bool known = type != nullptr;
  // Of a known type it may be as well, if its subject was too long.
  Expect(known || event.has_unrecognized(), "unrecognized if the type is unknown", body);
  if (event.has_unrecognized()) {
    const std::string& raw_json = event.unrecognized().raw_json();
    Expect(raw_json == body || absl::StrCat(kByteOrderMark, raw_json) == body, "the body whole",
           body);
    Expect(!known || event.subject().empty(), "no subject that was too long", body);
    Expect(event.unrecognized().type() == event.type(), "the same type", body);
    Expect(event.unrecognized().subject() == event.subject(), "the same subject", body);
  }
  Event again;
  // Fails, too, if a string is not UTF-8.
  Expect(again.ParseFromString(event.SerializeAsString()), "what was stored can be read", body);
  Expect(MessageDifferencer::Equals(event, again), "the same event once more", body);
  const absl::StatusOr<DecodedEvent> twice = DecodeEvent(body);
  Expect(twice.ok() && MessageDifferencer::Equals(twice->event, event), "one result a body", body);
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body = hookgate::ToInput(data, size);
  const absl::StatusOr<hookgate::DecodedEvent> decoded = hookgate::DecodeEvent(body);
  if (decoded.ok()) {
    hookgate::CheckDecoded(*decoded, body);
  } else {
    hookgate::CheckRefusal(decoded.status());
  }
  return 0;
}
