#include "server/eventlog/event_log_history.h"

#include <algorithm>
#include <limits>

#include "absl/random/random.h"
#include "absl/strings/str_format.h"

namespace hookgate {

HistoryMark Stretches::MarkAt(int64_t number) const {
  if (stretches_.empty()) return 0;
  // Most ask for what is new.
  if (number >= stretches_.back().first) return stretches_.back().mark;
  const auto next = std::upper_bound(
      stretches_.begin(), stretches_.end(), number,
      [](int64_t wanted, const Stretch& stretch) { return wanted < stretch.first; });
  return next == stretches_.begin() ? 0 : std::prev(next)->mark;
}

absl::optional<int64_t> Stretches::LastOf(HistoryMark mark) const {
  int64_t last = std::numeric_limits<int64_t>::max();
  for (auto stretch = stretches_.rbegin(); stretch != stretches_.rend(); ++stretch) {
    if (stretch->mark == mark) return last;
    last = stretch->first - 1;
  }
  if (mark == 0) return last;
  return absl::nullopt;
}

HistoryMark NewHistoryMark() {
  absl::BitGen random;
  return absl::Uniform<HistoryMark>(absl::IntervalClosed, random, 1,
                                    std::numeric_limits<HistoryMark>::max());
}

std::string NewEpoch() {
  absl::BitGen random;
  return absl::StrFormat("%016x", absl::Uniform<uint64_t>(random));
}

}  // namespace hookgate
