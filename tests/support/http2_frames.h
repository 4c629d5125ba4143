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

constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kSettings = 4;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;

// RFC 9113, 4.1.
inline std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload) {
  const auto byte = [](size_t value) { return static_cast<char>(value & 0xff); };
  const std::string head = {
      byte(payload.size() >> 16), byte(payload.size() >> 8), byte(payload.size()),
      static_cast<char>(type),    static_cast<char>(flags),  byte(stream >> 24),
      byte(stream >> 16),         byte(stream >> 8),         byte(stream)};
  return absl::StrCat(head, payload);
}

// A length below 2^14 + 127 with a prefix of 7 bits (RFC 7541, 5.1).
inline std::string Length(size_t length) {
  if (length < 127) return std::string(1, static_cast<char>(length));
  length -= 127;
  std::string bytes = "\x7f";
  for (; length >= 128; length >>= 7) bytes.push_back(static_cast<char>(0x80 | (length & 0x7f)));
  bytes.push_back(static_cast<char>(length));
  return bytes;
}

inline std::string Field(absl::string_view name, absl::string_view value) {
  return absl::StrCat(absl::string_view("\0", 1), Length(name.size()), name, Length(value.size()),
                      value);
}

// The client's side of the connection's start.
inline std::string Preface() {
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Frame(kSettings, 0, 0, ""));
}

// The header of a gRPC call, with `more` behind what gRPC asks for.
inline std::string CallHeader(uint32_t stream, absl::string_view path, const Fields& more = {}) {
  Fields fields = {{":method", "POST"},          {":scheme", "http"},
                   {":path", std::string(path)}, {":authority", "test"},
                   {"te", "trailers"},           {"content-type", "application/grpc"}};
  fields.insert(fields.end(), more.begin(), more.end());
  std::string block;
  for (const auto& [name, value] : fields) absl::StrAppend(&block, Field(name, value));
  return Frame(kHeaders, kEndHeaders, stream, block);
}

// One message and the end of the client's side.
//   compressed  what the message's flag says of its bytes
inline std::string LastMessage(uint32_t stream, absl::string_view bytes, bool compressed = false) {
  const auto byte = [](size_t value) { return static_cast<char>(value & 0xff); };
  const std::string prefix = {compressed ? '\1' : '\0', byte(bytes.size() >> 24),
                              byte(bytes.size() >> 16), byte(bytes.size() >> 8),
                              byte(bytes.size())};
  return Frame(kData, kEndStream, stream, absl::StrCat(prefix, bytes));
}

}  // namespace hookgate::http2

#endif  // HOOKGATE_TESTS_SUPPORT_HTTP2_FRAMES_H_
