// Which event a (source, webhook_id) is: what makes one webhook one event, however large the log
// gets.
//
// The ids are random, so an index of them that is kept in order on the disk has another page
// changed by every webhook. Here nothing is written for a webhook but its event: the ids of the
// newest events are held in memory, and every `entries_per_run` of them become a run, which never
// changes and goes when retention has removed its events. A run is written beside the commits, a
// little with each of them, so that none takes noticeably longer. Until a run is written, its ids
// are in pieces of 4,096, so that a start reads these and the events after the last piece, not all
// events after the last run.
//
//   recent   hash -> sequences, in memory: events after the last run
//   frozen   the same, of the run that is being written
//   runs     tables of run_tables.h, each run with a Bloom filter (16 bits an entry) that memory
//            holds too; a run's entries are in 1024 pages
//   pieces   entries of events that no run holds yet
//
// All of it is derived from the events: what is missing is read from them again.
//
// A hash is the first 64 bits of a SHA-256: it finds candidates, and the caller compares the event
// itself, so that two ids with one hash stay two events.
//
// Memory is about 50 bytes for each recent event and 2 for each other.
#ifndef HOOKGATE_SERVER_EVENTLOG_WEBHOOK_INDEX_H_
#define HOOKGATE_SERVER_EVENTLOG_WEBHOOK_INDEX_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/optional.h"
#include "server/eventlog/event_log.h"
#include "server/store/database.h"

namespace hookgate {

using WebhookHash = uint64_t;
using Sequences = absl::InlinedVector<Sequence, 1>;
using WebhookHashes = absl::flat_hash_map<WebhookHash, Sequences>;

// Pure.
WebhookHash HashWebhook(absl::string_view source, absl::string_view webhook_id);

// Find is thread-safe; everything else is called by the thread that writes the log.
class WebhookIndex {
 public:
  // A webhook looks into the filter of each run, so fewer are better; but memory holds what is in
  // none.
  static constexpr int64_t kEntriesPerRun = 262'144;
  // What a start may have to read of events themselves.
  static constexpr int64_t kEntriesPerPiece = 4096;

  // Reads the runs and the pieces, and the events after the last of them; where these are enough
  // for runs (a log of an older version), writes them, a transaction each, and says how far it is.
  // `position` is what the database holds. If nothing may be written, or the disk is full, memory
  // holds what runs would.
  static absl::StatusOr<std::unique_ptr<WebhookIndex>> Open(Database& database,
                                                            const EventLogPosition& position,
                                                            int64_t entries_per_run,
                                                            bool may_write);

  // What Find reads of a run; each connection has its own.
  static absl::StatusOr<Statement> PreparePage(Database& database);

  // Events that may have this hash; the caller looks at each. Some may be gone.
  //   page  PreparePage of the caller's connection, on which what is committed now can be read
  absl::StatusOr<Sequences> Find(WebhookHash hash, Statement& page) const ABSL_LOCKS_EXCLUDED(mu_);

  // Within a transaction of `database`: writes a piece or a part of a run, if there are entries
  // enough for one, and forgets runs whose events are all before `earliest`; a bounded part of that
  // in each transaction.
  absl::Status Write(Database& database, Sequence earliest) ABSL_LOCKS_EXCLUDED(mu_);
  // That transaction was committed, and `appended` in it; or it was not.
  void Committed(const WebhookHashes& appended) ABSL_LOCKS_EXCLUDED(mu_);
  void RolledBack();

 private:
  struct Run {
    Sequence last;  // events up to here, from after the run before
    std::string filter;
  };
  // The run that is made of frozen_.
  struct Unfinished {
    Run run;
    WebhookHashes::const_iterator next;  // first entry that is not in `pages` yet
    std::vector<std::string> pages;
    size_t written_pages = 0;    // with what the open transaction has written
    size_t committed_pages = 0;  // on the disk
    bool written = false;        // whole, by the open transaction
  };
  // How much one transaction does at most of what can wait.
  struct Budget {
    int64_t entries;
    int64_t pages;
    int64_t pieces;
  };

  explicit WebhookIndex(int64_t entries_per_run);

  absl::Status LoadRuns(Database& database);
  absl::Status LoadPieces(Database& database, Sequence earliest);
  absl::Status LoadRecent(Database& database, const EventLogPosition& position, bool may_write);
  absl::Status WriteLoaded(Database& database, Sequence earliest);
  bool IsBehind() const ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status WriteWithin(const Budget& budget, Database& database, Sequence earliest);
  absl::Status DeleteOrphans(Database& database);
  absl::Status WritePieces(const Budget& budget, Database& database);
  absl::Status ContinueRun(const Budget& budget, Database& database);
  void FreezeIfEnough() ABSL_LOCKS_EXCLUDED(mu_);
  void Collect(const Budget& budget) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status WritePages(const Budget& budget, Database& database);
  absl::Status ForgetPieces(const Budget& budget, Database& database);
  absl::Status ForgetRun(const Budget& budget, Database& database, Sequence last);

  // Constant after construction.
  const int64_t entries_per_run_;
  const int64_t entries_per_piece_;

  // Touched only by the writing thread.
  absl::optional<Unfinished> unfinished_;
  std::deque<std::pair<Sequence, WebhookHash>> unwritten_;  // in no piece yet; in their order
  bool orphans_ = true;       // there may be pages of a run that an earlier process did not finish
  bool stale_pieces_ = true;  // there may be pieces whose entries are all in runs
  // What becomes so with the commit.
  size_t written_entries_ = 0;  // of unwritten_
  bool orphans_deleted_ = false;
  bool stale_pieces_deleted_ = false;
  bool forgotten_ = false;  // the oldest run

  mutable absl::Mutex mu_;
  WebhookHashes recent_ ABSL_GUARDED_BY(mu_);
  WebhookHashes frozen_ ABSL_GUARDED_BY(mu_);
  Sequence recent_last_ ABSL_GUARDED_BY(mu_) = 0;  // of the newest in recent_
  std::vector<Run> runs_ ABSL_GUARDED_BY(mu_);     // oldest first
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_WEBHOOK_INDEX_H_
