// Where reading has to begin so that no event received at or after a time is missed.
//
// Receive times do not grow with the sequence: a webhook that is released from quarantine gets a
// new sequence and keeps its old time, and the wall clock may be set in either direction. So the
// event to begin with is the one with the lowest sequence among all that were received at or after
// the time. To find it without reading the log, the latest receive time of each block of 1,024
// sequences is kept: only the first block that reaches the time is read.
//
//   receive_time_blocks  one row a full block, written in the transaction that fills it
//   in memory            8 bytes a block; the block that is not full yet, too
//
// What the table lacks, in a log of an older version, is found when the log is opened.
#ifndef HOOKGATE_SERVER_EVENTLOG_RECEIVE_TIMES_H_
#define HOOKGATE_SERVER_EVENTLOG_RECEIVE_TIMES_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/eventlog/event_log.h"
#include "server/store/database.h"

namespace hookgate {

// FirstBlock and Latest are thread-safe; everything else is called by the thread that writes.
class ReceiveTimes {
 public:
  static constexpr int64_t kBlock = 1024;  // sequences

  // `position` is what the database holds. Without `may_write`, or if the disk is full, what the
  // table lacks is held in memory alone.
  static absl::StatusOr<std::unique_ptr<ReceiveTimes>> Open(Database& database,
                                                            const EventLogPosition& position,
                                                            bool may_write);

  struct Range {
    Sequence first = 0;
    Sequence last = 0;
  };
  // The first block with a sequence not below `from` that holds an event received at or after
  // `time`, or did before retention removed part of it. nullopt: there is none.
  absl::optional<Range> FirstBlock(absl::Time time, Sequence from) const ABSL_LOCKS_EXCLUDED(mu_);
  // Of all events held; nullopt: none is.
  absl::optional<absl::Time> Latest() const ABSL_LOCKS_EXCLUDED(mu_);

  // Within a transaction of `database`: `appended` are new, and events before `earliest` are gone.
  absl::Status Write(Database& database, absl::Span<const StoredEventPtr> appended,
                     Sequence earliest);
  // That transaction was committed; or it was not.
  void Committed() ABSL_LOCKS_EXCLUDED(mu_);
  void RolledBack();

 private:
  using Blocks = std::map<int64_t, int64_t>;  // block, microseconds

  explicit ReceiveTimes(int64_t first_block) : first_block_(first_block) {}

  absl::Status LoadBlocks(Database& database, int64_t end);
  absl::Status Fill(Database& database, const EventLogPosition& position, bool may_write);
  void Note(int64_t block, int64_t latest_us) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Touched only by the writing thread: what becomes so with the commit.
  Blocks written_;
  absl::optional<int64_t> new_first_block_;

  mutable absl::Mutex mu_;
  int64_t first_block_ ABSL_GUARDED_BY(mu_);
  // Of first_block_ and those that follow; the past where nothing is known to be held.
  std::deque<int64_t> latest_us_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_RECEIVE_TIMES_H_
