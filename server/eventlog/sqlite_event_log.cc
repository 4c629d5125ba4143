#include "server/eventlog/sqlite_event_log.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/base/logging.h"
#include "server/base/status.h"
#include "server/eventlog/age_jobs.h"
#include "server/eventlog/age_reader.h"
#include "server/eventlog/conflict_jobs.h"
#include "server/eventlog/conflict_reader.h"
#include "server/eventlog/event_jobs.h"
#include "server/eventlog/history_jobs.h"
#include "server/eventlog/history_reader.h"
#include "server/eventlog/lookup_reader.h"
#include "server/eventlog/quarantine_jobs.h"
#include "server/eventlog/quarantine_reader.h"
#include "server/eventlog/replica_jobs.h"
#include "server/eventlog/status_reader.h"
#include "server/eventlog/stretch_rows.h"
#include "server/eventlog/subscription_jobs.h"
#include "server/eventlog/subscription_reader.h"
#include "server/store/database.h"
#include "server/store/file_watch.h"
#include "server/store/schema.h"
#include "server/store/wal_check.h"

namespace hookgate {
namespace {

// One step of retention: short enough that a webhook which waits behind it does not notice. By
// bytes as well, since every page that a large body leaves free is visited.
constexpr TrimStep kTrimStep = {.max_events = 64, .max_bytes = 1 << 20};

// The same of what is remembered of deliveries: about 2 ms.
constexpr int64_t kHistoryRowsPerStep = 512;

struct StoredState {
  EventLogHistory history;
  EventLogPosition position;
  int64_t last_touch = 0;
  Stretch stretch;  // what this process will append; the last one of the history
};

// Writes nothing itself: for what is written beside the group.
class EmptyJob final : public CommitJob {
 public:
  explicit EmptyJob(StatusLog::StatusDone done) : done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }
  int64_t rows() const override { return 0; }
  absl::Status Write(CommitStatements&, CommitState&) override { return absl::OkStatus(); }
  void Answer(const absl::Status& status) override { std::move(done_)(status); }

 private:
  StatusLog::StatusDone done_;
};

// Those of the log, and the one that begins now. It is stored with its first event. A replica
// numbers nothing before it leads.
absl::Status LoadHistory(Database& database, bool is_replica, StoredState& state) {
  ASSIGN_OR_RETURN(std::vector<Stretch> stretches, LoadStretches(database));
  if (!is_replica) {
    state.history.mark = NewHistoryMark();
    state.stretch = {state.position.head + 1, state.history.mark};
    stretches.push_back(state.stretch);
  }
  state.history.sequences = Stretches(std::move(stretches));
  ASSIGN_OR_RETURN(Statement former,
                   database.Prepare("SELECT epoch, head_sequence, restore_time_us "
                                    "FROM former_epochs ORDER BY restore_time_us"));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, former.Step());
    if (!row) return absl::OkStatus();
    state.history.former.push_back({std::string(former.ColumnText(0)), former.ColumnInt(1),
                                    absl::FromUnixMicros(former.ColumnInt(2))});
  }
}

// Sequences below `earliest` were removed by retention: a wrong one would hide events from whoever
// begins at the first, or give the next event a sequence far away.
//   first  the first that is held; 0: there is none
absl::Status CheckEarliest(Sequence earliest, Sequence first) {
  if (earliest >= 1 && (first == 0 || first == earliest)) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the log's table `log` says that its events begin with ",
                                          earliest, ", and they begin with ", first));
}

// What each subscription will deliver from now on.
absl::Status BeginDeliveryStretches(Database& database, HistoryMark mark) {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database, Transaction::Kind::kWrite));
  RETURN_IF_ERROR(WriteDeliveryStretches(database, mark));
  return transaction.Commit();
}

