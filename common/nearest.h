// "Did you mean": the known word that a mistyped one was probably meant to be. Pure.
#ifndef HOOKGATE_COMMON_NEAREST_H_
#define HOOKGATE_COMMON_NEAREST_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hookgate {

// How many single-byte edits (insert, delete, replace, swap of two neighbours) make `a` to `b`. For
// words: takes time and memory for each byte of one times each of the other.
size_t EditDistance(absl::string_view a, absl::string_view b);

// The entry of `known` that takes the fewest edits to become `word`, the first of equals; or the
// first that `word` is a beginning of, from three bytes on. Empty if nothing is near: a bad guess
// is worse than none.
std::string Nearest(absl::string_view word, const std::vector<std::string>& known);

// ", did you mean X?" with `prefix` before X, or "".
std::string DidYouMean(absl::string_view word, const std::vector<std::string>& known,
                       absl::string_view prefix = "");

}  // namespace hookgate

#endif  // HOOKGATE_COMMON_NEAREST_H_
