// The embedded EventLog: one SQLite database in WAL mode, one writer thread with group commit, and
// reading connections, opened with the log, which reads share.
#ifndef HOOKGATE_SERVER_EVENTLOG_SQLITE_EVENT_LOG_H_
#define HOOKGATE_SERVER_EVENTLOG_SQLITE_EVENT_LOG_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "server/eventlog/commit_gate.h"
#include "server/eventlog/commit_thread.h"
#include "server/eventlog/conflict_log.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/event_log_metrics.h"
#include "server/eventlog/event_reader.h"
#include "server/eventlog/lookup_log.h"
#include "server/eventlog/quarantine_log.h"
#include "server/eventlog/receive_times.h"
#include "server/eventlog/repeat_counts.h"
#include "server/eventlog/replica_jobs.h"
#include "server/eventlog/retention.h"
#include "server/eventlog/status_log.h"
#include "server/eventlog/subscription_log.h"
#include "server/eventlog/text_index.h"
#include "server/eventlog/webhook_index.h"
#include "server/replication/record.pb.h"
#include "server/replication/record_tail.h"
#include "server/store/data_directory.h"

namespace hookgate {

// What the log of a replica begins with.
struct ReplicaBeginning {
  std::string genesis;  // of the replicated log: ReplicatedLog::Identity
  std::string epoch;    // of the event log
  RecordTail tail;      // of the genesis record
};

// That the log is a replica of a cluster's.
struct ReplicaOptions {
  std::string cluster;
  CommitGate* gate = nullptr;  // outlives the log
  // The replicated log, in which nothing is yet, begins with what the folder's log holds, whether
  // that was a log of its own or another replicated log's.
  bool found = false;
  // Called when the log is opened for the first time, or with `found`. Of a log that begins with
  // `found`, with its epoch; otherwise with "".
  absl::AnyInvocable<absl::StatusOr<ReplicaBeginning>(const std::string& founding_epoch)> begin;
};

// The genesis of the replicated log that the replica in `data_dir` has applied; "" if there is none
// there, or none that can be read: Open says what is wrong with it.
std::string StoredGenesis(const std::string& data_dir);

struct SqliteEventLogOptions {
  std::string data_dir;
  CommitThread::Limits limits;
  int64_t webhooks_per_run = WebhookIndex::kEntriesPerRun;
  int64_t texts_per_run = TextIndex::kEntriesPerRun;
  // How long the write-ahead log is made at the start: what it usually grows to.
  int64_t reserved_wal_bytes = CommitThread::kUsualWalBytes;
  // Reading connections that are opened at the start: a read needs no file descriptor then. If more
  // reads are under way, further ones are opened, or reads wait for one of these.
  int readers = 8;
};

// Thread-safe.
class SqliteEventLog final : public EventLog,
                             public QuarantineLog,
                             public LookupLog,
                             public ConflictLog,
                             public SubscriptionLog,
                             public StatusLog,
                             public RetentionTarget {
 public:
  // Opens the log in `data_dir`, or makes one there. `listener`, `companion` and `metrics` may be
  // null; they outlive the log.
  //   replica  null: the log is this process's alone
  // FAILED_PRECONDITION (folder not usable or in use, newer schema, another application's file, a
  // replica that is opened as if it were none or of another cluster, a log of its own that is
  // opened as a replica), those of `replica->begin`,
  // DATA_LOSS (damaged). A disk that is full, or a database that somebody else reads or locks, is
  // no error: Health says so until it can be written.
  static absl::StatusOr<std::unique_ptr<SqliteEventLog>> Open(const SqliteEventLogOptions& options,
                                                              CommitListener* listener,
                                                              CommitCompanion* companion = nullptr,
                                                              EventLogMetrics* metrics = nullptr,
                                                              ReplicaOptions* replica = nullptr);

  // Commits and answers what waits. No call may be under way.
  ~SqliteEventLog() override;

  void Append(std::unique_ptr<StoredEvent> event, AppendDone done) override;
  void Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) override;
  Durability durability() const override { return durability_; }
  absl::Status Health() const override;
  const std::string& epoch() const override { return history().epoch; }
  const EventLogHistory& history() const override {
    return *history_.load(std::memory_order_acquire);
  }
  EventLogPosition Position() const override;
  absl::StatusOr<EventPage> Read(Sequence after, EventPredicate matches,
                                 const ReadLimits& limits) override;
  absl::StatusOr<Sequence> Scan(Sequence after, absl::optional<EventPredicate> matches,
                                const ReadLimits& limits, EventVisitor visit) override;
  absl::StatusOr<absl::optional<Sequence>> FirstAtOrAfter(absl::Time time) override;
  absl::StatusOr<ListPage> List(const ListQuery& query, EventPredicate matches,
                                const ReadLimits& limits) override;
  absl::StatusOr<EventCount> CountFailures(const ListQuery& query,
                                           absl::optional<EventPredicate> matches,
                                           int64_t limit) override;
  absl::StatusOr<StoredEventPtr> Get(Sequence sequence) override;
  absl::StatusOr<StoredEventPtr> Find(absl::string_view source,
                                      absl::string_view webhook_id) override;

