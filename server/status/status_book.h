// How the gateway is and what it has done since its log was made: what GetStatus tells, and a
// restart must not forget.
//
// The counts and times are atomics, which no webhook waits for. Once a second at most, the log asks
// for what has changed since it was stored, and writes it beside a group that it commits anyway
// (CommitCompanion), so that a webhook causes no second commit. StatusKeeper has a commit made for
// changes that no other commit has carried for a second.
//
// A source that leaves the config is remembered for a while, and so is a secret: if it is put back,
// it goes on where it was. How long it has been away is the time for which the log was open since
// then, so that no wall clock removes anything.
#ifndef HOOKGATE_SERVER_STATUS_STATUS_BOOK_H_
#define HOOKGATE_SERVER_STATUS_STATUS_BOOK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/eventlog/status_rows.h"
#include "server/signature/standard_webhooks.h"
#include "server/status/ingest_counters.h"
#include "server/status/source_records.h"

namespace hookgate {

// Thread-safe, but for Restore.
class StatusBook final : public CommitCompanion {
 public:
  static constexpr absl::Duration kWriteInterval = absl::Seconds(1);
  // Sources that are not configured are forgotten after so long, and the one that has been away for
  // longest when there are more. The same holds for secrets.
  static constexpr absl::Duration kMaxAbsence = absl::Hours(24 * 90);
  static constexpr size_t kMaxAbsent = 1000;

  // A source of the config; both outlive the call.
  struct ConfiguredSource {
    absl::string_view name;
    const std::vector<Secret>& secrets;
  };

  // `clock` outlives the book.
  explicit StatusBook(const Clock& clock);

  // Goes on from what the log has; until then, nothing is due. Before any source is configured and
  // anything counts.
  void Restore(const StoredStatus& stored) ABSL_LOCKS_EXCLUDED(mu_);

  // These are the configured sources from now on. Returns the records of each.
  std::vector<SourceRecords> Configure(const std::vector<ConfiguredSource>& sources)
      ABSL_LOCKS_EXCLUDED(mu_);

  IngestCounters& counters() { return counters_; }
  const IngestCounters& counters() const { return counters_; }

  // Since when all of it is counted: the log was made then, or first opened by a gateway that keeps
  // it.
  absl::Time since() const ABSL_LOCKS_EXCLUDED(mu_);
  // How the last reload ended, serialised; "": there was none.
  std::string last_reload() const ABSL_LOCKS_EXCLUDED(mu_);
  void SetLastReload(std::string reload) ABSL_LOCKS_EXCLUDED(mu_);

  // How long it takes until the log may be given something again.
  absl::Duration UntilDue() const;
  // Whether there is anything that is not stored. `all` includes what could wait for days: how long
  // sources have been away.
  bool HasChanges(bool all) ABSL_LOCKS_EXCLUDED(mu_);
  // The next group may carry all of it, however short a time has passed.
  void MakeDue() { write_all_ = true; }

  const StatusChanges* Due(const GroupOutcomes& outcomes) override ABSL_LOCKS_EXCLUDED(mu_);
  void Committed(const GroupOutcomes& outcomes) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  template <typename Record>
  struct Entry {
    std::shared_ptr<Record> record;
    bool configured = false;
    // For how long it has not been, up to `absent_since` on the monotonic clock.
    absl::Duration absent;
    absl::Duration absent_since;
  };
  using Sources = std::map<std::string, Entry<SourceRecord>>;
  using Secrets = std::map<SecretId, Entry<SecretRecord>>;

  struct Pending {
    bool all = false;
    StoredStatus status;
    StatusChanges changes;
  };

  template <typename Entries>
  void SetAllAbsent(Entries& entries, absl::Duration now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What the log should hold after a group with these outcomes.
  StoredStatus Snapshot(const GroupOutcomes& outcomes, bool all) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  template <typename Entries, typename Rows>
  void AddRows(const Entries& entries, const Rows& stored, bool all, absl::Duration now,
               Rows& rows) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const Clock& clock_;

  // Does its own locking.
  IngestCounters counters_;

  std::atomic<bool> restored_ = false;
  std::atomic<bool> write_all_ = false;
  std::atomic<int64_t> last_look_;  // when Due last looked, in nanoseconds of the monotonic clock

  // Touched only by the log's writer thread.
  absl::optional<Pending> pending_;  // what the group that is being written carries

  mutable absl::Mutex mu_;
  StatusHead head_ ABSL_GUARDED_BY(mu_);
  Sources sources_ ABSL_GUARDED_BY(mu_);
  Secrets secrets_ ABSL_GUARDED_BY(mu_);
  int64_t last_generation_ ABSL_GUARDED_BY(mu_) = 0;  // of all secrets
  StoredStatus stored_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STATUS_STATUS_BOOK_H_
