// Which event a (source, webhook_id) is: what makes one webhook one event, however large the log
// gets.
//
// The ids are random, so an index of them that is kept in order on the disk has another page
// changed by every webhook. Here nothing is written for a webhook but its event: the ids of the
// newest events are held in memory, and every `entries_per_run` of them are written at once as a
// run, which never changes and goes when retention has removed its events. All of it is derived
// from the events: after a crash, what no run holds is read from them again.
//
//   recent   hash -> sequences, in memory: events after the last run
//   runs     webhook_runs: one row a run, with a Bloom filter (16 bits an entry) that memory holds
//            too
//            webhook_pages: a run's entries in 1024 rows by the first ten bits of the hash; an
//            entry is 12 bytes, little-endian: the hash, and by how much the sequence is below the
//            run's last
//
// A hash is the first 64 bits of a SHA-256: it finds candidates, and whoever asks compares the
// event itself, so that two ids with one hash stay two events.
//
// Memory is about 50 bytes for each recent event and 2 for each other.
#ifndef HOOKGATE_SERVER_EVENTLOG_WEBHOOK_INDEX_H_
#define HOOKGATE_SERVER_EVENTLOG_WEBHOOK_INDEX_H_

#include <cstdint>
#include <memory>
#include <string>
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
  // A webhook looks into the filter of each run, so fewer are better; but a run is written within
  // one commit, and what is in none is read at a start.
  static constexpr int64_t kEntriesPerRun = 262'144;

  // Reads the runs, and the events after the last one; where these are enough for runs (a log of an
  // older version), writes them, a transaction each, and says how far it is. `position` is what the
  // database holds. If nothing may be written, or the disk is full, memory holds what runs would.
  static absl::StatusOr<std::unique_ptr<WebhookIndex>> Open(Database& database,
                                                            const LogPosition& position,
                                                            int64_t entries_per_run,
                                                            bool may_write);

  // What Find reads of a run; each connection has its own.
  static absl::StatusOr<Statement> PreparePage(Database& database);

  // Events that may have this hash; the caller looks at each. Some may be gone.
  //   page  PreparePage of the caller's connection, on which what is committed now can be read
  absl::StatusOr<Sequences> Find(WebhookHash hash, Statement& page) const ABSL_LOCKS_EXCLUDED(mu_);

  // Within a transaction of `database`: writes the recent events as a run if they are enough, and
  // forgets runs whose events are all before `earliest`.
  absl::Status Write(Database& database, Sequence earliest) ABSL_LOCKS_EXCLUDED(mu_);
  // That transaction was committed, and `appended` in it; or it was not.
  void Committed(const WebhookHashes& appended) ABSL_LOCKS_EXCLUDED(mu_);
  void RolledBack();

 private:
  struct Run {
    Sequence last;  // events up to here, from after the run before
    std::string filter;
  };

  explicit WebhookIndex(int64_t entries_per_run) : entries_per_run_(entries_per_run) {}

  absl::Status LoadRuns(Database& database);
  absl::Status LoadRecent(Database& database, const LogPosition& position, bool may_write);
  absl::Status WriteLoaded(Database& database, Sequence earliest);
  absl::Status WriteRun(Database& database);
  absl::Status ForgetRuns(Database& database, Sequence earliest);

  // Constant after construction.
  const int64_t entries_per_run_;

  // Touched only by the writing thread: what becomes so with the commit.
  absl::optional<Run> written_;
  std::ptrdiff_t forgotten_ = 0;  // runs

  mutable absl::Mutex mu_;
  WebhookHashes recent_ ABSL_GUARDED_BY(mu_);
  Sequence recent_last_ ABSL_GUARDED_BY(mu_) = 0;  // of the newest in recent_
  std::vector<Run> runs_ ABSL_GUARDED_BY(mu_);     // oldest first
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_WEBHOOK_INDEX_H_
