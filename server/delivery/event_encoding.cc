#include "server/delivery/event_encoding.h"

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/delivery/cursor.h"

namespace hookgate {
namespace {

using google::protobuf::io::CodedOutputStream;
using google::protobuf::internal::WireFormatLite;
using hookgate::v1::Event;
using hookgate::v1::SubscribeResponse;

void AppendVarint(uint64_t value, std::string& out) {
  uint8_t buffer[10];
  const uint8_t* end = CodedOutputStream::WriteVarint64ToArray(value, buffer);
  out.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(end - buffer));
}

void AppendTag(int field, WireFormatLite::WireType type, std::string& out) {
  AppendVarint(WireFormatLite::MakeTag(field, type), out);
}

void AppendBytes(int field, absl::string_view bytes, std::string& out) {
  AppendTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED, out);
  AppendVarint(bytes.size(), out);
  out.append(bytes.data(), bytes.size());
}

// What is known only once the event has its place in the log.
std::string EncodePosition(const LogEvent& event, absl::string_view epoch) {
  std::string position;
  AppendTag(Event::kSequenceFieldNumber, WireFormatLite::WIRETYPE_VARINT, position);
  AppendVarint(static_cast<uint64_t>(event.sequence), position);
  AppendBytes(Event::kCursorFieldNumber, FormatCursor(epoch, event.sequence), position);
  return position;
}

}  // namespace

void AppendBatchElement(const LogEvent& event, absl::string_view epoch, bool include_raw_body,
                        std::string& out) {
  std::string tail = EncodePosition(event, epoch);
  size_t size = event.envelope.size() + tail.size();
  if (include_raw_body) {
    // Only the field's head is put into `tail`; the body itself is copied once, into `out`.
    const size_t position_size = tail.size();
    AppendTag(Event::kRawBodyFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED, tail);
    AppendVarint(event.raw_body.size(), tail);
    size += tail.size() - position_size + event.raw_body.size();
  }
  AppendTag(SubscribeResponse::EventBatch::kEventsFieldNumber,
            WireFormatLite::WIRETYPE_LENGTH_DELIMITED, out);
  AppendVarint(size, out);
  out.append(event.envelope);
  out.append(tail);
  if (include_raw_body) out.append(event.raw_body);
}

std::string EncodeBatchFrame(absl::string_view elements) {
  std::string frame;
  frame.reserve(elements.size() + 12);
  AppendBytes(SubscribeResponse::kEventBatchFieldNumber, elements, frame);
  return frame;
}

Event ToProto(const LogEvent& event, absl::string_view epoch, bool include_raw_body) {
  Event proto;
  proto.ParseFromString(event.envelope);
  proto.set_sequence(event.sequence);
  proto.set_cursor(FormatCursor(epoch, event.sequence));
  if (include_raw_body) proto.set_raw_body(event.raw_body);
  return proto;
}

}  // namespace hookgate
