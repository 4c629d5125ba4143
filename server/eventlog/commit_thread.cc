#include "server/eventlog/commit_thread.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/current_thread.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/base/wake_batch.h"
#include "server/eventlog/replica_jobs.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

// Jobs in a group: from here on a sync each costs more than some of them waiting for the rest.
constexpr size_t kMany = 8;
// Rows of jobs that give way which cost others in their group nothing of note.
constexpr int64_t kFewRows = 16;

absl::Status Unavailable(absl::string_view reason, absl::string_view message) {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason, message);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CommitThread>> CommitThread::Start(
    std::unique_ptr<Database> database, std::unique_ptr<Checkpointer> checkpointer, Disk disk,
    const Indexes& indexes, const Limits& limits, CommitListener* listener,
    CommitCompanion* companion, EventLogMetrics* metrics, CommitGate* gate) {
  ASSIGN_OR_RETURN(
      std::unique_ptr<CommitStatements> statements,
      CommitStatements::Prepare(*database, indexes.webhooks, indexes.texts, indexes.repeats,
                                indexes.receive_times, disk.stretch, disk.agreed_schema));
  return absl::WrapUnique(new CommitThread(std::move(database), std::move(statements),
                                           std::move(checkpointer), std::move(disk), limits,
                                           listener, companion, metrics, gate));
}

CommitThread::CommitThread(std::unique_ptr<Database> database,
                           std::unique_ptr<CommitStatements> statements,
                           std::unique_ptr<Checkpointer> checkpointer, Disk disk,
                           const Limits& limits, CommitListener* listener,
                           CommitCompanion* companion, EventLogMetrics* metrics, CommitGate* gate)
    : limits_(limits),
      listener_(listener),
      companion_(companion),
      metrics_(metrics),
      gate_(gate),
      database_(std::move(database)),
      statements_(std::move(statements)),
      checkpointer_(std::move(checkpointer)),
      files_(std::move(disk.files)),
      rewritten_(disk.rewritten.ok()),
      checkpoint_at_(kCheckpointPages),
      agreed_schema_(disk.agreed_schema),
      position_(disk.position),
      last_touch_(disk.last_touch) {
  if (metrics_ != nullptr) metrics_->NotePosition(disk.position);
  if (!rewritten_) {
    CommitState none;
    NoteOutcome(disk.rewritten, none).IgnoreError();
  }
  database_->SetWalHook([this](int pages) { wal_pages_ = pages; });
  thread_ = std::thread([this] { Run(); });
}

CommitThread::~CommitThread() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void CommitThread::Submit(std::unique_ptr<CommitJob> job) {
  other_came_.store(std::chrono::steady_clock::now(), std::memory_order_relaxed);
  Queue(std::move(job), /*yields=*/false);
}

void CommitThread::SubmitYielding(std::unique_ptr<CommitJob> job) {
  Queue(std::move(job), /*yields=*/true);
}

bool CommitThread::OthersCome() const {
  const auto last = other_came_.load(std::memory_order_relaxed);
  return last != std::chrono::steady_clock::time_point::min() &&
         absl::FromChrono(std::chrono::steady_clock::now() - last) < limits_.others_come_for;
}

int64_t CommitThread::YieldingRows() const {
  if (!OthersCome()) return limits_.max_yielding_rows;
  const int64_t rows =
      limits_.yielding_rows_for_each * others_at_once_.load(std::memory_order_relaxed);
  return std::min(std::max(rows, limits_.min_yielding_rows), limits_.max_yielding_rows);
}

void CommitThread::Queue(std::unique_ptr<CommitJob> job, bool yields) {
  absl::Status refusal;
  if (gate_ != nullptr && job->work() == CommitJob::Work::kDecides) {
    refusal = gate_->Admit(/*takes_over=*/false);
  }
  if (refusal.ok()) {
    absl::MutexLock lock(&mu_);
    if (poisoned_) {
      refusal = health_;
    } else if (stopping_) {
      refusal = Unavailable(reason::kDraining, "the log is being closed");
    } else if (yields) {
      yielding_.push_back(std::move(job));
      return;
    } else if (static_cast<int64_t>(queue_.size()) >= limits_.max_queued ||
               queued_bytes_ + job->bytes() > limits_.max_queued_bytes) {
      refusal = Unavailable(reason::kQueueFull,
                            absl::StrCat(queue_.size(), " webhooks wait for the disk already"));
    } else {
      queued_bytes_ += job->bytes();
      queue_.push_back(std::move(job));
      NoteQueue();
      return;
    }
  }
  job->Answer(refusal);
}

