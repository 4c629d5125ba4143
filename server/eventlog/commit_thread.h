// The one thread that writes the log: everything that waited while a group was being synced goes
// into the next group, so that one sync serves all of them and a lone webhook waits for nobody.
#ifndef HOOKGATE_SERVER_EVENTLOG_COMMIT_THREAD_H_
#define HOOKGATE_SERVER_EVENTLOG_COMMIT_THREAD_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/eventlog/checkpointer.h"
#include "server/eventlog/commit_gate.h"
#include "server/eventlog/commit_job.h"
#include "server/eventlog/commit_statements.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/event_log_metrics.h"
#include "server/eventlog/receive_times.h"
#include "server/eventlog/repeat_counts.h"
#include "server/eventlog/status_rows.h"
#include "server/eventlog/text_index.h"
#include "server/eventlog/webhook_index.h"
#include "server/store/change_capture.h"
#include "server/store/database.h"
#include "server/store/file_watch.h"

namespace hookgate {

// Thread-safe.
class CommitThread {
 public:
  // The write-ahead log is moved into the database when it holds so many pages. Longer, and pages
  // that many commits change are moved less often; shorter, and a start has less to do.
  static constexpr int kCheckpointPages = 4096;
  // Its length then, of pages of 4 KiB, and a quarter for what comes until that is done.
  static constexpr int64_t kUsualWalBytes = int64_t{kCheckpointPages} * 4096 / 4 * 5;
  // A file that a long transaction, or a reader that kept it from beginning again, has made longer
  // than this is cut back when it begins again.
  static constexpr int64_t kLongestIdleWalBytes = 4 * kUsualWalBytes;

  struct Limits {
    int64_t max_queued = 8192;            // jobs that wait
    int64_t max_queued_bytes = 64 << 20;  // their memory
    // In one transaction: jobs, and their memory unless a single one is larger. A sync costs less
    // than what it waits for beyond that, and the first job of a group waits for its last.
    size_t max_group = 1024;
    int64_t max_group_bytes = 4 << 20;
    // Rows that jobs which give way write in one transaction, unless a single one writes more:
    // about as long as a sync takes. After a group with more than a few such rows, jobs that do not
    // give way have a group almost for themselves.
    int64_t max_yielding_rows = 256;
    // The same while jobs come that do not give way: each waits for the transaction that is under
    // way, however little it has to write. More where they come by the dozen, so that consumers of
    // what they bring keep up.
    int64_t min_yielding_rows = 64;
    int64_t yielding_rows_for_each = 4;
    absl::Duration others_come_for = absl::Milliseconds(30);  // after the last one came
  };

  // What is on the disk when the writer starts.
  struct Disk {
    EventLogPosition position;  // what the database holds
    int64_t last_touch = 0;     // of quarantine entries, at least that of each of them
    Stretch stretch;            // what the writer will append
    int agreed_schema = 0;      // of a replica
    FileWatch files;            // the database's
    // Not OK: why the write-ahead log that was found could not be written again. Nothing is added
    // to it until it could.
    absl::Status rewritten;
  };

  // What the writer keeps besides rows. All of it outlives the writer.
  struct Indexes {
    WebhookIndex& webhooks;
    TextIndex& texts;
    RepeatCounts& repeats;
    ReceiveTimes& receive_times;
  };

  // `listener`, `companion` and `metrics` may be null; they outlive the writer. So may `gate` be:
  // then the log is not a replica of a cluster's.
  static absl::StatusOr<std::unique_ptr<CommitThread>> Start(
      std::unique_ptr<Database> database, std::unique_ptr<Checkpointer> checkpointer, Disk disk,
      const Indexes& indexes, const Limits& limits, CommitListener* listener,
      CommitCompanion* companion = nullptr, EventLogMetrics* metrics = nullptr,
      CommitGate* gate = nullptr);

  // Writes and answers what waits, then ends the thread.
  ~CommitThread();

  // Queues `job`, or answers it at once: UNAVAILABLE queue_full, store_unavailable, or what the
  // gate says to one that decides.
  void Submit(std::unique_ptr<CommitJob> job);
  // Queues `job`, however full the queue is: of such jobs the caller has a bounded number. They
  // give way: a group takes few of them, so that those of Submit do not wait for all that they
  // write.
  void SubmitYielding(std::unique_ptr<CommitJob> job);

