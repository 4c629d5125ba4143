// Ends calls that last longer than they may: those of a library that waits by the wall clock. When
// somebody sets that back by an hour, what waits for a second waits for an hour more.
#ifndef HOOKGATE_SERVER_REPLICATION_OVERDUE_CALLS_H_
#define HOOKGATE_SERVER_REPLICATION_OVERDUE_CALLS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/monotonic_cond_var.h"
#include "server/replication/call_slot.h"

namespace hookgate {

// Thread-safe.
class OverdueCalls {
 public:
  OverdueCalls();
  // There is no call any more.
  ~OverdueCalls();

  // A call that is made in this scope. If it lasts beyond `due`, `end` is called once, on another
  // thread and perhaps a moment after the scope has ended: it must have all that it uses.
  class Call {
   public:
    Call(OverdueCalls& calls, SteadyTime due, std::function<void()> end)
        : calls_(calls), id_(calls.Begin(due, std::move(end))) {}
    ~Call() { calls_.End(id_); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    OverdueCalls& calls_;
    const int64_t id_;
  };

 private:
  struct Entry {
    SteadyTime due;
    std::function<void()> end;
  };

  int64_t Begin(SteadyTime due, std::function<void()> end) ABSL_LOCKS_EXCLUDED(mu_);
  void End(int64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  MonotonicCondVar changed_;
  std::map<int64_t, Entry> calls_ ABSL_GUARDED_BY(mu_);  // a few
  int64_t last_ ABSL_GUARDED_BY(mu_) = 0;
  // When the thread looks again. Calls that are over by then cost it nothing.
  SteadyTime wakes_at_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: it uses what is above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_OVERDUE_CALLS_H_
