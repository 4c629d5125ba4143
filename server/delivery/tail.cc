#include "server/delivery/tail.h"

#include <algorithm>

namespace hookgate {
namespace {

int64_t BytesOf(const StoredEvent& event) {
  return static_cast<int64_t>(event.envelope.size() + event.raw_body.size());
}

}  // namespace

void Tail::StartAfter(Sequence head) {
  absl::MutexLock lock(&mu_);
  before_first_ = head;
  head_ = head;
}

void Tail::OnCommit(absl::Span<const StoredEventPtr> events) {
  if (events.empty()) return;
  // Freed outside the lock: it is the last reference to many of them.
  std::vector<StoredEventPtr> evicted;
  {
    absl::MutexLock lock(&mu_);
    for (const StoredEventPtr& event : events) {
      bytes_ += BytesOf(*event);
      events_.push_back(event);
    }
    head_ = events.back()->sequence;
    while (events_.size() > limits_.max_events ||
           (bytes_ > limits_.max_bytes && events_.size() > 1)) {
      bytes_ -= BytesOf(*events_.front());
      before_first_ = events_.front()->sequence;
      evicted.push_back(std::move(events_.front()));
      events_.pop_front();
    }
  }
  watch_.Advance(events.back()->sequence);
}

Tail::Extent Tail::extent() const {
  absl::ReaderMutexLock lock(&mu_);
  return {.after = before_first_, .head = head_};
}

absl::optional<Tail::Slice> Tail::Read(Sequence after, size_t max_events) const {
  absl::ReaderMutexLock lock(&mu_);
  if (after < before_first_) return absl::nullopt;
  Slice slice;
  slice.head = head_;
  auto next = std::upper_bound(
      events_.begin(), events_.end(), after,
      [](Sequence sequence, const StoredEventPtr& event) { return sequence < event->sequence; });
  const size_t count = std::min(max_events, static_cast<size_t>(events_.end() - next));
  slice.events.assign(next, next + static_cast<std::ptrdiff_t>(count));
  return slice;
}

}  // namespace hookgate
