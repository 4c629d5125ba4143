#include "client/cli/printable.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_format.h"

namespace hookgate::cli {
namespace {

// One character at the beginning of a text; length 0: the bytes there are no UTF-8.
struct Character {
  uint32_t code = 0;
  size_t length = 0;
};

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
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
  const bool control = code < 0x20 || (code >= 0x7F && code <= 0x9F);
  const bool separator = code == 0x2028 || code == 0x2029;
  const bool direction = code == 0x061C || code == 0x200E || code == 0x200F ||
                         (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x206F);
  return control || separator || direction;
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
      return code < 0x80 ? absl::StrFormat("\\x%02x", code) : absl::StrFormat("\\u%04x", code);
  }
}

std::string Escape(absl::string_view text, absl::string_view harmless) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    const size_t length = std::max<size_t>(character.length, 1);
    if (character.length == 0) {
      result += absl::StrFormat("\\x%02x", static_cast<uint8_t>(text[0]));
    } else if (IsHarmful(character.code) && harmless.find(text[0]) == absl::string_view::npos) {
      result += Escaped(character.code);
    } else {
      result.append(text.data(), length);
    }
    text.remove_prefix(length);
  }
  return result;
}

}  // namespace

std::string Printable(absl::string_view text) { return Escape(text, ""); }

std::string PrintableLines(absl::string_view text) { return Escape(text, "\n\t"); }

std::string Shortened(absl::string_view text) {
  constexpr absl::string_view kEllipsis = "...";
  size_t columns = 0;
  size_t cut = 0;  // where what is left leaves room for kEllipsis
  for (size_t at = 0; at < text.size(); ++at) {
    if (IsContinuation(text[at])) continue;
    if (columns == kMaxShown - kEllipsis.size()) cut = at;
    if (++columns > kMaxShown) return std::string(text.substr(0, cut)).append(kEllipsis.data());
  }
  return std::string(text);
}

std::string PrintableJson(absl::string_view json) {
  std::string result;
  result.reserve(json.size());
  while (!json.empty()) {
    const Character character = FirstCharacter(json);
    const size_t length = std::max<size_t>(character.length, 1);
    if (character.length > 0 && IsHarmful(character.code) && json[0] != '\n' && json[0] != '\t') {
      result += absl::StrFormat("\\u%04x", character.code);
    } else {
      result.append(json.data(), length);
    }
    json.remove_prefix(length);
  }
  return result;
}

size_t Width(absl::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !IsContinuation(byte); }));
}

}  // namespace hookgate::cli
