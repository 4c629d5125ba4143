// Wakes those who wait for the log to grow, or for a moment: one thread for all streams.
#ifndef HOOKGATE_SERVER_DELIVERY_HEAD_WATCH_H_
#define HOOKGATE_SERVER_DELIVERY_HEAD_WATCH_H_

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/clock.h"
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
  // There may be ten thousand of them, and each waits again after each commit: so what the watch
  // knows of one is a part of it, and to wait allocates nothing. It waits on one watch.
  class Waiter {
   public:
    virtual ~Waiter() = default;
    // On the watch's thread, with no lock held. Must not block.
    virtual void Wake() = 0;

   private:
    friend class HeadWatch;
    static constexpr int64_t kDoesNotWait = std::numeric_limits<int64_t>::min();

    // The lock of the watch guards all of it.
    boost::intrusive::list_member_hook<> by_head_;  // while it waits for the head
    boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>> by_time_;
    int64_t deadline_ns_ = kDoesNotWait;  // INT64_MAX: none
    int64_t due_ns_ = 0;                  // its place by time, not after deadline_ns_
    std::shared_ptr<Waiter> self_;        // while the watch has it in a list
  };

  // `clock` outlives the watch. Its monotonic time decides; the thread looks at it whenever it may
  // be time.
  explicit HeadWatch(const Clock& clock);
  ~HeadWatch();

  // As `seen`: the head does not matter.
  static constexpr Sequence kTimerOnly = std::numeric_limits<Sequence>::max();

  // Wakes `waiter` once: when the head is beyond `seen`, or at `deadline` on the monotonic clock.
  // False: the head is beyond `seen` already, and `waiter` will not be woken. Replaces a wait it
  // had before.
  bool Await(Sequence seen, absl::Duration deadline, std::shared_ptr<Waiter> waiter)
      ABSL_LOCKS_EXCLUDED(mu_);

  // The same, but never refused: if the head is beyond `seen` already, wakes `waiter` with all who
  // wait for the head in the next round, which is at once unless the watch rests from the last one.
  // For who has just been served, and sees little that is new.
  void AwaitNextRound(Sequence seen, absl::Duration deadline, std::shared_ptr<Waiter> waiter)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Ends the wait of `waiter`, if it has one. It may be in a Wake at this moment.
  void Forget(Waiter* waiter) ABSL_LOCKS_EXCLUDED(mu_);

  // The log has grown to `head`. Quick: the thread does the rest.
  void Advance(Sequence head) ABSL_LOCKS_EXCLUDED(mu_);

  // Looks at the clock now. For tests that move it by hand.
  void CheckDeadlines() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using ByHead = boost::intrusive::list<
      Waiter, boost::intrusive::member_hook<Waiter, boost::intrusive::list_member_hook<>,
                                            &Waiter::by_head_>>;
  struct DueOf {
    using type = int64_t;
    type operator()(const Waiter& waiter) const { return waiter.due_ns_; }
  };
  using ByTime = boost::intrusive::multiset<
      Waiter,
      boost::intrusive::member_hook<
          Waiter, boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>>,
          &Waiter::by_time_>,
      boost::intrusive::key_of_value<DueOf>, boost::intrusive::constant_time_size<false>>;
  using Waiters = std::vector<std::shared_ptr<Waiter>>;

  void Put(Sequence seen, absl::Duration deadline, std::shared_ptr<Waiter> waiter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PutByTime(Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static bool IsListed(const Waiter& waiter);
  // Ends its wait; what comes back keeps it alive.
  std::shared_ptr<Waiter> EndWait(Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run();
  absl::Duration TimeUntil(absl::Duration moment) const;
  absl::Duration Soonest() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Adds who is to be woken to `due`, and to `dropped` who is not, and may be destroyed.
  void TakeDue(Waiters& due, Waiters& dropped) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Clock& clock_;

  MonotonicMutex mu_;
  Sequence head_ ABSL_GUARDED_BY(mu_) = 0;
  bool head_grew_ ABSL_GUARDED_BY(mu_) = false;  // and who waits for it is not woken yet
  bool check_clock_ ABSL_GUARDED_BY(mu_) =
      false;  // a wait was added that may end before the others
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  ByHead by_head_ ABSL_GUARDED_BY(mu_);  // who waits for the head to grow
  // Who waits for a deadline, soonest first. A stream that is served keeps its place, which is
  // earlier than its next deadline, also while it does not wait: that is found out when the time
  // has come.
  ByTime by_time_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_HEAD_WATCH_H_
