// Gives memory that is free, and stays free, back to the system.
//
// The allocator keeps what was freed for the next time: after a burst of large webhooks the process
// would hold its peak for ever. It has no clock of its own, so a thread looks every second.
#ifndef HOOKGATE_SERVER_BASE_MEMORY_RELEASER_H_
#define HOOKGATE_SERVER_BASE_MEMORY_RELEASER_H_

#include <algorithm>
#include <cstddef>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "server/base/monotonic_mutex.h"

namespace hookgate {

// How much is given back. Pure; belongs to one thread.
class ReleasePlan {
 public:
  // Kept for what comes next; and once none of it was needed for more than kBusyLooks.
  static constexpr size_t kKept = 8 << 20;
  static constexpr size_t kKeptWhenQuiet = 1 << 20;
  static constexpr int kBusyLooks = 3;
  // So little is given back at once; of more, half each time, so that memory which is used again
  // after a moment need not be asked for again as a whole.
  static constexpr size_t kAtOnce = 16 << 20;

  // What to give back now that `free_bytes` are free. Counts only what was free the last time, too.
  size_t Next(size_t free_bytes) {
    quiet_looks_ = free_bytes < last_free_ ? 0 : std::min(quiet_looks_ + 1, kBusyLooks + 1);
    const size_t kept = quiet_looks_ > kBusyLooks ? kKeptWhenQuiet : kKept;
    const size_t stayed_free = std::min(free_bytes, last_free_);
    const size_t excess = stayed_free > kept ? stayed_free - kept : 0;
    const size_t released = excess > kAtOnce ? excess / 2 : excess;
    last_free_ = free_bytes - released;
    return released;
  }

 private:
  size_t last_free_ = 0;
  int quiet_looks_ = 0;  // in a row: nothing was needed since the one before
};

// Works in a process whose allocator is tcmalloc, which hookgated is; in others it does nothing.
class MemoryReleaser {
 public:
  MemoryReleaser();
  ~MemoryReleaser();
  MemoryReleaser(const MemoryReleaser&) = delete;
  MemoryReleaser& operator=(const MemoryReleaser&) = delete;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  MonotonicMutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_MEMORY_RELEASER_H_
