#include "server/delivery/read_queue.h"

namespace hookgate {

void ReadQueue::Post(Work work) {
  {
    absl::MutexLock lock(&mu_);
    if (free_ == 0) {
      waiting_.push_back(std::move(work));
      return;
    }
    --free_;
  }
  Start(std::move(work));
}

void ReadQueue::Start(Work work) {
  executor_.Post([ticket = Ticket(this), work = std::move(work)]() mutable {
    std::move(work)(std::move(ticket));
  });
}

// The ticket goes to whoever has waited longest.
void ReadQueue::Return() {
  Work next;
  {
    absl::MutexLock lock(&mu_);
    if (waiting_.empty()) {
      ++free_;
      return;
    }
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  Start(std::move(next));
}

}  // namespace hookgate