absl::StatusOr<StoredState> LoadState(Database& database, bool is_replica) {
  ASSIGN_OR_RETURN(Statement statement,
                   database.Prepare("SELECT epoch, earliest_sequence, "
                                    "(SELECT MAX(sequence) FROM events), "
                                    "(SELECT MAX(touch) FROM quarantine), "
                                    "(SELECT last_touch FROM age_marks WHERE running_us = "
                                    "(SELECT MAX(running_us) FROM age_marks)), "
                                    "(SELECT MAX(touch) FROM conflicts), "
                                    "(SELECT MIN(sequence) FROM events) "
                                    "FROM log WHERE id = 1"));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::DataLossError("the log's table `log` is empty");
  StoredState state;
  state.history.epoch = std::string(statement.ColumnText(0));
  if (!IsEpoch(state.history.epoch)) {
    return absl::DataLossError("the epoch in the log's table `log` is damaged");
  }
  state.position.earliest = statement.ColumnInt(1);
  RETURN_IF_ERROR(CheckEarliest(state.position.earliest, statement.ColumnInt(6)));
  // With no event left, the sequences already given end where the held ones would begin.
  state.position.head = std::max(statement.ColumnInt(2), state.position.earliest - 1);
  RETURN_IF_ERROR(LoadHistory(database, is_replica, state));
  // The entries before a mark may be gone; those after it must not look as old as they were.
  state.last_touch =
      std::max({statement.ColumnInt(3), statement.ColumnInt(4), statement.ColumnInt(5)});
  return state;
}

// A commit of a replica needs no sync of its own: it is in the replicated log, and is applied from
// there again if a power cut takes it.
absl::Status SyncAtCheckpoints(Database& database) {
  return database.Execute("PRAGMA synchronous = NORMAL");
}

struct ReplicaRow {
  std::string genesis;
  RecordTail tail;
  int schema = 0;  // what the cluster has agreed on; 0: it is no replica
};

absl::StatusOr<bool> IsEmpty(Database& database) {
  ASSIGN_OR_RETURN(Statement held,
                   database.Prepare("SELECT (SELECT earliest_sequence > 1 FROM log) OR "
                                    "EXISTS (SELECT 1 FROM events) OR "
                                    "EXISTS (SELECT 1 FROM quarantine) OR "
                                    "EXISTS (SELECT 1 FROM subscriptions)"));
  RETURN_IF_ERROR(held.Step().status());
  return held.ColumnInt(0) == 0;
}

absl::StatusOr<ReplicaRow> BeginReplica(Database& database, ReplicaOptions& replica) {
  ASSIGN_OR_RETURN(const bool is_empty, IsEmpty(database));
  std::string founding_epoch;
  if (!is_empty) {
    if (!replica.found) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the event log holds data that is not of cluster ", replica.cluster,
          ": a replica starts with an empty data folder, or with a copy of another replica's log "
          "(--restore). To begin the cluster with this log, start once with --found_cluster"));
    }
    ASSIGN_OR_RETURN(Statement epoch, database.Prepare("SELECT epoch FROM log WHERE id = 1"));
    RETURN_IF_ERROR(epoch.Step().status());
    founding_epoch = std::string(epoch.ColumnText(0));
  }
  ASSIGN_OR_RETURN(const ReplicaBeginning beginning, replica.begin(founding_epoch));
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database, Transaction::Kind::kWrite));
  ASSIGN_OR_RETURN(Statement former, database.Prepare("SELECT schema FROM replica WHERE id = 1"));
  ASSIGN_OR_RETURN(const bool was_replica, former.Step());
  int schema = was_replica ? static_cast<int>(former.ColumnInt(0)) : 0;
  former.Reset();
  ASSIGN_OR_RETURN(Statement set_epoch, database.Prepare("UPDATE log SET epoch = ?1 WHERE id = 1"));
  set_epoch.BindText(1, beginning.epoch);
  RETURN_IF_ERROR(set_epoch.Run());
  ASSIGN_OR_RETURN(Statement insert,
                   database.Prepare("INSERT OR REPLACE INTO replica (id, cluster, genesis, "
                                    "applied, term, writer, hash, schema) "
                                    "VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  insert.BindText(1, replica.cluster);
  insert.BindText(2, beginning.genesis);
  insert.BindInt(3, beginning.tail.index);
  insert.BindInt(4, beginning.tail.term);
  insert.BindInt(5, static_cast<int64_t>(beginning.tail.writer));
  insert.BindBlob(6, {beginning.tail.hash.data(), beginning.tail.hash.size()});
  // What a log of its own holds may need all that this hookgated knows; the others begin with a
  // copy.
  if (schema == 0) schema = is_empty ? kFirstClusterSchema : SchemaVersion();
  insert.BindInt(7, schema);
  RETURN_IF_ERROR(insert.Run());
  RETURN_IF_ERROR(NoteAgreedSchema(database, schema));
  RETURN_IF_ERROR(transaction.Commit());
  return ReplicaRow{beginning.genesis, beginning.tail, schema};
}

// Which cluster's the log is has to be as it is asked for: one that went on alone would hold what
// the others do not.
absl::StatusOr<ReplicaRow> OpenReplica(Database& database, ReplicaOptions* replica,
                                       absl::string_view path) {
  ASSIGN_OR_RETURN(Statement get,
                   database.Prepare("SELECT cluster, genesis, applied, term, writer, "
                                    "hash, schema FROM replica WHERE id = 1"));
  ASSIGN_OR_RETURN(const bool is_replica, get.Step());
  if (!is_replica && replica == nullptr) return ReplicaRow();
  if (replica != nullptr && (!is_replica || replica->found)) {
    get.Reset();
    absl::StatusOr<ReplicaRow> begun = BeginReplica(database, *replica);
    if (!begun.ok()) return Annotate(begun.status(), path);
    RETURN_IF_ERROR(SyncAtCheckpoints(database));
    return begun;
  }
  const std::string cluster(get.ColumnText(0));
  if (replica == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is a replica of cluster ", cluster,
        ": start hookgated with that cluster's config, or with another data folder. A copy "
        "that hookgated --restore puts in place is a separate event log"));
  }
  if (cluster != replica->cluster) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is a replica of cluster ", cluster,
                                                      ", not of ", replica->cluster,
                                                      ": use another data folder"));
  }
  ReplicaRow row;
  row.genesis = std::string(get.ColumnText(1));
  row.tail.index = get.ColumnInt(2);
  row.tail.term = get.ColumnInt(3);
  row.tail.writer = static_cast<uint64_t>(get.ColumnInt(4));
  const absl::string_view hash = get.ColumnBlob(5);
  std::copy_n(hash.begin(), std::min(hash.size(), row.tail.hash.size()), row.tail.hash.begin());
  row.schema = static_cast<int>(get.ColumnInt(6));
  get.Reset();
  if (row.schema > SchemaVersion()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is a replica of cluster ", cluster, ", which has agreed on schema version ",
        row.schema, "; this hookgated knows versions up to ", SchemaVersion(),
        ": start a newer hookgated"));
  }
  RETURN_IF_ERROR(SyncAtCheckpoints(database));
  return row;
}

