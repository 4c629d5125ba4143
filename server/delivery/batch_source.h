// Where Subscribe streams get their batches from. A batch is put together once, from the tail or
// from the log, and every stream that asks for the same while it is at hand sends the same bytes.
//
// Streams of one selection meet, wherever they began: batches that are full end at the same places
// (BatchFrame::full), and a caught-up stream takes the batch that another one began at the same
// head.
#ifndef HOOKGATE_SERVER_DELIVERY_BATCH_SOURCE_H_
#define HOOKGATE_SERVER_DELIVERY_BATCH_SOURCE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "server/delivery/batch_frame.h"
#include "server/delivery/frame_cache.h"
#include "server/delivery/selection.h"
#include "server/delivery/tail.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Thread-safe.
class BatchSource {
 public:
  struct Limits {
    // Of one batch, unless a single event is larger; far below the 4 MiB that a gRPC client takes
    // by default.
    size_t max_batch_events = 512;
    int64_t max_batch_bytes = 256 << 10;
    int64_t max_cached_bytes = 32 << 20;
    // Each batch ends at a multiple of this, if not before: there streams meet. Bounds, too, how
    // many events of which none matches are looked at in one read: about 2 ms.
    Sequence block = 1024;
    // Batches that are read after the one asked for, while streams send that.
    int read_ahead = 3;
  };

  // `tail` and `log` outlive the source.
  BatchSource(const Limits& limits, const Tail& tail, EventLog& log)
      : limits_(limits), tail_(tail), log_(log), cache_(limits.max_cached_bytes) {}

  struct Next {
    enum class Kind {
      kBatch,       // `batch`
      kNothingNew,  // there is nothing after that position: the log ends at `head`
      kOnDisk,      // it takes a read: Await
    };
    Kind kind;
    BatchFramePtr batch;
    Sequence head = 0;
  };
  // What comes after `after`. Never blocks.
  Next TryNext(const Selection& selection, Sequence after);

  // What a read came to. OUT_OF_RANGE cursor_overtaken if retention was faster; otherwise what the
  // log says. Errors are not kept: the next stream reads again.
  using Done = absl::AnyInvocable<void(const absl::StatusOr<BatchFramePtr>&) &&>;
  // Has `done` called once the batch after `after` has been read. True: nobody reads it yet, and
  // the caller has to, by Read. False: somebody does.
  bool Await(const Selection& selection, Sequence after, Done done) ABSL_LOCKS_EXCLUDED(mu_);
  // Reads one batch, and calls all who await it. Blocks. Returns where it is worth to read ahead by
  // another call, with `ahead` one more, once others have had their turn; nullopt: nowhere.
  absl::optional<Sequence> Read(const Selection& selection, Sequence after, int ahead)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Whether retention has left what comes after `after`.
  bool IsHeld(Sequence after) const;
  bool IsWorthSending(const BatchFrame& frame, Sequence head) const;
  Sequence BlockEnd(Sequence after) const { return (after / limits_.block + 1) * limits_.block; }
  BatchFramePtr FromTail(const Selection& selection, Sequence after,
                         const std::vector<StoredEventPtr>& events);
  std::vector<Done> TakeWaiting(const Selection& selection, Sequence after)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<BatchFramePtr> FromCacheOrLog(const Selection& selection, Sequence after);
  absl::StatusOr<BatchFramePtr> FromLog(const Selection& selection, Sequence after);
  BatchFramePtr Finish(const Selection& selection, BatchFrame frame, const std::string& elements,
                       size_t events);

  // Constant after construction.
  const Limits limits_;
  const Tail& tail_;  // Does its own locking.
  EventLog& log_;     // Does its own locking.

  FrameCache cache_;  // Does its own locking.

  absl::Mutex mu_;
  // Who awaits the reads that are under way.
  absl::flat_hash_map<std::pair<std::string, Sequence>, std::vector<Done>> reads_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_BATCH_SOURCE_H_
