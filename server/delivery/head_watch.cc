#include "server/delivery/head_watch.h"

#include <algorithm>
#include <utility>

#include "server/base/current_thread.h"
#include "server/base/wake_batch.h"

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
  Waiters left;  // Destroyed without the lock.
  MonotonicMutexLock lock(&mu_);
  while (!by_head_.empty()) left.push_back(EndWait(by_head_.front()));
  while (!by_time_.empty()) {
    Waiter& waiter = *by_time_.begin();
    by_time_.erase(by_time_.begin());
    left.push_back(EndWait(waiter));
  }
}

bool HeadWatch::Await(Sequence seen, absl::Duration deadline, std::shared_ptr<Waiter> waiter) {
  MonotonicMutexLock lock(&mu_);
  if (head_ > seen) return false;
  Put(seen, deadline, std::move(waiter));
  return true;
}

void HeadWatch::AwaitNextRound(Sequence seen, absl::Duration deadline,
                               std::shared_ptr<Waiter> waiter) {
  MonotonicMutexLock lock(&mu_);
  Put(seen, deadline, std::move(waiter));
  if (head_ > seen) head_grew_ = true;
}

void HeadWatch::Put(Sequence seen, absl::Duration deadline, std::shared_ptr<Waiter> waiter) {
  Waiter& put = *waiter;
  put.deadline_ns_ = absl::ToInt64Nanoseconds(deadline);
  if (seen == kTimerOnly) {
    if (put.by_head_.is_linked()) by_head_.erase(by_head_.iterator_to(put));
  } else if (!put.by_head_.is_linked()) {
    by_head_.push_back(put);
  }
  if (!put.by_time_.is_linked() || put.due_ns_ > put.deadline_ns_) {
    if (put.by_time_.is_linked()) by_time_.erase(by_time_.iterator_to(put));
    if (deadline < Soonest()) check_clock_ = true;
    PutByTime(put);
  }
  if (!IsListed(put)) {
    put.self_ = nullptr;  // `waiter` is not the last one: its owner has it.
  } else if (put.self_ == nullptr) {
    put.self_ = std::move(waiter);
  }
}

bool HeadWatch::IsListed(const Waiter& waiter) {
  return waiter.by_head_.is_linked() || waiter.by_time_.is_linked();
}

void HeadWatch::PutByTime(Waiter& waiter) {
  if (waiter.deadline_ns_ == std::numeric_limits<int64_t>::max()) return;
  waiter.due_ns_ = waiter.deadline_ns_;
  by_time_.insert(waiter);
}

std::shared_ptr<HeadWatch::Waiter> HeadWatch::EndWait(Waiter& waiter) {
  waiter.deadline_ns_ = Waiter::kDoesNotWait;
  if (waiter.by_head_.is_linked()) by_head_.erase(by_head_.iterator_to(waiter));
  return waiter.by_time_.is_linked() ? waiter.self_ : std::move(waiter.self_);
}

void HeadWatch::Forget(Waiter* waiter) {
  std::shared_ptr<Waiter> last;  // Its destructor runs without the lock.
  MonotonicMutexLock lock(&mu_);
  if (waiter->by_time_.is_linked()) by_time_.erase(by_time_.iterator_to(*waiter));
  last = EndWait(*waiter);
}

void HeadWatch::Advance(Sequence head) {
  MonotonicMutexLock lock(&mu_);
  head_ = std::max(head_, head);
  // No news for who waits later: it has seen that.
  if (!by_head_.empty()) head_grew_ = true;
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
    Waiters due, dropped;
    Sequence head = 0;
    {
      MonotonicMutexLock lock(&mu_);
      mu_.AwaitWithTimeout(stops, TimeUntil(rest_until));
      mu_.AwaitWithTimeout(has_news, TimeUntil(Soonest()));
      if (stopping_) return;
      TakeDue(due, dropped);
      head = head_;
    }
    {
      WakeBatch batch;  // The thread of their connections may run on this core.
      for (const auto& waiter : due) waiter->Wake();
    }
    rest_until = clock_.MonotonicNow() + RestAfter(due.size(), head - std::exchange(served, head));
  }
}

absl::Duration HeadWatch::TimeUntil(absl::Duration moment) const {
  return std::max(moment - clock_.MonotonicNow(), absl::ZeroDuration());
}

absl::Duration HeadWatch::Soonest() const {
  return by_time_.empty() ? absl::InfiniteDuration() : absl::Nanoseconds(by_time_.begin()->due_ns_);
}

void HeadWatch::TakeDue(Waiters& due, Waiters& dropped) {
  check_clock_ = false;
  if (std::exchange(head_grew_, false)) {
    due.reserve(by_head_.size());
    while (!by_head_.empty()) due.push_back(EndWait(by_head_.front()));
  }
  const int64_t now_ns = absl::ToInt64Nanoseconds(clock_.MonotonicNow());
  while (!by_time_.empty() && by_time_.begin()->due_ns_ <= now_ns) {
    Waiter& waiter = *by_time_.begin();
    by_time_.erase(by_time_.begin());
    if (waiter.deadline_ns_ > now_ns) {
      PutByTime(waiter);  // It has been served since.
      if (!IsListed(waiter)) dropped.push_back(std::move(waiter.self_));
    } else {
      const bool waits = waiter.deadline_ns_ != Waiter::kDoesNotWait;
      (waits ? due : dropped).push_back(EndWait(waiter));
    }
  }
}

}  // namespace hookgate
