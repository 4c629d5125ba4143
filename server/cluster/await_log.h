// The wait of a replica that can do nothing without the cluster's log: with an empty folder there
// is nothing to serve.
#ifndef HOOKGATE_SERVER_CLUSTER_AWAIT_LOG_H_
#define HOOKGATE_SERVER_CLUSTER_AWAIT_LOG_H_

#include <algorithm>
#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/logging.h"

namespace hookgate {

// What `attempt` returns that is not UNAVAILABLE, however often it takes: machines that boot
// together have their engine in a moment, others as soon as it is mended. Before each `pause`, from
// a quarter of a second to 5 s, the log and `on_wait` (may be null) are told why.
template <typename T>
absl::StatusOr<T> AwaitLog(absl::FunctionRef<absl::StatusOr<T>()> attempt,
                           const std::function<void(const absl::Status&)>& on_wait,
                           absl::FunctionRef<void(absl::Duration)> pause) {
  constexpr absl::Duration kFirstPause = absl::Milliseconds(250);
  constexpr absl::Duration kLongestPause = absl::Seconds(5);
  for (absl::Duration length = kFirstPause;; length = std::min(2 * length, kLongestPause)) {
    absl::StatusOr<T> result = attempt();
    if (!absl::IsUnavailable(result.status())) return result;
    Log(Severity::kWarning, "waiting for the cluster's log",
        {{"error", result.status().ToString()}});
    if (on_wait) on_wait(result.status());
    pause(length);
  }
}

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_AWAIT_LOG_H_