  // Whether jobs have come by Submit within the last moment, so that more are likely to follow.
  // Never blocks.
  bool OthersCome() const;
  // How many rows of jobs that give way a transaction takes now, unless a single one has more.
  // Never blocks.
  int64_t YieldingRows() const;

  EventLogPosition Position() const;
  // Of a replica: the schema that the cluster has agreed on. Never blocks.
  int AgreedSchema() const { return agreed_schema_.load(std::memory_order_acquire); }
  // Of all that is committed, the newest quarantine entry's touch is not above this.
  int64_t LastTouch() const;
  absl::Status Health() const;

 private:
  CommitThread(std::unique_ptr<Database> database, std::unique_ptr<CommitStatements> statements,
               std::unique_ptr<Checkpointer> checkpointer, Disk disk, const Limits& limits,
               CommitListener* listener, CommitCompanion* companion, EventLogMetrics* metrics,
               CommitGate* gate);

  void Queue(std::unique_ptr<CommitJob> job, bool yields) ABSL_LOCKS_EXCLUDED(mu_);
  void Run();
  void AwaitWork() ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<std::unique_ptr<CommitJob>> TakeGroup();
  void Process(std::vector<std::unique_ptr<CommitJob>> group);
  absl::Status CheckpointInheritedWal();
  using Group = std::vector<std::unique_ptr<CommitJob>>;
  void AnswerThoseNotAdmitted(Group& group);
  absl::Status WriteGroup(Group& group, CommitState& state);
  absl::Status WriteRows(Group& group, CommitState& state, bool writes_repeats);
  absl::StatusOr<bool> PassGate(ChangeCapture& changes, Group& group, CommitState& state);
  absl::Status CollectRecord(ChangeCapture& changes, CommitState& state,
                             hookgate::replication::v1::Record& record);
  void Split(Group group);
  void AnswerWhatWaits(Group& group, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status RefusedUntilRestart() const;
  void NoteQueue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Remembers how a group ended, and returns what its jobs are answered.
  absl::Status NoteOutcome(const absl::Status& outcome, CommitState& state)
      ABSL_LOCKS_EXCLUDED(mu_);
  void KeepWalShort();

  // Constant after construction.
  const Limits limits_;
  CommitListener* const listener_;
  CommitCompanion* const companion_;
  EventLogMetrics* const metrics_;
  CommitGate* const gate_;

  // Touched only by the writer thread.
  const std::unique_ptr<Database> database_;
  const std::unique_ptr<CommitStatements> statements_;
  const std::unique_ptr<Checkpointer> checkpointer_;
  const FileWatch files_;
  bool rewritten_;  // what was found in the write-ahead log
  // Of the group that is being written: whether its jobs change anything, and whether they never
  // do, so that it is there for the companion's sake.
  bool wrote_ = false;
  bool only_status_ = false;
  bool leads_ = false;      // of a replica, when the group began
  bool took_many_ = false;  // rows of jobs that give way, into the last group
  bool wrote_status_ = false;
  int wal_pages_ = 0;
  int checkpoint_at_;  // pages
  bool checkpoint_requested_ = false;

  // When the last job came that does not give way.
  std::atomic<std::chrono::steady_clock::time_point> other_came_{
      std::chrono::steady_clock::time_point::min()};
  std::atomic<int64_t> others_at_once_ = 0;  // in the last group that had any

  std::atomic<int> agreed_schema_;

  mutable absl::Mutex mu_;
  std::vector<std::unique_ptr<CommitJob>> queue_ ABSL_GUARDED_BY(mu_);
  std::deque<std::unique_ptr<CommitJob>> yielding_ ABSL_GUARDED_BY(mu_);
  int64_t queued_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  EventLogPosition position_ ABSL_GUARDED_BY(mu_);  // what is committed
  int64_t last_touch_ ABSL_GUARDED_BY(mu_);         // the same
  absl::Status health_ ABSL_GUARDED_BY(mu_);        // of the last group
  bool poisoned_ ABSL_GUARDED_BY(mu_) = false;      // health_ stays as it is until a restart

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_COMMIT_THREAD_H_
