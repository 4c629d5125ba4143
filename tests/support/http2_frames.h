// HTTP/2 frames as bytes, right or wrong, for tests that speak to the gRPC port without gRPC.
// Header fields are literals without indexing and without Huffman (RFC 7541, 6.2.2), so that each
// field stands in the bytes as it is.
#ifndef HOOKGATE_TESTS_SUPPORT_HTTP2_FRAMES_H_
#define HOOKGATE_TESTS_SUPPORT_HTTP2_FRAMES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace hookgate::http2 {

using Fields = std::vector<std::pair<std::string, std::string>>;

// Types of frames.
constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kPriority = 2;
constexpr uint8_t kRstStream = 3;
constexpr uint8_t kSettings = 4;
constexpr uint8_t kPing = 6;
constexpr uint8_t kGoAway = 7;
constexpr uint8_t kWindowUpdate = 8;
constexpr uint8_t kContinuation = 9;
constexpr uint8_t kPriorityUpdate = 0x10;  // RFC 9218

// Flags.
constexpr uint8_t kAck = 1;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;
constexpr uint8_t kPadded = 8;

// Settings (RFC 9113, 6.5.2), and the largest window.
constexpr uint16_t kHeaderTableSize = 1;
constexpr uint16_t kInitialWindowSize = 4;
constexpr uint32_t kLargestWindow = 0x7fffffff;

// Codes of RST_STREAM and GOAWAY.
constexpr uint32_t kCancel = 8;
constexpr uint32_t kEnhanceYourCalm = 11;

// Big-endian.
inline std::string Number(uint64_t value, int bytes) {
  std::string number;
  for (int i = bytes - 1; i >= 0; --i) number += static_cast<char>(value >> (8 * i) & 0xff);
  return number;
}

// RFC 9113, 4.1.
inline std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload) {
  return absl::StrCat(Number(payload.size(), 3), Number(type, 1), Number(flags, 1),
                      Number(stream, 4), payload);
}

// The client's SETTINGS: names and values.
inline std::string Settings(const std::vector<std::pair<uint16_t, uint32_t>>& settings) {
  std::string payload;
  for (const auto& [name, value] : settings) {
    absl::StrAppend(&payload, Number(name, 2), Number(value, 4));
  }
  return Frame(kSettings, 0, 0, payload);
}

inline std::string WindowUpdate(uint32_t stream, uint32_t increment) {
  return Frame(kWindowUpdate, 0, stream, Number(increment, 4));
}

inline std::string Ping(absl::string_view eight_bytes = "12345678") {
  return Frame(kPing, 0, 0, eight_bytes);
}

inline std::string RstStream(uint32_t stream, uint32_t code = kCancel) {
  return Frame(kRstStream, 0, stream, Number(code, 4));
}

// An integer with a prefix of `prefix_bits`, whose byte's other bits are those of `first` (RFC
// 7541, 5.1).
inline std::string Integer(uint64_t value, int prefix_bits, uint8_t first = 0) {
  const uint64_t most = (uint64_t{1} << prefix_bits) - 1;
  if (value < most) return std::string(1, static_cast<char>(first | value));
  std::string bytes(1, static_cast<char>(first | most));
  for (value -= most; value >= 128; value >>= 7) {
    bytes.push_back(static_cast<char>(0x80 | (value & 0x7f)));
  }
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

// Of a string that is not Huffman's.
inline std::string Length(uint64_t length) { return Integer(length, 7); }

inline std::string Field(absl::string_view name, absl::string_view value) {
  return absl::StrCat(absl::string_view("\0", 1), Length(name.size()), name, Length(value.size()),
                      value);
}

// The same, added to the dynamic table (RFC 7541, 6.2.1).
inline std::string IndexedField(absl::string_view name, absl::string_view value) {
  return absl::StrCat(absl::string_view("\x40", 1), Length(name.size()), name, Length(value.size()),
                      value);
}

// The client's side of the connection's start.
inline std::string Preface(const std::vector<std::pair<uint16_t, uint32_t>>& settings = {}) {
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Settings(settings));
}

// The header block of a gRPC call, with `more` behind what gRPC asks for.
inline std::string CallBlock(absl::string_view path, const Fields& more = {}) {
  Fields fields = {{":method", "POST"},          {":scheme", "http"},
                   {":path", std::string(path)}, {":authority", "test"},
                   {"te", "trailers"},           {"content-type", "application/grpc"}};
  fields.insert(fields.end(), more.begin(), more.end());
  std::string block;
  for (const auto& [name, value] : fields) absl::StrAppend(&block, Field(name, value));
  return block;
}

inline std::string CallHeader(uint32_t stream, absl::string_view path, const Fields& more = {}) {
  return Frame(kHeaders, kEndHeaders, stream, CallBlock(path, more));
}

// The header of a connection's first call in 60 bytes and more, and of all later ones to the same
// path in 6: the first one leaves its fields in the dynamic table.
inline std::string FirstHeader(uint32_t stream, absl::string_view path, uint8_t flags = 0) {
  return Frame(kHeaders, flags | kEndHeaders, stream,
               absl::StrCat("\x83\x86", IndexedField(":path", path),
                            IndexedField(":authority", "test"), IndexedField("te", "trailers"),
                            IndexedField("content-type", "application/grpc")));
}
inline std::string LaterHeader(uint32_t stream, uint8_t flags = 0) {
  return Frame(kHeaders, flags | kEndHeaders, stream, "\x83\x86\xc1\xc0\xbf\xbe");
}

// What stands before a message's bytes.
//   compressed  what the message's flag says of them
inline std::string MessagePrefix(uint32_t size, bool compressed = false) {
  return absl::StrCat(Number(compressed ? 1 : 0, 1), Number(size, 4));
}

// One message and the end of the client's side.
inline std::string LastMessage(uint32_t stream, absl::string_view bytes, bool compressed = false) {
  return Frame(kData, kEndStream, stream,
               absl::StrCat(MessagePrefix(static_cast<uint32_t>(bytes.size()), compressed), bytes));
}

}  // namespace hookgate::http2

#endif  // HOOKGATE_TESTS_SUPPORT_HTTP2_FRAMES_H_
