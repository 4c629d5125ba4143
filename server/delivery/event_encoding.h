// Events in protobuf wire format, put together from bytes that were serialised once, at ingest.
//
// Serialised messages can be concatenated: appending a field's bytes to a message's sets the field
// (protobuf encoding, "Last One Wins"). So Event = envelope + sequence + cursor (+ raw_body), and a
// batch is a row of length-delimited Events.
#ifndef HOOKGATE_SERVER_DELIVERY_EVENT_ENCODING_H_
#define HOOKGATE_SERVER_DELIVERY_EVENT_ENCODING_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "hookgate/v1/event.pb.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Appends `event` as one element of EventBatch.events. With `include_raw_body`, `event` must hold
// it.
void AppendBatchElement(const EventContent& event, const EventLogHistory& history,
                        bool include_raw_body, std::string& out);

// Appends `event` as the field `field` of whatever message `out` holds.
void AppendEventField(int field, const EventContent& event, const EventLogHistory& history,
                      bool include_raw_body, std::string& out);

// Appends the head of a length-delimited field, behind which `size` bytes follow.
void AppendFieldHead(int field, size_t size, std::string& out);

// Appends a number as protobuf does: 0 is left out.
void AppendNumberField(int field, uint64_t number, std::string& out);

// A SubscribeResponse with a batch of `elements`, as AppendBatchElement made them.
std::string EncodeBatchFrame(absl::string_view elements);

// The whole message, for queries.
hookgate::v1::Event ToProto(const StoredEvent& event, const EventLogHistory& history,
                            bool include_raw_body);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_EVENT_ENCODING_H_
