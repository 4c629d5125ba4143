// The newest events of the log, in memory: what subscribers that keep up read from. There is no
// queue per subscriber; each reads on from its own position, here or, when it has fallen behind,
// from disk.
#ifndef HOOKGATE_SERVER_DELIVERY_TAIL_H_
#define HOOKGATE_SERVER_DELIVERY_TAIL_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/delivery/head_watch.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Thread-safe.
class Tail final : public CommitListener {
 public:
  struct Limits {
    size_t max_events = 8192;
    int64_t max_bytes = 32 << 20;  // of envelopes and raw bodies; the newest event always stays
  };

  // Tells `watch` of each new head once its events can be read here. `watch` outlives the tail.
  Tail(const Limits& limits, HeadWatch& watch) : limits_(limits), watch_(watch) {}

  // Before anything reads: the log ends at `head`, and nothing up to there is in memory.
  void StartAfter(Sequence head);

  void OnCommit(absl::Span<const StoredEventPtr> events) override;

  // What can be read here.
  struct Extent {
    Sequence after = 0;  // all that comes after this one
    Sequence head = 0;
  };
  Extent extent() const;

  struct Slice {
    std::vector<StoredEventPtr> events;  // the next ones, in order, unfiltered
    Sequence head = 0;                   // of the tail at that moment
  };
  // Up to `max_events` after `after`; nullopt if some of them are no longer here: read the log.
  absl::optional<Slice> Read(Sequence after, size_t max_events) const;

 private:
  // Constant after construction.
  const Limits limits_;
  HeadWatch& watch_;  // Does its own locking.

  // Held while pointers are copied, never while bytes are.
  mutable absl::Mutex mu_;
  std::deque<StoredEventPtr> events_ ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  Sequence before_first_ ABSL_GUARDED_BY(mu_) = 0;  // all events after this one are in events_
  Sequence head_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_TAIL_H_