  absl::StatusOr<FoundEvents> FindByText(
      absl::string_view text, absl::Span<const std::string> sources, size_t max,
      absl::FunctionRef<bool(const std::string& source)> may_see) override;
  absl::StatusOr<Arrival> GetArrival(Sequence sequence) override;

  absl::StatusOr<std::vector<QuarantineEntry>> ListQuarantined(absl::string_view source,
                                                               int64_t before,
                                                               int64_t max_entries) override;
  absl::StatusOr<QuarantineEntry> GetQuarantined(int64_t id) override;
  absl::StatusOr<std::vector<QuarantineEntry>> FindQuarantined(absl::string_view source,
                                                               absl::string_view webhook_id,
                                                               int64_t max_entries) override;
  void ReleaseQuarantined(int64_t id, std::unique_ptr<StoredEvent> event, AppendDone done) override;
  void DiscardQuarantined(int64_t id, QuarantineDone done) override;
  absl::StatusOr<QuarantineSummary> SummarizeQuarantine() override;
  // How many entries each source has; those that have none are left out.
  absl::StatusOr<std::map<std::string, int64_t>> CountQuarantined();

  absl::StatusOr<std::vector<ConflictEntry>> ListConflicts(absl::string_view source, int64_t before,
                                                           int64_t max_entries) override;
  absl::StatusOr<ConflictEntry> GetConflict(Sequence sequence) override;
  void DiscardConflict(Sequence sequence, ConflictLog::DiscardDone done) override;

  absl::StatusOr<std::vector<StoredSubscription>> LoadSubscriptions() override;
  absl::StatusOr<StoredSubscription> LoadSubscription(int64_t id) override;
  absl::StatusOr<std::vector<DeadEvent>> LoadDeadLetters(int64_t id, Sequence after,
                                                         size_t max) override;
  absl::StatusOr<std::vector<std::string>> LoadNackReasons(
      int64_t id, const std::vector<Sequence>& sequences) override;
  absl::StatusOr<std::vector<StoredExplanation>> ExplainEvent(
      Sequence sequence, const std::vector<int64_t>& ids) override;
  absl::StatusOr<DeliveryScanPage> ScanDeliveries(int64_t id, const DeliveryScan& scan) override;
  void CreateSubscription(const std::string& name, const std::string& settings,
                          absl::Time create_time, Sequence position, IdDone done) override;
  size_t EventsPerWrite() const override;
  void WriteSubscription(int64_t id, std::unique_ptr<const SubscriptionChanges> changes,
                         Done done) override;
  void DeleteSubscription(int64_t id, absl::optional<int64_t> etag, Done done) override;

  absl::StatusOr<StoredStatus> LoadStatus() override;
  void CommitStatus(StatusDone done) override;

