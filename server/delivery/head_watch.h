// Wakes those who wait for the log to grow, or for a moment: one thread for all streams.
#ifndef HOOKGATE_SERVER_DELIVERY_HEAD_WATCH_H_
#define HOOKGATE_SERVER_DELIVERY_HEAD_WATCH_H_

#include <limits>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/monotonic_mutex.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Thread-safe. Each wait is one-shot: a waiter that has been woken waits again if it wants to, so
// that a commit costs a wake-up only for streams with nothing else to do.
//
// Wakes in rounds: after one in which there were events for streams it rests a little, at most
// 5 ms, the longer the more there was to do, and what is committed meanwhile goes out together.
class HeadWatch {
 public:
  class Waiter {
   public:
    virtual ~Waiter() = default;
    // On the watch's thread, with no lock held. Must not block.
    virtual void Wake() = 0;
  };

  // `clock` outlives the watch. Its monotonic time decides; the thread looks at it whenever it may
  // be time.
  explicit HeadWatch(const Clock& clock);
  ~HeadWatch();

  // As `seen`: the head does not matter.
  static constexpr Sequence kWhateverTheHead = std::numeric_limits<Sequence>::max();

  // Wakes `waiter` once: when the head is beyond `seen`, or at `deadline` on the monotonic clock.
  // False: the head is beyond `seen` already, and `waiter` will not be woken. Replaces a wait it
  // had before.
  bool Await(Sequence seen, absl::Duration deadline, std::shared_ptr<Waiter> waiter)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Wakes `waiter` once, with all who wait for the head, in the next round: that is at once, unless
  // the watch rests from the last one. For who has just been served and sees little that is new.
  void AwaitNextRound(absl::Duration deadline, std::shared_ptr<Waiter> waiter)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Ends the wait of `waiter`, if it has one. It may be in a Wake at this moment.
  void Forget(Waiter* waiter) ABSL_LOCKS_EXCLUDED(mu_);

  // The log has grown to `head`. Quick: the thread does the rest.
  void Advance(Sequence head) ABSL_LOCKS_EXCLUDED(mu_);

  // Looks at the clock now. For tests that move it by hand.
  void CheckDeadlines() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Some of the waits, by waiter and by deadline.
  class Waits {
   public:
    void Put(std::shared_ptr<Waiter> waiter, absl::Duration deadline);
    // Null if it has no wait here.
    std::shared_ptr<Waiter> Take(Waiter* waiter);
    // Infinite if there is none.
    absl::Duration soonest() const;
    bool empty() const { return waits_.empty(); }
    void TakeAll(std::vector<std::shared_ptr<Waiter>>& out);
    void TakeDue(absl::Duration now, std::vector<std::shared_ptr<Waiter>>& out);

   private:
    struct Wait {
      std::shared_ptr<Waiter> waiter;
      absl::Duration deadline;
    };
    absl::flat_hash_map<Waiter*, Wait> waits_;
    absl::btree_set<std::pair<absl::Duration, Waiter*>> deadlines_;  // soonest first
  };

  // Returns the waiter if it had a wait of the other kind.
  std::shared_ptr<Waiter> Put(Sequence seen, absl::Duration deadline,
                              std::shared_ptr<Waiter> waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run();
  absl::Duration TimeUntil(absl::Duration moment) const;
  absl::Duration Soonest() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<std::shared_ptr<Waiter>> TakeDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Clock& clock_;

  MonotonicMutex mu_;
  Sequence head_ ABSL_GUARDED_BY(mu_) = 0;
  bool head_grew_ ABSL_GUARDED_BY(mu_) = false;  // and who waits for it is not woken yet
  bool check_clock_ ABSL_GUARDED_BY(mu_) =
      false;  // a wait was added that may end before the others
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Waits head_waits_ ABSL_GUARDED_BY(mu_);   // for the head to grow, or for their deadline
  Waits clock_waits_ ABSL_GUARDED_BY(mu_);  // for their deadline alone

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_HEAD_WATCH_H_
