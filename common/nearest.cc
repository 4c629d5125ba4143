#include "common/nearest.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

constexpr size_t kShortestPrefix = 3;

// One edit in three bytes still reads as a slip; more reads as another word.
size_t Tolerance(absl::string_view word) { return std::max<size_t>(1, word.size() / 3); }

}  // namespace

// The optimal string alignment distance: Levenshtein's, with swaps of neighbours.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const bool same = a[i - 1] == b[j - 1];
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + !same});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

std::string Nearest(absl::string_view word, const std::vector<std::string>& known) {
  constexpr size_t kLongestTyped = 64;
  if (word.empty() || word.size() > kLongestTyped) return "";
  const std::string* nearest = nullptr;
  size_t fewest = Tolerance(word) + 1;
  for (const std::string& candidate : known) {
    const size_t edits = EditDistance(word, candidate);
    if (edits >= fewest) continue;
    fewest = edits;
    nearest = &candidate;
  }
  if (nearest != nullptr) return *nearest;
  if (word.size() < kShortestPrefix) return "";
  for (const std::string& candidate : known) {
    if (absl::StartsWith(candidate, word)) return candidate;
  }
  return "";
}

std::string DidYouMean(absl::string_view word, const std::vector<std::string>& known,
                       absl::string_view prefix) {
  const std::string nearest = Nearest(word, known);
  return nearest.empty() ? "" : absl::StrCat(", did you mean ", prefix, nearest, "?");
}

}  // namespace hookgate
