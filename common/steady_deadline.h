// When a wait on the monotonic clock ends, as the standard library wants to be told.
#ifndef HOOKGATE_COMMON_STEADY_DEADLINE_H_
#define HOOKGATE_COMMON_STEADY_DEADLINE_H_

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"

namespace hookgate {

// `timeout` from now; a year at most, which can be added to now without overflow.
inline std::chrono::steady_clock::time_point SteadyDeadline(absl::Duration timeout) {
  constexpr absl::Duration kLongest = absl::Hours(24 * 365);
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(std::min(timeout, kLongest));
}

}  // namespace hookgate

#endif  // HOOKGATE_COMMON_STEADY_DEADLINE_H_