void CommitThread::NoteQueue() {
  if (metrics_ != nullptr) {
    metrics_->NoteQueue(static_cast<int64_t>(queue_.size()), queued_bytes_);
  }
}

EventLogPosition CommitThread::Position() const {
  absl::ReaderMutexLock lock(&mu_);
  return position_;
}

int64_t CommitThread::LastTouch() const {
  absl::ReaderMutexLock lock(&mu_);
  return last_touch_;
}

absl::Status CommitThread::Health() const {
  absl::ReaderMutexLock lock(&mu_);
  return health_;
}

void CommitThread::Run() {
  NameThread("log writer");
  AskForShortTimeSlices();  // A sync is shorter than a time slice of whoever shares the core.
  size_t last_group = 0;
  while (true) {
    AwaitWork();
    // On a core that is shared with the threads that fill the queue, the first job of many wakes
    // this one in the middle of what they have ready: let them queue that, and the group is twice
    // as large. Only where there are many: a yield may take as long as a sync.
    if (last_group >= kMany) std::this_thread::yield();
    std::vector<std::unique_ptr<CommitJob>> group = TakeGroup();
    if (group.empty()) return;
    last_group = group.size();
    Process(std::move(group));
  }
}

// Until there is something in the queue, or nothing will come any more.
void CommitThread::AwaitWork() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !queue_.empty() || !yielding_.empty() || stopping_;
  };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&has_work));
}

// Empty: nothing is left, and nothing will come.
std::vector<std::unique_ptr<CommitJob>> CommitThread::TakeGroup() {
  absl::MutexLock lock(&mu_);
  std::vector<std::unique_ptr<CommitJob>> group;
  size_t count = 0;
  int64_t bytes = 0;
  for (; count < queue_.size() && count < limits_.max_group; ++count) {
    const int64_t more = queue_[count]->bytes();
    if (count > 0 && bytes + more > limits_.max_group_bytes) break;
    bytes += more;
  }
  if (count == queue_.size()) {
    group.swap(queue_);
  } else {
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
    group.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
    queue_.erase(queue_.begin(), end);
  }
  queued_bytes_ -= bytes;
  NoteQueue();
  // Who waited while many rows were written for jobs that give way does not wait for as many again
  // in its own group.
  const bool takes_many = group.empty() || !took_many_;
  if (!group.empty()) {
    others_at_once_.store(static_cast<int64_t>(group.size()), std::memory_order_relaxed);
  }
  const int64_t most = YieldingRows();
  int64_t rows = 0;
  while (!yielding_.empty() && rows < most) {
    const int64_t more = yielding_.front()->rows();
    if (!takes_many && rows + more > kFewRows) break;
    rows += more;
    group.push_back(std::move(yielding_.front()));
    yielding_.pop_front();
  }
  took_many_ = rows > kFewRows;
  return group;
}

// The listener hears of events before their senders do: who was answered can rely on every reader
// finding the event.
void CommitThread::Process(std::vector<std::unique_ptr<CommitJob>> group) {
  CommitState state;
  state.appended.reserve(group.size());
  state.webhooks.reserve(group.size());
  state.texts.reserve(2 * group.size());
  state.position = Position();
  state.last_touch = LastTouch();
  if (gate_ != nullptr) AnswerThoseNotAdmitted(group);
  if (group.empty()) return;
  absl::Status status = RefusedUntilRestart();  // These may have been queued before it was so.
  if (status.ok()) {
    const absl::Duration begin = metrics_ != nullptr ? metrics_->MonotonicNow() : absl::Duration();
    const absl::Status outcome = WriteGroup(group, state);
    // One that had nothing to write committed nothing.
    if (metrics_ != nullptr && state.refusal.ok() && (wrote_ || wrote_status_ || !outcome.ok())) {
      metrics_->NoteCommit(outcome, metrics_->MonotonicNow() - begin);
    }
    status = NoteOutcome(outcome, state);
  }
  if (!state.refusal.ok() && group.size() > 1 &&
      ReasonOf(state.refusal) == reason::kUpgradeUnfinished) {
    return Split(std::move(group));
  }
  if (status.ok() && companion_ != nullptr) companion_->Committed(state.outcomes);
  if (status.ok() && metrics_ != nullptr) metrics_->NoteOutcomes(state.outcomes);
  if (status.ok() && listener_ != nullptr && !state.appended.empty()) {
    listener_->OnCommit(state.appended);
  }
  {
    WakeBatch batch;  // The threads that wait for answers may run on this core.
    for (auto& job : group) job->Answer(status);
  }
  if (state.try_checkpoint) checkpoint_at_ = kCheckpointPages;
  KeepWalShort();
}

