// A JSON object as a protobuf message, by the rules that the message's own fields carry
// (proto/hookgate/schema/v1/options.proto). No code per message: descriptors beside Boost.JSON.
#ifndef HOOKGATE_SERVER_EVENT_DECODE_MESSAGE_H_
#define HOOKGATE_SERVER_EVENT_DECODE_MESSAGE_H_

#include <boost/json/fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace hookgate {

// Whether DecodeMessage can decode `message` and what it holds. Fields may be string, int64, bool
// or a message, singular or repeated, and:
//   - a singular text, number or boolean that is not required is `optional`, so that absent stays
//     apart from empty
//   - a literal stands on a singular string only
//   - no bytes, other numbers, enums, maps or oneofs; no message holds itself, however deep
// FAILED_PRECONDITION names the field otherwise.
absl::Status CheckDecodable(const google::protobuf::Descriptor& message);

// REQUIRES: CheckDecodable(*message.GetDescriptor()).ok(), and `message` is empty.
// Sets the fields of `message` from the members of `json` with the fields' names. Members that no
// field names are ignored; null counts as missing. Recurses as deep as the type of `message` does,
// not as `json`.
// INVALID_ARGUMENT with reason invalid_event at the first field that is not as its rules say. The
// message begins with that field's path, "data.sip_headers[2].name: ", and holds at most some 40
// bytes of `json`, escaped. `message` is then partly set.
absl::Status DecodeMessage(const boost::json::object& json, google::protobuf::Message& message);

// What a JSON value is, for error messages: "the number 5", "an array"; texts are escaped and cut.
std::string DescribeJson(const boost::json::value& value);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENT_DECODE_MESSAGE_H_
