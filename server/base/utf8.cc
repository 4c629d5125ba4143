#include "server/base/utf8.h"

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

}  // namespace hookgate