// After a failed sync the write-ahead log may read well from memory and have a hole on the disk,
// behind which nothing is found after a power cut. So nothing is appended to one that was found:
// its content is written again, into the database, and it starts over.
absl::Status CheckpointInheritedWal(Database& database) {
  return database.Checkpoint(Database::CheckpointMode::kTruncate).status();
}

// Without it, commits take longer until the file has grown; no reason not to start.
void ReserveWal(Database& database, int64_t bytes) {
  const absl::Status reserved = database.ReserveWal(bytes);
  if (reserved.ok()) return;
  Log(Severity::kWarning, "the write-ahead log could not be given its usual length",
      {{"bytes", bytes}, {"error", reserved.ToString()}});
}

// A full disk, or somebody who reads: no reason to refuse what can be read. The writer tries again.
bool IsTransient(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
}

}  // namespace

std::string StoredGenesis(const std::string& data_dir) {
  const auto database =
      Database::Open(absl::StrCat(data_dir, "/events.db"), Database::Mode::kReadOnly);
  if (!database.ok()) return "";
  auto get = (*database)->Prepare("SELECT genesis FROM replica WHERE id = 1");
  if (!get.ok()) return "";
  const absl::StatusOr<bool> found = get->Step();
  return found.ok() && *found ? std::string(get->ColumnText(0)) : "";
}

absl::StatusOr<std::unique_ptr<SqliteEventLog>> SqliteEventLog::Open(
    const SqliteEventLogOptions& options, CommitListener* listener, CommitCompanion* companion,
    EventLogMetrics* metrics, ReplicaOptions* replica) {
  absl::StatusOr<std::unique_ptr<SqliteEventLog>> log =
      OpenFolder(options, listener, companion, metrics, replica);
  if (!absl::IsDataLoss(log.status())) return log;
  return absl::DataLossError(absl::StrCat(
      log.status().message(),
      ". The event log is damaged. The same happens when a backup is copied over events.db "
      "while the old events.db-wal is left beside it. To put a backup in place, "
      "run hookgated --restore FILE --data_dir ",
      options.data_dir, "; hookgate fsck ", options.data_dir, " lists what is damaged"));
}

