#include "server/base/utf8.h"

#include "absl/strings/str_cat.h"
#include "server/base/printable.h"

namespace hookgate {

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t length = FirstCharacter(text).length;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string AsUtf8(absl::string_view text, size_t max_bytes) {
  std::string found;
  while (!text.empty()) {
    const size_t length = FirstCharacter(text).length;
    const size_t taken = length == 0 ? 1 : length;
    if (found.size() + taken > max_bytes) break;
    absl::StrAppend(&found, length == 0 ? absl::string_view("?") : text.substr(0, length));
    text.remove_prefix(taken);
  }
  return found;
}

}  // namespace hookgate
