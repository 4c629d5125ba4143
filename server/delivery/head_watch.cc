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
  std::shared_ptr<Waiter> before;  // Its destructor runs without the lock.
  absl::MutexLock lock(&mu_);
  if (head_ > seen) return false;
  if (deadline < Soonest()) check_clock_ = true;
  const bool by_clock = seen == kWhateverTheHead;
  before = (by_clock ? head_waits_ : clock_waits_).Take(waiter.get());
  (by_clock ? clock_waits_ : head_waits_).Put(std::move(waiter), deadline);
  return true;
}

void HeadWatch::Forget(Waiter* waiter) {
  std::shared_ptr<Waiter> by_head, by_clock;  // Their destructors run without the lock.
  absl::MutexLock lock(&mu_);
  by_head = head_waits_.Take(waiter);
  by_clock = clock_waits_.Take(waiter);
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
          std::max(Soonest() - clock_.MonotonicNow(), absl::ZeroDuration());
      mu_.AwaitWithTimeout(absl::Condition(&has_news), timeout);
      if (stopping_) return;
      due = TakeDue();
    }
    for (const auto& waiter : due) waiter->Wake();
  }
}

absl::Duration HeadWatch::Soonest() const {
  return std::min(head_waits_.soonest(), clock_waits_.soonest());
}

std::vector<std::shared_ptr<HeadWatch::Waiter>> HeadWatch::TakeDue() {
  std::vector<std::shared_ptr<Waiter>> due;
  check_clock_ = false;
  const absl::Duration now = clock_.MonotonicNow();
  if (head_grew_) {
    head_grew_ = false;
    head_waits_.TakeAll(due);
  } else {
    head_waits_.TakeDue(now, due);
  }
  clock_waits_.TakeDue(now, due);
  return due;
}

void HeadWatch::Waits::Put(std::shared_ptr<Waiter> waiter, absl::Duration deadline) {
  Waiter* const key = waiter.get();
  Wait& wait = waits_[key];
  if (wait.waiter != nullptr) deadlines_.erase({wait.deadline, key});
  wait = {std::move(waiter), deadline};
  deadlines_.insert({deadline, key});
}

std::shared_ptr<HeadWatch::Waiter> HeadWatch::Waits::Take(Waiter* waiter) {
  const auto found = waits_.find(waiter);
  if (found == waits_.end()) return nullptr;
  deadlines_.erase({found->second.deadline, waiter});
  std::shared_ptr<Waiter> taken = std::move(found->second.waiter);
  waits_.erase(found);
  return taken;
}

absl::Duration HeadWatch::Waits::soonest() const {
  return deadlines_.empty() ? absl::InfiniteDuration() : deadlines_.begin()->first;
}

void HeadWatch::Waits::TakeAll(std::vector<std::shared_ptr<Waiter>>& out) {
  out.reserve(out.size() + waits_.size());
  for (auto& [key, wait] : waits_) out.push_back(std::move(wait.waiter));
  waits_.clear();
  deadlines_.clear();
}

void HeadWatch::Waits::TakeDue(absl::Duration now, std::vector<std::shared_ptr<Waiter>>& out) {
  while (soonest() <= now) out.push_back(Take(deadlines_.begin()->second));
}

}  // namespace hookgate