absl::StatusOr<std::unique_ptr<SqliteEventLog>> SqliteEventLog::OpenFolder(
    const SqliteEventLogOptions& options, CommitListener* listener, CommitCompanion* companion,
    EventLogMetrics* metrics, ReplicaOptions* replica) {
  ASSIGN_OR_RETURN(std::unique_ptr<DataDirectory> directory, DataDirectory::Open(options.data_dir));
  const std::string path = directory->database_path();
  RETURN_IF_ERROR(directory->CheckWritable());
  RETURN_IF_ERROR(CheckWriteAheadLog(path).status());
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   Database::Open(path, Database::Mode::kCreate));
  RETURN_IF_ERROR(Annotate(MigrateSchema(*database, NewEpoch()), path));
  ASSIGN_OR_RETURN(ReplicaRow replica_row, OpenReplica(*database, replica, path));
  const absl::StatusOr<bool> dropped = DropDamagedAges(*database);
  if (!dropped.ok() && !IsTransient(dropped.status())) return Annotate(dropped.status(), path);
  if (dropped.value_or(false)) {
    Log(Severity::kError,
        "what was noted of the events' ages is damaged, and is not used: retention goes by their "
        "stamps, as in a log of an older version; hookgate fsck may find more",
        {{"file", path}});
  }
  absl::StatusOr<StoredState> state = LoadState(*database, replica != nullptr);
  if (!state.ok()) return Annotate(state.status(), path);
  absl::Status rewritten = CheckpointInheritedWal(*database);
  if (!rewritten.ok() && !IsTransient(rewritten)) return Annotate(rewritten, path);
  if (rewritten.ok() && replica == nullptr) {
    const absl::Status begun = BeginDeliveryStretches(*database, state->history.mark);
    if (!begun.ok() && !IsTransient(begun)) return Annotate(begun, path);
  }
  Indexes indexes;
  ASSIGN_OR_RETURN(indexes.webhooks,
                   WebhookIndex::Open(*database, state->position, options.webhooks_per_run,
                                      /*may_write=*/rewritten.ok()));
  ASSIGN_OR_RETURN(indexes.texts, TextIndex::Open(*database, state->position, options.texts_per_run,
                                                  /*may_write=*/rewritten.ok()));
  ASSIGN_OR_RETURN(indexes.receive_times,
                   ReceiveTimes::Open(*database, state->position, /*may_write=*/rewritten.ok()));
  if (rewritten.ok()) ReserveWal(*database, options.reserved_wal_bytes);
  RETURN_IF_ERROR(database->LimitWal(CommitThread::kLongestIdleWalBytes));
  ASSIGN_OR_RETURN(std::unique_ptr<Database> checkpoint_database,
                   Database::Open(path, Database::Mode::kReadWrite));
  ASSIGN_OR_RETURN(
      std::unique_ptr<CommitThread> writer,
      CommitThread::Start(std::move(database),
                          std::make_unique<Checkpointer>(std::move(checkpoint_database)),
                          {.position = state->position,
                           .last_touch = state->last_touch,
                           .stretch = state->stretch,
                           .agreed_schema = replica_row.schema,
                           .files = FileWatch({path, path + "-wal"}),
                           .rewritten = std::move(rewritten)},
                          {.webhooks = *indexes.webhooks,
                           .texts = *indexes.texts,
                           .repeats = *indexes.repeats,
                           .receive_times = *indexes.receive_times},
                          options.limits, listener, companion, metrics,
                          replica != nullptr ? replica->gate : nullptr));
  auto log = absl::WrapUnique(new SqliteEventLog(std::move(directory), std::move(state->history),
                                                 std::move(indexes), std::move(writer)));
  if (replica != nullptr) log->durability_ = Durability::kQuorum;
  log->opened_at_ = replica_row.tail;
  log->genesis_ = std::move(replica_row.genesis);
  RETURN_IF_ERROR(Annotate(log->OpenReaders(std::max(options.readers, 1)), path));
  return log;
}

SqliteEventLog::SqliteEventLog(std::unique_ptr<DataDirectory> directory, EventLogHistory history,
                               Indexes indexes, std::unique_ptr<CommitThread> writer)
    : directory_(std::move(directory)), indexes_(std::move(indexes)), writer_(std::move(writer)) {
  SetHistory(std::move(history));
}

void SqliteEventLog::SetHistory(EventLogHistory history) {
  auto next = std::make_unique<const EventLogHistory>(std::move(history));
  absl::MutexLock lock(&mu_);
  history_.store(next.get(), std::memory_order_release);
  histories_.push_back(std::move(next));
}

