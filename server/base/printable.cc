#include "server/base/printable.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hookgate {
namespace {

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

// Calls `append` with each character of `text`; a Character of length 0 stands for a byte that is
// not UTF-8.
template <typename Append>
void ForEachCharacter(absl::string_view text, Append append) {
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    const size_t length = std::max<size_t>(character.length, 1);
    append(character, text.substr(0, length));
    text.remove_prefix(length);
  }
}

std::string EscapedByte(absl::string_view byte) {
  return absl::StrFormat("\\x%02x", static_cast<uint8_t>(byte[0]));
}

std::string Escaped(uint32_t code) {
  switch (code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  if (code < 0x80) return absl::StrFormat("\\x%02x", code);
  return code < 0x10000 ? absl::StrFormat("\\u%04x", code) : absl::StrFormat("\\U%08x", code);
}

// RFC 8259, section 7.
std::string JsonEscaped(uint32_t code) {
  switch (code) {
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  if (code < 0x10000) return absl::StrFormat("\\u%04x", code);
  const uint32_t rest = code - 0x10000;
  return absl::StrFormat("\\u%04x\\u%04x", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
}

}  // namespace

Character FirstCharacter(absl::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return {};
  uint32_t code = first & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return {};
    code = code << 6 | (static_cast<uint8_t>(text[i]) & 0x3Fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kLeast[length] || surrogate || code > 0x10FFFF) return {};
  return {code, length};
}

bool IsHarmful(uint32_t code) {
  constexpr struct {
    uint32_t first;
    uint32_t last;
  } kRanges[] = {
      {0x0000, 0x001F},    // C0
      {0x007F, 0x009F},    // DEL, C1
      {0x00AD, 0x00AD},    // soft hyphen
      {0x061C, 0x061C},    // Arabic letter mark
      {0x180E, 0x180E},    // Mongolian vowel separator
      {0x200B, 0x200F},    // zero width, left-to-right and right-to-left marks
      {0x2028, 0x202E},    // separators of lines and paragraphs, embeddings and overrides
      {0x2060, 0x206F},    // word joiner, isolates, shaping
      {0xFEFF, 0xFEFF},    // byte order mark
      {0xFFF9, 0xFFFB},    // interlinear annotations
      {0xE0000, 0xE007F},  // tags
  };
  return std::any_of(std::begin(kRanges), std::end(kRanges), [code](const auto& range) {
    return code >= range.first && code <= range.last;
  });
}

std::string Printable(absl::string_view text) {
  std::string result;
  result.reserve(text.size());
  ForEachCharacter(text, [&result](const Character& character, absl::string_view bytes) {
    if (character.length == 0) {
      result += EscapedByte(bytes);
    } else if (IsHarmful(character.code)) {
      result += Escaped(character.code);
    } else {
      absl::StrAppend(&result, bytes);
    }
  });
  return result;
}

std::string PrintableJsonString(absl::string_view text) {
  std::string result = "\"";
  result.reserve(text.size() + 2);
  ForEachCharacter(text, [&result](const Character& character, absl::string_view bytes) {
    if (character.length == 0) {
      absl::StrAppend(&result, "\\", EscapedByte(bytes));
    } else if (IsHarmful(character.code)) {
      result += JsonEscaped(character.code);
    } else if (character.code == '"' || character.code == '\\') {
      absl::StrAppend(&result, "\\", bytes);
    } else {
      absl::StrAppend(&result, bytes);
    }
  });
  return result + '"';
}

}  // namespace hookgate