  // Of a replica: what it had applied when it was opened.
  const RecordTail& opened_at() const { return opened_at_; }
  const std::string& genesis() const { return genesis_; }
  // Applies `records`, which come directly after what was applied before, in one transaction; and
  // what a new leader stores first. `done` is called on the log's writer thread, with errors as
  // MakeApplyJob and the gate have them. One of these at a time.
  void Apply(std::vector<std::shared_ptr<const hookgate::replication::v1::Record>> records,
             const RecordTail& tail, ReplicaDone done);
  void TakeOver(ReplicaDone done);
  // Of a replica: the schema that the cluster has agreed on. Cheap.
  int agreed_schema() const { return writer_->AgreedSchema(); }
  // Of one that leads: has the cluster agree on `version`. `done` as above.
  void Agree(int version, ReplicaDone done);
  // Appends a record that changes nothing, in its turn.
  void ShowLife(ReplicaDone done);

  // In steps between which appends go on.
  absl::StatusOr<int64_t> Trim(
      const TrimCutoffs& cutoffs, absl::FunctionRef<bool()> go_on = [] { return true; }) override;
  absl::StatusOr<int64_t> UsedBytes() override;
  absl::StatusOr<int64_t> TrimQuarantine(
      const QuarantineCutoffs& cutoffs,
      absl::FunctionRef<bool()> go_on = [] { return true; }) override;
  absl::StatusOr<int64_t> TrimHistory(
      const HistoryCutoffs& cutoffs,
      absl::FunctionRef<bool()> go_on = [] { return true; }) override;
  absl::StatusOr<int64_t> TrimConflicts(
      const ConflictCutoffs& cutoffs,
      absl::FunctionRef<bool()> go_on = [] { return true; }) override;
  absl::StatusOr<StoredAges> LoadAges(absl::Time wall) override;
  absl::Status StoreAges(const AgeChanges& changes) override;
  EventLogEnds Ends() override;

 private:
  static absl::StatusOr<std::unique_ptr<SqliteEventLog>> OpenFolder(
      const SqliteEventLogOptions& options, CommitListener* listener, CommitCompanion* companion,
      EventLogMetrics* metrics, ReplicaOptions* replica);
  // What the log keeps in memory besides its position; each does its own locking.
  struct Indexes {
    std::unique_ptr<WebhookIndex> webhooks;
    std::unique_ptr<TextIndex> texts;
    std::unique_ptr<RepeatCounts> repeats = std::make_unique<RepeatCounts>();
    std::unique_ptr<ReceiveTimes> receive_times;
  };
  SqliteEventLog(std::unique_ptr<DataDirectory> directory, EventLogHistory history, Indexes indexes,
                 std::unique_ptr<CommitThread> writer);

  absl::Status OpenReaders(int count);
  void SetHistory(EventLogHistory history) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::unique_ptr<EventReader>> TakeReader() ABSL_LOCKS_EXCLUDED(mu_);
  // The newest entry of the quarantine that is one too many; 0: there is none.
  absl::StatusOr<int64_t> LastTouchAbove(int64_t max_entries);

  // Has the writer thread do the job that `make_job` makes of a callback, and waits for its
  // outcome.
  template <typename Result, typename MakeJob>
  Result SubmitAndWait(MakeJob make_job);
  // Runs `call` with a reader that nobody else uses meanwhile.
  template <typename Result, typename Call>
  absl::StatusOr<Result> WithReader(Call call);

  absl::Mutex mu_;

  // Constant after construction.
  const std::unique_ptr<DataDirectory> directory_;
  // Of a replica, written while it is opened.
  RecordTail opened_at_;
  std::string genesis_;
  Durability durability_ = Durability::kLocalDisk;

  // The log's history now, and all that it was: whoever has asked may still read those. Changes
  // when another replica leads.
  std::atomic<const EventLogHistory*> history_;
  std::vector<std::unique_ptr<const EventLogHistory>> histories_ ABSL_GUARDED_BY(mu_);

  std::vector<std::unique_ptr<EventReader>> idle_readers_ ABSL_GUARDED_BY(mu_);

  std::atomic<int64_t> removed_from_quarantine_ = 0;

  // Do their own locking.
  const Indexes indexes_;
  const std::unique_ptr<CommitThread> writer_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_SQLITE_EVENT_LOG_H_