// The last connection to be closed moves the write-ahead log into the database, which one that only
// reads cannot.
SqliteEventLog::~SqliteEventLog() {
  absl::MutexLock lock(&mu_);
  idle_readers_.clear();
}

void SqliteEventLog::Append(std::unique_ptr<StoredEvent> event, AppendDone done) {
  writer_->Submit(MakeAppendJob(std::move(event), std::move(done)));
}

void SqliteEventLog::Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) {
  writer_->Submit(MakeQuarantineJob(std::move(webhook), std::move(done)));
}

absl::Status SqliteEventLog::Health() const { return writer_->Health(); }

EventLogPosition SqliteEventLog::Position() const { return writer_->Position(); }

// Each looks at the log once, so that it has the files open that it needs.
absl::Status SqliteEventLog::OpenReaders(int count) {
  absl::MutexLock lock(&mu_);
  for (int i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<EventReader> reader,
                     EventReader::Open(directory_->database_path()));
    RETURN_IF_ERROR(reader->UsedBytes().status());
    idle_readers_.push_back(std::move(reader));
  }
  return absl::OkStatus();
}

// Where there is nothing to open another one with, such as a file descriptor, this waits for one of
// those that are used now: reads are short.
absl::StatusOr<std::unique_ptr<EventReader>> SqliteEventLog::TakeReader() {
  const auto take = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::unique_ptr<EventReader> reader = std::move(idle_readers_.back());
    idle_readers_.pop_back();
    return reader;
  };
  {
    absl::MutexLock lock(&mu_);
    if (!idle_readers_.empty()) return take();
  }
  absl::StatusOr<std::unique_ptr<EventReader>> another =
      EventReader::Open(directory_->database_path());
  if (another.ok() || !absl::IsUnavailable(another.status())) return another;
  const auto has_idle = [this]()
                            ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !idle_readers_.empty(); };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&has_idle));
  return take();
}

template <typename Result, typename Call>
absl::StatusOr<Result> SqliteEventLog::WithReader(Call call) {
  ASSIGN_OR_RETURN(std::unique_ptr<EventReader> reader, TakeReader());
  absl::StatusOr<Result> result = call(*reader);
  absl::MutexLock lock(&mu_);
  idle_readers_.push_back(std::move(reader));
  return result;
}

absl::StatusOr<EventPage> SqliteEventLog::Read(Sequence after, EventPredicate matches,
                                               const ReadLimits& limits) {
  return WithReader<EventPage>(
      [&](EventReader& reader) { return reader.Read(after, Position().head, matches, limits); });
}

absl::StatusOr<Sequence> SqliteEventLog::Scan(Sequence after,
                                              absl::optional<EventPredicate> matches,
                                              const ReadLimits& limits, EventVisitor visit) {
  return WithReader<Sequence>([&](EventReader& reader) {
    return reader.Scan(after, Position().head, matches, limits, visit);
  });
}

absl::StatusOr<absl::optional<Sequence>> SqliteEventLog::FirstAtOrAfter(absl::Time time) {
  return WithReader<absl::optional<Sequence>>([&](EventReader& reader) {
    return reader.FirstAtOrAfter(time, Position().head, *indexes_.receive_times);
  });
}

absl::StatusOr<ListPage> SqliteEventLog::List(const ListQuery& query, EventPredicate matches,
                                              const ReadLimits& limits) {
  return WithReader<ListPage>(
      [&](EventReader& reader) { return reader.List(query, Position().head, matches, limits); });
}

absl::StatusOr<EventCount> SqliteEventLog::CountFailures(const ListQuery& query,
                                                         absl::optional<EventPredicate> matches,
                                                         int64_t limit) {
  return WithReader<EventCount>([&](EventReader& reader) {
    return reader.CountFailures(query, Position().head, matches, limit);
  });
}

absl::StatusOr<StoredEventPtr> SqliteEventLog::Get(Sequence sequence) {
  return WithReader<StoredEventPtr>([&](EventReader& reader) { return reader.Get(sequence); });
}

absl::StatusOr<StoredEventPtr> SqliteEventLog::Find(absl::string_view source,
                                                    absl::string_view webhook_id) {
  return WithReader<StoredEventPtr>(
      [&](EventReader& reader) { return reader.Find(source, webhook_id, *indexes_.webhooks); });
}

