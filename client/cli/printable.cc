#include "client/cli/printable.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_format.h"
#include "server/base/printable.h"

namespace hookgate::cli {
namespace {

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

// Fewer than base's, which log lines go by: a person may look at characters of no width here.
bool MovesOrReorders(uint32_t code) {
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
    } else if (MovesOrReorders(character.code) &&
               harmless.find(text[0]) == absl::string_view::npos) {
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
    if (character.length > 0 && MovesOrReorders(character.code) && json[0] != '\n' &&
        json[0] != '\t') {
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
