#include "server/grpc_server/wire_fields.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

namespace hookgate {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Deeper than the parser goes, which refuses what is.
constexpr int kMaxDepth = 110;

class Counter {
 public:
  Counter(CodedInputStream& input, size_t limit) : input_(input), limit_(limit) {}

  // False: the bytes are wrong, or there are more than the limit.
  bool CountMessage(const Descriptor& type, int depth) {
    while (const uint32_t tag = input_.ReadTag()) {
      if (++count_ > limit_ || !CountValue(tag, &type, depth)) return false;
    }
    return input_.ConsumedEntireMessage();
  }

  size_t count() const { return count_; }

 private:
  // To the end of the group that `tag` begins. No message of ours has one: what is in it is of no
  // type that is known, whatever the numbers of its fields mean outside of it.
  bool CountGroup(uint32_t begin, int depth) {
    const uint32_t end = WireFormatLite::MakeTag(WireFormatLite::GetTagFieldNumber(begin),
                                                 WireFormatLite::WIRETYPE_END_GROUP);
    while (const uint32_t tag = input_.ReadTag()) {
      if (++count_ > limit_) return false;
      if (tag == end) return true;
      if (!CountValue(tag, nullptr, depth)) return false;
    }
    return false;
  }

  // `type` is of the message that the value is in; null: it is not known.
  bool CountValue(uint32_t tag, const Descriptor* type, int depth) {
    uint64_t number = 0;
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_VARINT:
        return input_.ReadVarint64(&number);
      case WireFormatLite::WIRETYPE_FIXED64:
        return input_.Skip(8);
      case WireFormatLite::WIRETYPE_FIXED32:
        return input_.Skip(4);
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
        return CountBytes(type == nullptr
                              ? nullptr
                              : type->FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag)),
                          depth);
      case WireFormatLite::WIRETYPE_START_GROUP:
        return depth < kMaxDepth && CountGroup(tag, depth + 1);
      default:  // The end of a group that has not begun, too.
        return false;
    }
  }

  // `field` is null if the message has none of that number.
  bool CountBytes(const FieldDescriptor* field, int depth) {
    uint32_t size = 0;
    if (!input_.ReadVarint32(&size) || size > INT32_MAX) return false;
    if (field != nullptr && field->type() == FieldDescriptor::TYPE_MESSAGE) {
      if (depth >= kMaxDepth) return false;
      const CodedInputStream::Limit before = input_.PushLimit(static_cast<int>(size));
      const bool whole = CountMessage(*field->message_type(), depth + 1);
      input_.PopLimit(before);
      return whole;
    }
    if (field != nullptr && field->is_packable()) count_ += size / 8;
    return input_.Skip(static_cast<int>(size));
  }

  CodedInputStream& input_;
  const size_t limit_;
  size_t count_ = 0;
};

}  // namespace

absl::optional<size_t> CountFields(absl::string_view bytes, const Descriptor& type, size_t limit) {
  CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                         static_cast<int>(bytes.size()));
  Counter counter(input, limit);
  const bool whole = counter.CountMessage(type, 1);
  if (!whole && counter.count() <= limit) return absl::nullopt;
  return counter.count();
}

}  // namespace hookgate