absl::StatusOr<FoundEvents> SqliteEventLog::FindByText(
    absl::string_view text, absl::Span<const std::string> sources, size_t max,
    absl::FunctionRef<bool(const std::string& source)> may_see) {
  return WithReader<FoundEvents>([&](EventReader& reader) {
    return LookupReader(reader.database(), *indexes_.webhooks, *indexes_.texts, *indexes_.repeats)
        .FindByText(text, sources, max, may_see);
  });
}

absl::StatusOr<Arrival> SqliteEventLog::GetArrival(Sequence sequence) {
  return WithReader<Arrival>([&](EventReader& reader) {
    return LookupReader(reader.database(), *indexes_.webhooks, *indexes_.texts, *indexes_.repeats)
        .GetArrival(sequence);
  });
}

template <typename Result, typename MakeJob>
Result SqliteEventLog::SubmitAndWait(MakeJob make_job) {
  absl::Notification done;
  Result result;
  writer_->Submit(make_job([&](Result outcome) {
    result = std::move(outcome);
    done.Notify();
  }));
  done.WaitForNotification();
  return result;
}

absl::StatusOr<std::vector<QuarantineEntry>> SqliteEventLog::ListQuarantined(
    absl::string_view source, int64_t before, int64_t max_entries) {
  return WithReader<std::vector<QuarantineEntry>>([&](EventReader& reader) {
    return QuarantineReader(reader.database()).List(source, before, max_entries);
  });
}

absl::StatusOr<QuarantineEntry> SqliteEventLog::GetQuarantined(int64_t id) {
  return WithReader<QuarantineEntry>(
      [&](EventReader& reader) { return QuarantineReader(reader.database()).Get(id); });
}

absl::StatusOr<std::vector<QuarantineEntry>> SqliteEventLog::FindQuarantined(
    absl::string_view source, absl::string_view webhook_id, int64_t max_entries) {
  return WithReader<std::vector<QuarantineEntry>>([&](EventReader& reader) {
    return QuarantineReader(reader.database()).Find(source, webhook_id, max_entries);
  });
}

void SqliteEventLog::ReleaseQuarantined(int64_t id, std::unique_ptr<StoredEvent> event,
                                        AppendDone done) {
  writer_->Submit(MakeReleaseJob(id, std::move(event), std::move(done)));
}

void SqliteEventLog::DiscardQuarantined(int64_t id, QuarantineDone done) {
  writer_->Submit(MakeDiscardJob(id, std::move(done)));
}

absl::StatusOr<QuarantineSummary> SqliteEventLog::SummarizeQuarantine() {
  QuarantineSummary summary;
  ASSIGN_OR_RETURN(summary.entries, WithReader<int64_t>([](EventReader& reader) {
                     return QuarantineReader(reader.database()).Count();
                   }));
  summary.removed_by_limits = removed_from_quarantine_;
  return summary;
}

absl::StatusOr<std::map<std::string, int64_t>> SqliteEventLog::CountQuarantined() {
  return WithReader<std::map<std::string, int64_t>>(
      [](EventReader& reader) { return QuarantineReader(reader.database()).CountBySource(); });
}

absl::StatusOr<std::vector<ConflictEntry>> SqliteEventLog::ListConflicts(absl::string_view source,
                                                                         int64_t before,
                                                                         int64_t max_entries) {
  return WithReader<std::vector<ConflictEntry>>([&](EventReader& reader) {
    return ConflictReader(reader.database()).List(source, before, max_entries);
  });
}

absl::StatusOr<ConflictEntry> SqliteEventLog::GetConflict(Sequence sequence) {
  return WithReader<ConflictEntry>(
      [&](EventReader& reader) { return ConflictReader(reader.database()).Get(sequence); });
}

void SqliteEventLog::DiscardConflict(Sequence sequence, ConflictLog::DiscardDone done) {
  writer_->Submit(MakeDiscardConflictJob(sequence, std::move(done)));
}

absl::StatusOr<std::vector<StoredSubscription>> SqliteEventLog::LoadSubscriptions() {
  return WithReader<std::vector<StoredSubscription>>(
      [](EventReader& reader) { return SubscriptionReader(reader.database()).LoadAll(); });
}

absl::StatusOr<StoredSubscription> SqliteEventLog::LoadSubscription(int64_t id) {
  return WithReader<StoredSubscription>(
      [&](EventReader& reader) { return SubscriptionReader(reader.database()).Load(id); });
}

absl::StatusOr<std::vector<DeadEvent>> SqliteEventLog::LoadDeadLetters(int64_t id, Sequence after,
                                                                       size_t max) {
  return WithReader<std::vector<DeadEvent>>([&](EventReader& reader) {
    return SubscriptionReader(reader.database()).LoadDeadLetters(id, after, max);
  });
}