// One of them needs what not all replicas have yet, and nobody knows which: what they changed is
// looked at as one. So it is found by halves, of which those that do not have it are committed.
// Nothing of the group has been written, or told to anybody.
void CommitThread::Split(Group group) {
  const auto half = group.begin() + static_cast<std::ptrdiff_t>(group.size() / 2);
  Group rest(std::make_move_iterator(half), std::make_move_iterator(group.end()));
  group.erase(half, group.end());
  Process(std::move(group));
  Process(std::move(rest));
}

// What the process before has left in the write-ahead log may have a hole on the disk, behind which
// nothing that is added would be found after a power cut.
absl::Status CommitThread::CheckpointInheritedWal() {
  if (rewritten_) return absl::OkStatus();
  RETURN_IF_ERROR(database_->Checkpoint(Database::CheckpointMode::kRestart).status());
  rewritten_ = true;
  return absl::OkStatus();
}

// What is applied and what decides are never in one group: whoever applies does not lead. The gate
// is asked once, so that what is found here holds for all of the group: rows that were written
// because this replica led are committed with a record, or not at all.
void CommitThread::AnswerThoseNotAdmitted(Group& group) {
  const bool applies = std::any_of(group.begin(), group.end(), [](const auto& job) {
    return job->work() == CommitJob::Work::kApplies;
  });
  absl::Status takes_over = gate_->Admit(/*takes_over=*/true);
  absl::Status decides = gate_->Admit(/*takes_over=*/false);
  if (applies) {
    takes_over = decides =
        Unavailable(reason::kNoLeader, "this replica is catching up with what others have stored");
  }
  if (!takes_over.ok()) decides = takes_over;
  leads_ = takes_over.ok();
  const auto answer_of = [&](const std::unique_ptr<CommitJob>& job) {
    switch (job->work()) {
      case CommitJob::Work::kDecides:
        return decides;
      case CommitJob::Work::kTakesOver:
        return takes_over;
      default:
        return absl::OkStatus();
    }
  };
  const auto begin = std::stable_partition(
      group.begin(), group.end(),
      [&](const std::unique_ptr<CommitJob>& job) { return answer_of(job).ok(); });
  for (auto job = begin; job != group.end(); ++job) (*job)->Answer(answer_of(*job));
  group.erase(begin, group.end());
}

absl::Status CommitThread::WriteGroup(Group& group, CommitState& state) {
  only_status_ = std::all_of(group.begin(), group.end(), [](const std::unique_ptr<CommitJob>& job) {
    return job->rows() == 0;
  });
  RETURN_IF_ERROR(CheckpointInheritedWal());
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(*database_, Transaction::Kind::kWrite));
  std::unique_ptr<ChangeCapture> changes;
  if (leads_) {
    ASSIGN_OR_RETURN(changes, statements_->effects->BeginCapture());
  }
  // Whoever follows changes nothing that replicas share but by applying.
  RETURN_IF_ERROR(WriteRows(group, state, /*writes_repeats=*/gate_ == nullptr || leads_));
  const bool needs_record = changes != nullptr && (changes->MayHaveChanges() || state.needs_record);
  if (!needs_record) {
    RETURN_IF_ERROR(transaction.Commit());
    return files_.Check();
  }
  ASSIGN_OR_RETURN(const bool appended, PassGate(*changes, group, state));
  changes.reset();
  const absl::Status committed = transaction.Commit();
  if (appended && committed.ok()) gate_->Committed();
  if (appended && !committed.ok()) gate_->NotCommitted();
  RETURN_IF_ERROR(committed);
  return files_.Check();
}

