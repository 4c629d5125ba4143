// What every fuzz target includes. A target is a .cc file with the function below; it says what
// must hold for any input by Expect.
#ifndef HOOKGATE_TESTS_FUZZ_FUZZ_TARGET_H_
#define HOOKGATE_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

// Called with one input after the other, in one process. Returns 0. `data` may be null if `size` is
// 0.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace hookgate {

// Aborts unless `holds`, saying what was expected and, escaped, about what.
void Expect(bool holds, absl::string_view what, absl::string_view about = "");

// A copy whose end AddressSanitizer guards, where a view into a larger buffer would hide an
// overrun.
std::string ToInput(const uint8_t* data, size_t size);

// Whether `text` could end a line of the operator's log, or move the cursor of his terminal.
bool HasControlCharacters(absl::string_view text);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_FUZZ_FUZZ_TARGET_H_
