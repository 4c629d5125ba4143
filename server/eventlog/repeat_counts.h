// How often stored events were sent again. A repeat is answered from what is stored, and causes no
// commit of its own: so it is counted in memory, and goes to the disk beside what else is
// committed, with the status of the gateway at the latest (status_rows.h). A gateway that ends
// without a graceful shutdown forgets those of its last second.
#ifndef HOOKGATE_SERVER_EVENTLOG_REPEAT_COUNTS_H_
#define HOOKGATE_SERVER_EVENTLOG_REPEAT_COUNTS_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/eventlog/event_log.h"
#include "server/store/database.h"

namespace hookgate {

// A webhook whose event was there already.
struct Repeat {
  Sequence sequence = 0;  // of that event
  bool same_body = true;
  absl::Time receive_time;
};

struct RepeatCount {
  int64_t duplicates = 0;
  int64_t conflicts = 0;  // repeats with another body
  absl::Time last = absl::InfinitePast();

  void Add(const RepeatCount& other);
};

// Get is thread-safe; everything else is called by the thread that writes the log.
class RepeatCounts {
 public:
  // As many events at most have counts that are not on the disk. Repeats of others are not counted
  // meanwhile, which takes a disk that is full.
  static constexpr size_t kMaxPending = 65'536;
  // From here on they are worth a commit.
  static constexpr size_t kManyPending = 1024;

  static absl::StatusOr<Statement> PrepareUpsert(Database& database);

  bool HasMany() const ABSL_LOCKS_EXCLUDED(mu_);
  // Within a transaction: writes all, those of `group` too. Events below `earliest` are gone.
  absl::Status Write(absl::Span<const Repeat> group, Sequence earliest, Statement& upsert)
      ABSL_LOCKS_EXCLUDED(mu_);
  // That transaction was committed, whether Write was called in it or not; `group` are the repeats
  // that it answers. Or it was not.
  void Committed(absl::Span<const Repeat> group) ABSL_LOCKS_EXCLUDED(mu_);
  void RolledBack() { written_ = false; }

  // What the disk does not have yet of an event.
  RepeatCount Pending(Sequence sequence) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Counts = absl::flat_hash_map<Sequence, RepeatCount>;
  static void Add(absl::Span<const Repeat> group, Counts& counts);

  bool written_ = false;  // touched only by the writing thread: by the open transaction

  mutable absl::Mutex mu_;
  Counts pending_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_REPEAT_COUNTS_H_
