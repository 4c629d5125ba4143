#include "server/grpc_server/timer_queue.h"

namespace hookgate {

void TimerQueue::Set(Timed& timed, absl::Duration when) {
  // INT64_MAX for more than 292 years.
  const int64_t when_ns = absl::ToInt64Nanoseconds(when);
  if (when_ns == timed.when_ns_) return;
  if (timed.when_ns_ != Timed::kNotQueued) queue_.erase({timed.when_ns_, &timed});
  timed.when_ns_ = when_ns;
  if (when_ns != Timed::kNotQueued) queue_.emplace(when_ns, &timed);
}

void TimerQueue::RunDue(absl::Duration now) {
  // What is set again for now waits for the next turn, or this one would not end.
  const int64_t now_ns = absl::ToInt64Nanoseconds(now);
  size_t left = queue_.size();
  while (left-- > 0 && !queue_.empty() && queue_.begin()->first <= now_ns) {
    Timed& timed = *queue_.begin()->second;
    queue_.erase(queue_.begin());
    timed.when_ns_ = Timed::kNotQueued;
    timed.OnTime(now);
  }
}

absl::optional<absl::Duration> TimerQueue::next() const {
  if (queue_.empty()) return absl::nullopt;
  return absl::Nanoseconds(queue_.begin()->first);
}

}  // namespace hookgate
