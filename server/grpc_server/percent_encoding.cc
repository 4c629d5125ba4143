#include "server/grpc_server/percent_encoding.h"

namespace hookgate {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

bool IsPlain(unsigned char byte) { return byte >= 0x20 && byte <= 0x7e && byte != '%'; }

bool ContinuesCharacter(unsigned char byte) { return (byte & 0xc0) == 0x80; }

}  // namespace

std::string PercentEncode(absl::string_view text, size_t max_bytes) {
  std::string encoded;
  encoded.reserve(text.size() < max_bytes ? text.size() : max_bytes);
  size_t whole = 0;  // length of `encoded` up to the end of the last character
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (!ContinuesCharacter(byte)) whole = encoded.size();
    if (encoded.size() + (IsPlain(byte) ? 1 : 3) > max_bytes) {
      encoded.resize(whole);
      return encoded;
    }
    if (IsPlain(byte)) {
      encoded.push_back(character);
    } else {
      encoded.push_back('%');
      encoded.push_back(kHex[byte >> 4]);
      encoded.push_back(kHex[byte & 0xf]);
    }
  }
  return encoded;
}

}  // namespace hookgate
