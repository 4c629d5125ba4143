#include "server/delivery/event_encoding.h"

#include <algorithm>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/wire_format_lite.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/delivery/cursor.h"

namespace hookgate {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;
using hookgate::v1::Event;
using hookgate::v1::SubscribeResponse;

// The most that an element has beyond the event's envelope and body: four heads of fields, each a
// tag and a varint, and a cursor.
constexpr size_t kMaxEncodingBytes = 4 * 16 + kMaxCursorBytes;

// Bytes put together on the stack: an event is encoded once for each stream that gets it.
class ShortBytes {
 public:
  void AppendTag(int field, WireFormatLite::WireType type) {
    AppendVarint(WireFormatLite::MakeTag(field, type));
  }
  void AppendVarint(uint64_t value) {
    const uint8_t* const end = CodedOutputStream::WriteVarint64ToArray(value, bytes_ + size_);
    size_ = static_cast<size_t>(end - bytes_);
  }
  // A length-delimited field.
  void AppendField(int field, absl::string_view bytes) {
    AppendTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
    AppendVarint(bytes.size());
    std::copy(bytes.begin(), bytes.end(), bytes_ + size_);
    size_ += bytes.size();
  }
  absl::string_view view() const { return {reinterpret_cast<const char*>(bytes_), size_}; }
  size_t size() const { return size_; }

 private:
  uint8_t bytes_[kMaxEncodingBytes];  // of which each of these is a part
  size_t size_ = 0;
};

// What is known only once the event has its place in the log.
ShortBytes EncodePosition(const EventContent& event, const EventLogHistory& history) {
  char cursor[kMaxCursorBytes];
  const char* const cursor_end = FormatCursorTo(cursor, history, event.sequence);
  ShortBytes position;
  position.AppendTag(Event::kSequenceFieldNumber, WireFormatLite::WIRETYPE_VARINT);
  position.AppendVarint(static_cast<uint64_t>(event.sequence));
  position.AppendField(Event::kCursorFieldNumber,
                       absl::string_view(cursor, static_cast<size_t>(cursor_end - cursor)));
  return position;
}

// The tag and the length of a field.
ShortBytes HeadOf(int field, size_t size) {
  ShortBytes head;
  head.AppendTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  head.AppendVarint(size);
  return head;
}

void Append(absl::string_view bytes, std::string& out) { out.append(bytes.data(), bytes.size()); }

}  // namespace

void AppendBatchElement(const EventContent& event, const EventLogHistory& history,
                        bool include_raw_body, std::string& out) {
  AppendEventField(SubscribeResponse::EventBatch::kEventsFieldNumber, event, history,
                   include_raw_body, out);
}

void AppendFieldHead(int field, size_t size, std::string& out) {
  Append(HeadOf(field, size).view(), out);
}

void AppendNumberField(int field, uint64_t number, std::string& out) {
  if (number == 0) return;
  ShortBytes bytes;
  bytes.AppendTag(field, WireFormatLite::WIRETYPE_VARINT);
  bytes.AppendVarint(number);
  Append(bytes.view(), out);
}

void AppendEventField(int field, const EventContent& event, const EventLogHistory& history,
                      bool include_raw_body, std::string& out) {
  const ShortBytes position = EncodePosition(event, history);
  size_t size = event.envelope.size() + position.size();
  ShortBytes raw_body_head;
  if (include_raw_body) {
    raw_body_head = HeadOf(Event::kRawBodyFieldNumber, event.raw_body.size());
    size += raw_body_head.size() + event.raw_body.size();
  }
  AppendFieldHead(field, size, out);
  Append(event.envelope, out);
  Append(position.view(), out);
  if (!include_raw_body) return;
  Append(raw_body_head.view(), out);
  Append(event.raw_body, out);
}

std::string EncodeBatchFrame(absl::string_view elements) {
  std::string frame;
  const ShortBytes head = HeadOf(SubscribeResponse::kEventBatchFieldNumber, elements.size());
  frame.reserve(head.size() + elements.size());
  Append(head.view(), frame);
  Append(elements, frame);
  return frame;
}

Event ToProto(const StoredEvent& event, const EventLogHistory& history, bool include_raw_body) {
  Event proto;
  proto.ParseFromString(event.envelope);
  proto.set_sequence(event.sequence);
  proto.set_cursor(FormatCursor(history, event.sequence));
  if (include_raw_body) proto.set_raw_body(event.raw_body);
  return proto;
}

}  // namespace hookgate
