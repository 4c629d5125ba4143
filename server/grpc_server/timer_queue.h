// What has to happen at some time on one thread: time-outs of calls and connections. Pure: its
// owner waits, and says what time it is. Not thread-safe.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_TIMER_QUEUE_H_
#define HOOKGATE_SERVER_GRPC_SERVER_TIMER_QUEUE_H_

#include <cstdint>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace hookgate {

class TimerQueue;

// Something with a time. It must not be destroyed while it is in a queue.
class Timed {
 public:
  virtual ~Timed() = default;

  // `now` is at or after the time for which it was set; it is in the queue no more, and may be set
  // again.
  virtual void OnTime(absl::Duration now) = 0;

 protected:
  Timed() = default;

 private:
  friend class TimerQueue;
  static constexpr int64_t kNotQueued = INT64_MAX;
  int64_t when_ns_ = kNotQueued;
};

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // In place of the time before; InfiniteDuration: never.
  void Set(Timed& timed, absl::Duration when);
  void Cancel(Timed& timed) { Set(timed, absl::InfiniteDuration()); }

  // Calls everything that is due at `now`, once each.
  void RunDue(absl::Duration now);

  // The next time at which something is due.
  absl::optional<absl::Duration> next() const;

 private:
  absl::btree_set<std::pair<int64_t, Timed*>> queue_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_TIMER_QUEUE_H_