absl::Status CommitThread::WriteRows(Group& group, CommitState& state, bool writes_repeats) {
  const int64_t changes_before = database_->total_changes();
  for (auto& job : group) {
    if (job->uses_events()) RETURN_IF_ERROR(statements_->new_events.Flush());
    RETURN_IF_ERROR(job->Write(*statements_, state));
  }
  RETURN_IF_ERROR(statements_->new_events.Flush());
  RETURN_IF_ERROR(statements_->webhooks.Write(*database_, state.position.earliest));
  RETURN_IF_ERROR(statements_->texts.Write(*database_, state.position.earliest));
  RETURN_IF_ERROR(
      statements_->receive_times.Write(*database_, state.appended, state.position.earliest));
  wrote_ = database_->total_changes() != changes_before;
  const StatusChanges* const status =
      companion_ != nullptr ? companion_->Due(state.outcomes) : nullptr;
  wrote_status_ = status != nullptr;
  if (status != nullptr) RETURN_IF_ERROR(statements_->status.Write(*status));
  // After it is known whether the group writes anything: a repeat that is answered from what is
  // stored does not depend on a disk that takes no more.
  if (writes_repeats && (wrote_ || status != nullptr || statements_->repeats.HasMany())) {
    RETURN_IF_ERROR(statements_->repeats.Write(state.repeats, state.position.earliest,
                                               statements_->upsert_repeats));
  }
  return absl::OkStatus();
}

// Whether a record was appended, and not only nothing to append. What can fail here does so before
// that.
absl::StatusOr<bool> CommitThread::PassGate(ChangeCapture& changes, Group& group,
                                            CommitState& state) {
  replication::v1::Record record;
  RETURN_IF_ERROR(CollectRecord(changes, state, record));
  if (record.entries().empty() && !state.needs_record) return false;
  const absl::StatusOr<RecordTail> tail = gate_->Seal(record);
  if (!tail.ok()) {
    state.refusal = tail.status();
    return state.refusal;
  }
  RETURN_IF_ERROR(statements_->WriteTail(*tail));
  state.refusal =
      gate_->Append([&](const absl::Status& status) { AnswerWhatWaits(group, status); });
  RETURN_IF_ERROR(state.refusal);
  return true;
}

absl::Status CommitThread::CollectRecord(ChangeCapture& changes, CommitState& state,
                                         replication::v1::Record& record) {
  const auto collect = [&] {
    record.Clear();
    if (state.agreed_schema != 0) {
      record.add_entries()->mutable_schema()->set_version(state.agreed_schema);
    }
    const bool agrees = state.agreed_schema >= SchemaVersion();
    return statements_->effects->Collect(
        changes, record, agrees ? RowEffects::Limit::kLifted : RowEffects::Limit::kKept);
  };
  const absl::Status collected = collect();
  if (collected.ok() || ReasonOf(collected) != reason::kUpgradeUnfinished) return collected;
  state.refusal = gate_->AgreeFor(collected);
  RETURN_IF_ERROR(state.refusal);
  RETURN_IF_ERROR(AgreeOnSchema(SchemaVersion(), *statements_, state));
  return collect();
}

// Nothing of what waits has been written. What is being written goes on, but who comes again anyway
// does not have to wait for it.
void CommitThread::AnswerWhatWaits(Group& group, const absl::Status& status) {
  Group waiting;
  {
    absl::MutexLock lock(&mu_);
    waiting.swap(queue_);
    queued_bytes_ = 0;
    for (auto& job : yielding_) waiting.push_back(std::move(job));
    yielding_.clear();
    NoteQueue();
  }
  const auto begin = std::stable_partition(
      group.begin(), group.end(),
      [](const std::unique_ptr<CommitJob>& job) { return !job->may_stay_unknown(); });
  WakeBatch batch;
  for (auto job = begin; job != group.end(); ++job) (*job)->Answer(status);
  group.erase(begin, group.end());
  for (auto& job : waiting) job->Answer(status);
}

absl::Status CommitThread::RefusedUntilRestart() const {
  absl::ReaderMutexLock lock(&mu_);
  return poisoned_ ? health_ : absl::OkStatus();
}

