#include "server/delivery/head_watch.h"

#include <algorithm>
#include <vector>

#include "server/base/current_thread.h"

namespace hookgate {
namespace {

// After a round the watch rests, and what is committed meanwhile goes out together: a frame to each
// stream for each commit would take the time that the commits need. The more streams were woken and
// the more events had come for them, the longer it rests; so a lone event waits for nothing, and
// under full load little is spent on many small frames.
//
// About what a round costs, in wake-ups of threads and in frames; times the events that came for
// it.
constexpr absl::Duration kCostOfRound = absl::Microseconds(40);
constexpr absl::Duration kCostOfStream = absl::Microseconds(10);
constexpr int64_t kMaxEventsThatCount = 32;
constexpr absl::Duration kMaxRest = absl::Milliseconds(5);

absl::Duration RestAfter(size_t streams, int64_t events) {
  if (streams == 0) return absl::ZeroDuration();
  const absl::Duration cost = kCostOfRound + static_cast<int64_t>(streams) * kCostOfStream;
  return std::min(cost * std::min(events, kMaxEventsThatCount), kMaxRest);
}

}  // namespace

HeadWatch::HeadWatch(const Clock& clock) : clock_(clock), thread_([this] { Run(); }) {}

HeadWatch::~HeadWatch() {
  {
    MonotonicMutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

bool HeadWatch::Await(Sequence seen, absl::Duration deadline, std::shared_ptr<Waiter> waiter) {
  std::shared_ptr<Waiter> before;  // Its destructor runs without the lock.
  MonotonicMutexLock lock(&mu_);
  if (head_ > seen) return false;
  before = Put(seen, deadline, std::move(waiter));
  return true;
}

void HeadWatch::AwaitNextRound(absl::Duration deadline, std::shared_ptr<Waiter> waiter) {
  std::shared_ptr<Waiter> before;  // Its destructor runs without the lock.
  MonotonicMutexLock lock(&mu_);
  before = Put(head_, deadline, std::move(waiter));
  head_grew_ = true;
}

std::shared_ptr<HeadWatch::Waiter> HeadWatch::Put(Sequence seen, absl::Duration deadline,
                                                  std::shared_ptr<Waiter> waiter) {
  if (deadline < Soonest()) check_clock_ = true;
  const bool by_clock = seen == kWhateverTheHead;
  std::shared_ptr<Waiter> before = (by_clock ? head_waits_ : clock_waits_).Take(waiter.get());
  (by_clock ? clock_waits_ : head_waits_).Put(std::move(waiter), deadline);
  return before;
}

void HeadWatch::Forget(Waiter* waiter) {
  std::shared_ptr<Waiter> by_head, by_clock;  // Their destructors run without the lock.
  MonotonicMutexLock lock(&mu_);
  by_head = head_waits_.Take(waiter);
  by_clock = clock_waits_.Take(waiter);
}

void HeadWatch::Advance(Sequence head) {
  MonotonicMutexLock lock(&mu_);
  head_ = std::max(head_, head);
  // No news for who waits later: it has seen that.
  if (!head_waits_.empty()) head_grew_ = true;
}

void HeadWatch::CheckDeadlines() {
  MonotonicMutexLock lock(&mu_);
  check_clock_ = true;
}

void HeadWatch::Run() {
  NameThread("head watch");
  const auto has_news = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return head_grew_ || check_clock_ || stopping_;
  };
  const auto stops = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; };
  absl::Duration rest_until;
  Sequence served = 0;  // the head of the last round
  while (true) {
    std::vector<std::shared_ptr<Waiter>> due;
    Sequence head = 0;
    {
      MonotonicMutexLock lock(&mu_);
      mu_.AwaitWithTimeout(stops, TimeUntil(rest_until));
      mu_.AwaitWithTimeout(has_news, TimeUntil(Soonest()));
      if (stopping_) return;
      due = TakeDue();
      head = head_;
    }
    for (const auto& waiter : due) waiter->Wake();
    rest_until = clock_.MonotonicNow() + RestAfter(due.size(), head - std::exchange(served, head));
  }
}

absl::Duration HeadWatch::TimeUntil(absl::Duration moment) const {
  return std::max(moment - clock_.MonotonicNow(), absl::ZeroDuration());
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