absl::StatusOr<std::vector<std::string>> SqliteEventLog::LoadNackReasons(
    int64_t id, const std::vector<Sequence>& sequences) {
  return WithReader<std::vector<std::string>>([&](EventReader& reader) {
    return SubscriptionReader(reader.database()).LoadNackReasons(id, sequences);
  });
}

absl::StatusOr<std::vector<StoredExplanation>> SqliteEventLog::ExplainEvent(
    Sequence sequence, const std::vector<int64_t>& ids) {
  return WithReader<std::vector<StoredExplanation>>(
      [&](EventReader& reader) { return HistoryReader(reader.database()).Explain(sequence, ids); });
}

absl::StatusOr<DeliveryScanPage> SqliteEventLog::ScanDeliveries(int64_t id,
                                                                const DeliveryScan& scan) {
  return WithReader<DeliveryScanPage>(
      [&](EventReader& reader) { return HistoryReader(reader.database()).Scan(id, scan); });
}

void SqliteEventLog::CreateSubscription(const std::string& name, const std::string& settings,
                                        absl::Time create_time, Sequence position, IdDone done) {
  writer_->Submit(MakeCreateSubscriptionJob({.name = name,
                                             .settings = settings,
                                             .create_time = create_time,
                                             .position = {.position = position},
                                             .deliveries = {{.first = 1, .mark = history().mark}}},
                                            std::move(done)));
}

size_t SqliteEventLog::EventsPerWrite() const {
  if (!writer_->OthersCome()) return kMostEventsPerWrite;
  return static_cast<size_t>(writer_->YieldingRows());
}

void SqliteEventLog::WriteSubscription(int64_t id,
                                       std::unique_ptr<const SubscriptionChanges> changes,
                                       Done done) {
  writer_->SubmitYielding(MakeWriteSubscriptionJob(id, std::move(changes), std::move(done)));
}

void SqliteEventLog::DeleteSubscription(int64_t id, absl::optional<int64_t> etag, Done done) {
  writer_->Submit(MakeDeleteSubscriptionJob(id, etag, std::move(done)));
}

absl::StatusOr<StoredStatus> SqliteEventLog::LoadStatus() {
  return WithReader<StoredStatus>(
      [](EventReader& reader) { return ReadStatus(reader.database()); });
}

void SqliteEventLog::CommitStatus(StatusLog::StatusDone done) {
  writer_->SubmitYielding(std::make_unique<EmptyJob>(std::move(done)));
}

void SqliteEventLog::Apply(std::vector<std::shared_ptr<const replication::v1::Record>> records,
                           const RecordTail& tail, ReplicaDone done) {
  writer_->Submit(MakeApplyJob(
      std::move(records), tail, history(),
      [this](EventLogHistory history) { SetHistory(std::move(history)); }, std::move(done)));
}

void SqliteEventLog::TakeOver(ReplicaDone done) {
  writer_->Submit(MakeTakeOverJob(
      NewHistoryMark(), history(),
      [this](EventLogHistory history) { SetHistory(std::move(history)); }, std::move(done)));
}

void SqliteEventLog::Agree(int version, ReplicaDone done) {
  writer_->Submit(MakeAgreeJob(version, std::move(done)));
}

void SqliteEventLog::ShowLife(ReplicaDone done) {
  writer_->SubmitYielding(MakeShowLifeJob(std::move(done)));
}

absl::StatusOr<int64_t> SqliteEventLog::Trim(const TrimCutoffs& cutoffs,
                                             absl::FunctionRef<bool()> go_on) {
  int64_t total = 0;
  while (true) {
    ASSIGN_OR_RETURN(const int64_t removed,
                     SubmitAndWait<absl::StatusOr<int64_t>>([&](CountDone done) {
                       return MakeTrimJob(cutoffs, kTrimStep, std::move(done));
                     }));
    total += removed;
    if (removed == 0 || !go_on()) return total;
  }
}

absl::StatusOr<int64_t> SqliteEventLog::UsedBytes() {
  return WithReader<int64_t>([](EventReader& reader) { return reader.UsedBytes(); });
}