// A full disk or a lock held by somebody else left the database as it was, and may pass. After any
// other failure nobody knows what the disk holds: a sync that failed once may report success
// the next time without having written. Only a restart, which reads the log again, can tell.
//
// What the indexes hold comes before the position: whoever knows of a sequence finds it there. The
// lines are written without the lock, since standard error may be a pipe that nobody reads.
absl::Status CommitThread::NoteOutcome(const absl::Status& outcome, CommitState& state) {
  if (outcome.ok()) {
    statements_->webhooks.Committed(state.webhooks);
    statements_->texts.Committed(state.texts);
    statements_->repeats.Committed(state.repeats);
    statements_->receive_times.Committed();
    for (auto& committed : state.on_commit) std::move(committed)();
  } else {
    statements_->new_events.Clear();
    statements_->webhooks.RolledBack();
    statements_->texts.RolledBack();
    statements_->repeats.RolledBack();
    statements_->receive_times.RolledBack();
  }
  // Says nothing about the disk.
  if (!state.refusal.ok()) return state.refusal;
  const bool until_restart =
      !outcome.ok() && !absl::IsResourceExhausted(outcome) && !absl::IsUnavailable(outcome);
  absl::Status health;
  if (!outcome.ok()) {
    health = Unavailable(
        reason::kStoreUnavailable,
        absl::StrCat("the log cannot be written: ", outcome.message(),
                     !until_restart              ? ""
                     : absl::IsDataLoss(outcome) ? "; hookgate fsck says what is damaged, and "
                                                   "hookgated --restore puts a backup in place"
                                                 : "; restart hookgated once the disk is sound"));
  }
  bool was_healthy = false;
  bool is_healthy = false;
  bool tells = false;
  {
    absl::MutexLock lock(&mu_);
    was_healthy = health_.ok();
    // A group that had nothing to write, such as a retention's that found nothing old, says nothing
    // about the disk. Nor does one with the status alone, for which there is room sooner than for
    // webhooks, and which they do not depend on.
    tells = outcome.ok() ? wrote_ : !only_status_ || until_restart;
    if (tells) health_ = health;
    is_healthy = health_.ok();
    if (outcome.ok()) {
      if (state.agreed_schema != 0) {
        agreed_schema_.store(state.agreed_schema, std::memory_order_release);
      }
      position_ = state.position;
      last_touch_ = state.last_touch;
    } else {
      poisoned_ = until_restart;
    }
  }
  if (metrics_ != nullptr) {
    metrics_->NoteHealth(is_healthy);
    if (outcome.ok()) metrics_->NotePosition(state.position);
  }
  if (is_healthy && !was_healthy) {
    Log(Severity::kInfo, "the log can be written again");
  } else if (!outcome.ok() && tells && (was_healthy || until_restart)) {
    // Once, not with each group that a full disk refuses.
    Log(Severity::kError, "commit failed; webhooks are answered 503",
        {{"error", outcome.ToString()},
         {"until", until_restart ? "restart" : "a commit succeeds"}});
  }
  return health;
}

// The checkpointer moves what the write-ahead log holds while commits go on; then this thread moves
// the little that came meanwhile, and the write-ahead log begins again in its place. In its place:
// a commit that makes the file longer has to sync the file's size as well, which takes as long
// again.
void CommitThread::KeepWalShort() {
  if (wal_pages_ < checkpoint_at_) return;
  if (!checkpoint_requested_) {
    checkpoint_requested_ = true;
    checkpointer_->Request();
  }
  if (!checkpointer_->done()) return;
  checkpoint_requested_ = false;
  const absl::Status status = database_->Checkpoint(Database::CheckpointMode::kRestart).status();
  if (status.ok()) {
    checkpoint_at_ = kCheckpointPages;
    wal_pages_ = 0;  // The next commit says how many there are.
    return;
  }
  // Most likely somebody reads, such as an operator's sqlite3 shell.
  checkpoint_at_ = wal_pages_ + kCheckpointPages;
  Log(Severity::kWarning, "the write-ahead log could not be restarted; it grows until it can",
      {{"pages", wal_pages_}, {"error", status.ToString()}});
}

}  // namespace hookgate
