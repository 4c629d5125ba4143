// Where durable subscriptions read the log: a page each, then behind the others.
//
// Reads have threads of their own, so that nothing else waits for the disk: no acknowledgement, no
// delivery of what is in memory, no heartbeat. And what has been read stays in memory until it has
// been committed and handed over: so a read begins only while less than a bounded number of others
// is on that way.
#ifndef HOOKGATE_SERVER_DELIVERY_READ_QUEUE_H_
#define HOOKGATE_SERVER_DELIVERY_READ_QUEUE_H_

#include <deque>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "server/base/executor.h"

namespace hookgate {

// Thread-safe.
class ReadQueue {
 public:
  // A read is on its way while its ticket lives. The queue outlives its tickets.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)) {}
    Ticket& operator=(Ticket&& other) noexcept {
      std::swap(queue_, other.queue_);
      return *this;
    }
    ~Ticket() {
      if (queue_ != nullptr) queue_->Return();
    }

   private:
    friend class ReadQueue;
    explicit Ticket(ReadQueue* queue) : queue_(queue) {}

    ReadQueue* queue_ = nullptr;
  };
  using Work = absl::AnyInvocable<void(Ticket ticket) &&>;

  // Who reads here is behind: its threads give way to those that serve what is new.
  ReadQueue(int threads, int max_tickets)
      : free_(max_tickets), executor_(threads, Executor::Priority::kGivesWay) {}

  // Runs `work` in its turn. Callers have a bounded number of them queued at a time.
  void Post(Work work) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Start(Work work);
  void Return() ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  int free_ ABSL_GUARDED_BY(mu_);                  // tickets
  std::deque<Work> waiting_ ABSL_GUARDED_BY(mu_);  // for a ticket; none while one is free

  Executor executor_;  // last: its threads use all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_READ_QUEUE_H_