// What is one too many is looked up once, by a reader; an entry that is repeated meanwhile stays.
absl::StatusOr<int64_t> SqliteEventLog::TrimQuarantine(const QuarantineCutoffs& cutoffs,
                                                       absl::FunctionRef<bool()> go_on) {
  ASSIGN_OR_RETURN(const int64_t above, LastTouchAbove(cutoffs.max_entries));
  int64_t total = 0;
  for (const QuarantineLimit limit : {QuarantineLimit::kAge, QuarantineLimit::kNumber}) {
    const int64_t touch = limit == QuarantineLimit::kAge ? cutoffs.touch : above;
    while (true) {
      ASSIGN_OR_RETURN(const int64_t removed,
                       SubmitAndWait<absl::StatusOr<int64_t>>([&](CountDone done) {
                         return MakeTrimQuarantineJob(touch, limit, kTrimStep, std::move(done));
                       }));
      if (removed == 0) break;
      total += removed;
      removed_from_quarantine_ += removed;
      if (!go_on()) return total;
    }
  }
  return total;
}

absl::StatusOr<int64_t> SqliteEventLog::LastTouchAbove(int64_t max_entries) {
  return WithReader<int64_t>([&](EventReader& reader) {
    return QuarantineReader(reader.database()).LastTouchAbove(max_entries);
  });
}

absl::StatusOr<int64_t> SqliteEventLog::TrimHistory(const HistoryCutoffs& cutoffs,
                                                    absl::FunctionRef<bool()> go_on) {
  ASSIGN_OR_RETURN(const int64_t rows, WithReader<int64_t>([](EventReader& reader) {
                     return HistoryReader(reader.database()).Count();
                   }));
  int64_t total = 0;
  bool finished = true;
  // Calls `make_job` until it has nothing left to remove.
  const auto remove = [&](auto make_job) -> absl::Status {
    while (true) {
      ASSIGN_OR_RETURN(const int64_t removed, SubmitAndWait<absl::StatusOr<int64_t>>(make_job));
      total += removed;
      if (removed == 0) return absl::OkStatus();
      finished = go_on();
      if (!finished) return absl::OkStatus();
    }
  };
  RETURN_IF_ERROR(remove([&](CountDone done) {
    const int64_t excess = std::max<int64_t>(rows - total - cutoffs.max_rows, 0);
    return MakeTrimHistoryJob(excess, cutoffs.head, kHistoryRowsPerStep, std::move(done));
  }));
  while (finished) {
    ASSIGN_OR_RETURN(const int64_t forgotten, WithReader<int64_t>([](EventReader& reader) {
                       return HistoryReader(reader.database()).FindForgotten();
                     }));
    if (forgotten == 0) break;
    RETURN_IF_ERROR(remove([&](CountDone done) {
      return MakeForgetHistoryJob(forgotten, kHistoryRowsPerStep, std::move(done));
    }));
  }
  return total;
}

absl::StatusOr<int64_t> SqliteEventLog::TrimConflicts(const ConflictCutoffs& cutoffs,
                                                      absl::FunctionRef<bool()> go_on) {
  ASSIGN_OR_RETURN(const int64_t above, WithReader<int64_t>([&](EventReader& reader) {
                     return ConflictReader(reader.database())
                         .LastTouchAbove(cutoffs.max_entries, cutoffs.max_bytes);
                   }));
  const int64_t touch = std::max(cutoffs.touch, above);
  int64_t total = 0;
  while (true) {
    ASSIGN_OR_RETURN(const int64_t removed,
                     SubmitAndWait<absl::StatusOr<int64_t>>([&](CountDone done) {
                       return MakeTrimConflictsJob(touch, kTrimStep, std::move(done));
                     }));
    total += removed;
    if (removed == 0 || !go_on()) return total;
  }
}

absl::StatusOr<StoredAges> SqliteEventLog::LoadAges(absl::Time wall) {
  absl::StatusOr<StoredAges> ages = WithReader<StoredAges>(
      [&](EventReader& reader) { return ReadAges(reader.database(), Position(), wall); });
  // What was trusted is another replica's clock. Where the two differ, that would pass for time
  // during which the log was closed, and age all that is stored.
  if (!genesis_.empty() && ages.ok() && ages->clock.has_value()) ages->clock->trusted.reset();
  return ages;
}

absl::Status SqliteEventLog::StoreAges(const AgeChanges& changes) {
  return SubmitAndWait<absl::Status>(
      [&](Done done) { return MakeStoreAgesJob(changes, std::move(done)); });
}

EventLogEnds SqliteEventLog::Ends() {
  return {.sequence = Position().head, .touch = writer_->LastTouch()};
}

}  // namespace hookgate
