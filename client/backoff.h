// How long to wait before trying again. A pure function: the caller waits.
#ifndef HOOKGATE_CLIENT_BACKOFF_H_
#define HOOKGATE_CLIENT_BACKOFF_H_

#include "absl/random/bit_gen_ref.h"
#include "absl/time/time.h"

namespace hookgate {

struct BackoffPolicy {
  // The ceiling of the first wait. Later ceilings double, up to `maximum`.
  absl::Duration initial = absl::Milliseconds(200);
  absl::Duration maximum = absl::Seconds(30);
};

// The wait before attempt `attempt` in a row, from 1: uniform between half of the ceiling and the
// ceiling, so that clients that lost one gateway at one moment do not come back at one moment. The
// generator is the caller's: one seed, one run.
absl::Duration BackoffDelay(const BackoffPolicy& policy, int attempt, absl::BitGenRef random);

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_BACKOFF_H_
