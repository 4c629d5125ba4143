// A JSON object as a protobuf message, by the rules that the message's own fields carry
// (proto/hookgate/schema/v1/options.proto). No code per message: descriptors beside Boost.JSON.
#ifndef HOOKGATE_SERVER_EVENT_MESSAGE_DECODER_H_
#define HOOKGATE_SERVER_EVENT_MESSAGE_DECODER_H_

#include <boost/json/fwd.hpp>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace hookgate {

struct MessagePlan;

// What the fields of one message type ask for, looked up once. Immutable; safe from any thread.
// Copies share it.
class MessageDecoder {
 public:
  // FAILED_PRECONDITION names the field that cannot be decoded. Fields may be string, int64, bool
  // or a message, singular or repeated, and:
  //   - a singular text, number or boolean that is not required is `optional`, so that absent stays
  //     apart from empty
  //   - a literal stands on a singular string only
  //   - no bytes, other numbers, enums, maps or oneofs; no message holds itself, however deep
  static absl::StatusOr<MessageDecoder> For(const google::protobuf::Descriptor& type);

  // REQUIRES: `message` is of that type, and empty.
  // Sets the fields of `message` from the members of `json` with the fields' names. Members that no
  // field names are ignored; null counts as missing. Recurses as deep as the type does, not as
  // `json`.
  // INVALID_ARGUMENT with reason invalid_event at the first field that is not as its rules say. The
  // message begins with that field's path, "data.sip_headers[2].name: ", and holds at most some 40
  // bytes of `json`, escaped. `message` is then partly set.
  absl::Status Decode(const boost::json::object& json, google::protobuf::Message& message) const;

 private:
  explicit MessageDecoder(std::shared_ptr<const MessagePlan> plan) : plan_(std::move(plan)) {}

  std::shared_ptr<const MessagePlan> plan_;
};

// What a JSON value is, for error messages: "the number 5", "an array"; texts are escaped and cut.
std::string DescribeJson(const boost::json::value& value);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENT_MESSAGE_DECODER_H_
