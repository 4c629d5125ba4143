// What an engine of a cluster appends by itself, without a gateway.
#ifndef HOOKGATE_TESTS_BENCH_ENGINE_APPENDS_H_
#define HOOKGATE_TESTS_BENCH_ENGINE_APPENDS_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/replication/replicated_log.h"

namespace hookgate {

struct EngineAppends {
  double groups_per_second = 0;
  double events_per_second = 0;
  absl::Duration p50;
  absl::Duration p99;
};

// Appends groups of `events` events after `last`, which it moves on, one in flight, for `time`.
// Errors: of the first that is not appended.
absl::StatusOr<EngineAppends> MeasureAppends(ReplicatedLog& log, int events, absl::Duration time,
                                             LogIndex& last);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_ENGINE_APPENDS_H_
