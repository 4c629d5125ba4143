#include "tests/bench/engine_appends.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/time/clock.h"

namespace hookgate {
namespace {

constexpr int kEventBytes = 600;  // about what one webhook adds to the log

absl::Duration At(const std::vector<absl::Duration>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1,
                         static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

}  // namespace

absl::StatusOr<EngineAppends> MeasureAppends(ReplicatedLog& log, int events, absl::Duration time,
                                             LogIndex& last) {
  std::string bytes(static_cast<size_t>(events) * kEventBytes, 'x');
  std::vector<absl::Duration> latencies;
  const absl::Time begin = absl::Now();
  absl::Time now = begin;
  while (now - begin < time) {
    // No two are the same.
    const std::string mark = std::to_string(last);
    bytes.replace(0, mark.size(), mark);
    const CompareAppendResult result = log.CompareAppend(last, bytes, absl::Seconds(10));
    if (result.outcome != CompareAppendOutcome::kAppended) return result.status;
    ++last;
    const absl::Time done = absl::Now();
    latencies.push_back(done - now);
    now = done;
  }
  std::sort(latencies.begin(), latencies.end());
  EngineAppends appends;
  appends.groups_per_second =
      static_cast<double>(latencies.size()) / absl::ToDoubleSeconds(now - begin);
  appends.events_per_second = appends.groups_per_second * events;
  appends.p50 = At(latencies, 0.5);
  appends.p99 = At(latencies, 0.99);
  return appends;
}

}  // namespace hookgate
