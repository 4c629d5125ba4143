#include "tests/fuzz/fuzz_target.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace hookgate {

void Expect(bool holds, absl::string_view what, absl::string_view about) {
  if (holds) return;
  std::cerr << "expected: " << what << "; about: \"" << absl::CHexEscape(about) << "\"\n";
  std::abort();
}

std::string ToInput(const uint8_t* data, size_t size) {
  if (size == 0) return std::string();
  return std::string(reinterpret_cast<const char*>(data), size);
}

bool HasControlCharacters(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), absl::ascii_iscntrl);
}

}  // namespace hookgate
