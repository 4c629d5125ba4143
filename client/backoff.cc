#include "client/backoff.h"

#include <algorithm>

#include "absl/random/distributions.h"

namespace hookgate {

absl::Duration BackoffDelay(const BackoffPolicy& policy, int attempt, absl::BitGenRef random) {
  absl::Duration ceiling = std::min(policy.initial, policy.maximum);
  // Ends after a few dozen rounds at most: a doubled zero is the one that would not grow.
  for (int i = 1; i < attempt && ceiling < policy.maximum && ceiling > absl::ZeroDuration(); ++i) {
    ceiling = std::min(2 * ceiling, policy.maximum);
  }
  return ceiling * absl::Uniform(absl::IntervalClosedClosed, random, 0.5, 1.0);
}

}  // namespace hookgate
