#include "server/eventlog/compose_event.h"

#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/proto_time.h"

namespace hookgate {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using hookgate::v1::Event;

// Absent is shorter than empty, and means the same.
void SetTrace(const EventTrace& trace, Event& event) {
  if (!trace.trace_parent.empty()) event.set_trace_parent(trace.trace_parent);
  if (!trace.sender_trace_parent.empty()) {
    event.set_sender_trace_parent(trace.sender_trace_parent);
  }
  if (!trace.sender_trace_state.empty()) event.set_sender_trace_state(trace.sender_trace_state);
}

}  // namespace

std::unique_ptr<StoredEvent> ComposeEvent(DecodedEvent decoded, const WebhookOrigin& origin,
                                          std::string raw_body) {
  hookgate::v1::Event& envelope = decoded.event;
  envelope.set_source(origin.source);
  envelope.set_webhook_id(origin.webhook_id);
  *envelope.mutable_webhook_time() = ToProto(origin.webhook_time);
  *envelope.mutable_receive_time() = ToProto(origin.receive_time);
  envelope.set_durability(origin.durability == Durability::kQuorum
                              ? hookgate::v1::DURABILITY_QUORUM
                              : hookgate::v1::DURABILITY_LOCAL_DISK);
  SetTrace(origin.trace, envelope);

  auto event = std::make_unique<StoredEvent>();
  event->source = origin.source;
  event->webhook_id = origin.webhook_id;
  event->type = envelope.type();
  event->subject = envelope.subject();
  event->failure = decoded.failure;
  event->receive_time = origin.receive_time;
  event->envelope = envelope.SerializeAsString();
  event->raw_body = std::move(raw_body);
  event->event_id = std::move(decoded.event_id);
  event->secrets = origin.secrets;
  return event;
}

std::string TraceParentOf(absl::string_view envelope) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(envelope.data()),
                      static_cast<int>(envelope.size()));
  constexpr uint32_t kTag = WireFormatLite::MakeTag(Event::kTraceParentFieldNumber,
                                                    WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  std::string trace_parent;
  while (const uint32_t tag = in.ReadTag()) {
    if (tag == kTag) {
      if (!WireFormatLite::ReadString(&in, &trace_parent)) return "";
      return trace_parent;
    }
    if (!WireFormatLite::SkipField(&in, tag)) return "";
  }
  return "";
}

std::string SerializeTrace(const EventTrace& trace) {
  Event event;
  SetTrace(trace, event);
  return event.SerializeAsString();
}

EventTrace ParseTrace(absl::string_view serialized) {
  Event event;
  if (!event.ParseFromArray(serialized.data(), static_cast<int>(serialized.size()))) return {};
  return {.trace_parent = event.trace_parent(),
          .sender_trace_parent = event.sender_trace_parent(),
          .sender_trace_state = event.sender_trace_state()};
}

}  // namespace hookgate
