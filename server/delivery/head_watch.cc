#include "server/delivery/head_watch.h"

#include <algorithm>
#include <vector>

namespace hookgate {

HeadWatch::HeadWatch(const Clock& clock) : clock_(clock), thread_([this] { Run(); }) {}

HeadWatch::~HeadWatch() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

bool HeadWatch::Await(Sequence seen, absl::Duration deadline, std::shared_ptr<Waiter> waiter) {
  absl::MutexLock lock(&mu_);
  if (head_ > seen) return false;
  Waiter* const key = waiter.get();
  Wait& wait = waits_[key];
  if (wait.waiter != nullptr) deadlines_.erase({wait.deadline, key});
  wait = {std::move(waiter), deadline};
  deadlines_.insert({deadline, key});
  if (deadlines_.begin()->second == key) check_clock_ = true;
  return true;
}

void HeadWatch::Forget(Waiter* waiter) {
  std::shared_ptr<Waiter> last;  // Its destructor runs without the lock.
  absl::MutexLock lock(&mu_);
  const auto found = waits_.find(waiter);
  if (found == waits_.end()) return;
  deadlines_.erase({found->second.deadline, waiter});
  last = std::move(found->second.waiter);
  waits_.erase(found);
}

void HeadWatch::Advance(Sequence head) {
  absl::MutexLock lock(&mu_);
  head_ = std::max(head_, head);
  head_grew_ = true;
}

void HeadWatch::CheckDeadlines() {
  absl::MutexLock lock(&mu_);
  check_clock_ = true;
}

void HeadWatch::Run() {
  const auto has_news = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return head_grew_ || check_clock_ || stopping_;
  };
  while (true) {
    std::vector<std::shared_ptr<Waiter>> due;
    {
      absl::MutexLock lock(&mu_);
      const absl::Duration timeout =
          deadlines_.empty()
              ? absl::InfiniteDuration()
              : std::max(deadlines_.begin()->first - clock_.MonotonicNow(), absl::ZeroDuration());
      mu_.AwaitWithTimeout(absl::Condition(&has_news), timeout);
      if (stopping_) return;
      due = TakeDue();
    }
    for (const auto& waiter : due) waiter->Wake();
  }
}

std::vector<std::shared_ptr<HeadWatch::Waiter>> HeadWatch::TakeDue() {
  std::vector<std::shared_ptr<Waiter>> due;
  check_clock_ = false;
  if (head_grew_) {
    head_grew_ = false;
    due.reserve(waits_.size());
    for (auto& [key, wait] : waits_) due.push_back(std::move(wait.waiter));
    waits_.clear();
    deadlines_.clear();
    return due;
  }
  const absl::Duration now = clock_.MonotonicNow();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto found = waits_.find(deadlines_.begin()->second);
    due.push_back(std::move(found->second.waiter));
    waits_.erase(found);
    deadlines_.erase(deadlines_.begin());
  }
  return due;
}

}  // namespace hookgate
