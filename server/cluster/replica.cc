#include "server/cluster/replica.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/base/current_thread.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/cluster/await_log.h"
#include "server/eventlog/event_log_history.h"
#include "server/replication/record.h"
#include "version/version.h"

namespace hookgate {
namespace {

using replication::v1::Entry;
using replication::v1::Record;
using Role = ReplicaState::Role;
using Want = ReplicaState::Want;

// After a failed call to the log or the disk.
constexpr absl::Duration kPauseAfterFailure = absl::Milliseconds(200);
// A follower looks at least so often whether it should lead.
constexpr absl::Duration kLongestWait = absl::Milliseconds(200);
// For a replica that reaches the log, until it has read of a term that somebody says it leads.
constexpr absl::Duration kLongestClaim = absl::Seconds(5);
constexpr absl::Duration kBetweenComplaints = absl::Minutes(1);
// Applied in one transaction: 4 MiB are what a group of the writer's takes.
constexpr RecordLimits kPage = {.max_records = 256, .max_bytes = 4 << 20};
// An append is waited for no longer than this, or one attempt if that takes longer.
constexpr absl::Duration kLongestAppend = absl::Seconds(4);
// A new leader waits so long for what the others hold. Who is gone does not answer.
constexpr absl::Duration kLongestQuestion = absl::Milliseconds(100);

// A follower sees to it so often that it could append at once.
constexpr absl::Duration kBetweenPreparations = absl::Seconds(5);
constexpr absl::Duration kLongestPreparation = absl::Milliseconds(500);

constexpr char kTakeACopy[] =
    "copy another replica where it runs (hookgate cluster snapshot DATA_DIR FILE), and put the "
    "copy in place here (hookgate cluster reseed FILE DATA_DIR)";

ReplicaState::Heir HeirOf(const Heartbeat& goodbye, absl::string_view self) {
  if (goodbye.heir.empty()) return ReplicaState::Heir::kUnsaid;
  return goodbye.heir == self ? ReplicaState::Heir::kThis : ReplicaState::Heir::kOther;
}

uint64_t RandomWriter() {
  absl::BitGen random;
  return absl::Uniform<uint64_t>(random);
}

}  // namespace

Replica::Replica(const ReplicaConfig& config, ReplicatedLog& log, const Clock& clock,
                 ReplicaPeers* peers)
    : config_(config), log_(log), clock_(clock), peers_(peers), writer_(RandomWriter()) {}

Replica::~Replica() { Stop(); }

ReplicaOptions Replica::LogOptions(bool found) {
  ReplicaOptions options;
  options.cluster = config_.cluster;
  options.gate = this;
  options.found = found;
  options.begin = [this, found](const std::string& founding_epoch) {
    return Begin(found, founding_epoch);
  };
  return options;
}

// An engine that is busy with a fault of its own, or with others' records, is asked again: who
// starts with an empty folder would end otherwise.
absl::StatusOr<ReplicaBeginning> Replica::Begin(bool found, const std::string& founding_epoch) {
  // Who founds a log may have done so in an attempt that seems to have failed: a person looks.
  if (found) return TryBegin(found, founding_epoch);
  return AwaitLog<ReplicaBeginning>([&] { return TryBegin(found, founding_epoch); },
                                    config_.on_wait,
                                    [this](absl::Duration length) { Pause(length); });
}

// Whoever comes first writes the genesis; the others find it.
absl::StatusOr<ReplicaBeginning> Replica::TryBegin(bool found, const std::string& founding_epoch) {
  ASSIGN_OR_RETURN(const std::string identity, log_.Identity());
  Record genesis;
  BeginRecord({}, /*term=*/0, writer_, genesis);
  genesis.set_time_us(absl::ToUnixMicros(clock_.WallNow()));
  auto& entry = *genesis.add_entries()->mutable_genesis();
  entry.set_cluster(config_.cluster);
  entry.set_epoch(founding_epoch.empty() ? NewEpoch() : founding_epoch);
  entry.set_founded(!founding_epoch.empty());
  const std::string bytes = BytesOf(genesis);
  constexpr int kAttempts = 5;
  for (int attempt = 1;; ++attempt) {
    const absl::StatusOr<std::vector<LogRecord>> first =
        log_.Read(1, {.max_records = 1, .max_bytes = 1});
    if (ReasonOf(first.status()) == log_reason::kLogTrimmed) {
      return absl::FailedPreconditionError(
          absl::StrCat("the cluster's log does not go back to its beginning any more (",
                       first.status().message(),
                       "), so a replica cannot begin with an empty folder: ", kTakeACopy));
    }
    RETURN_IF_ERROR(first.status());
    if (!first->empty() && found && first->front().bytes != bytes) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the log of cluster ", config_.cluster,
          " holds records, so it cannot begin with what this folder holds: to found the cluster "
          "again, stop all replicas, and remove the log from the engine first"));
    }
    if (!first->empty()) return BeginWith(identity, first->front());
    const CompareAppendResult result = log_.CompareAppend(0, bytes, config_.append_timeout);
    const bool decided = result.outcome == CompareAppendOutcome::kAppended ||
                         result.outcome == CompareAppendOutcome::kLost;
    if (!decided && attempt == kAttempts) return result.status;
  }
}

absl::StatusOr<ReplicaBeginning> Replica::BeginWith(const std::string& identity,
                                                    const LogRecord& first) {
  RETURN_IF_ERROR(log_.Confirm(1));
  Record found;
  RETURN_IF_ERROR(ParseRecord(first.bytes, found));
  RETURN_IF_ERROR(CheckFollows({}, found));
  const auto& there = found.entries(0).genesis();
  if (there.cluster() != config_.cluster) {
    return absl::FailedPreconditionError(
        absl::StrCat("the replicated log is cluster ", there.cluster(), "'s, not ", config_.cluster,
                     "'s: name the right one, or give this one its own log"));
  }
  if (there.founded() && found.writer() != writer_) {
    return absl::FailedPreconditionError(
        absl::StrCat("cluster ", config_.cluster,
                     " was founded with a log that held events, so a replica cannot begin with an "
                     "empty folder: ",
                     kTakeACopy));
  }
  return ReplicaBeginning{identity, there.epoch(), TailOf(found, first.bytes)};
}

void Replica::Start(SqliteEventLog& event_log, LeadershipListener* listener) {
  event_log_ = &event_log;
  listener_ = listener;
  const RecordTail& tail = event_log.opened_at();
  {
    absl::MutexLock lock(&mu_);
    state_.emplace(config_.timing, writer_, tail, RandomWriter(), Now());
    known_ = tail.index;
  }
  Log(Severity::kInfo, "replica started",
      {{"cluster", config_.cluster}, {"replica", config_.name}, {"applied", tail.index}});
  thread_ = std::thread([this] { Run(); });
  if (peers_ != nullptr) heartbeats_ = std::thread([this] { RunHeartbeats(); });
}

void Replica::Leave() {
  Heartbeat goodbye;
  {
    absl::MutexLock lock(&mu_);
    leaving_ = true;
    if (!state_.has_value()) return;
    state_->Leave();
    if (!state_->MayBeat(Now())) return;
    goodbye = MakeHeartbeat();
    goodbye.address.clear();
    goodbye.leaving = true;
  }
  if (peers_ != nullptr) peers_->Send(goodbye);
}

void Replica::Stop() {
  {
    absl::MutexLock lock(&mu_);
    leaving_ = true;
    stopping_ = true;
    changed_.SignalAll();
  }
  log_.Shutdown();
  if (thread_.joinable()) thread_.join();
  if (heartbeats_.joinable()) heartbeats_.join();
}

void Replica::Hear(const Heartbeat& heartbeat) {
  if (heartbeat.cluster != config_.cluster || heartbeat.replica == config_.name) return;
  {
    absl::MutexLock lock(&mu_);
    if (!state_.has_value() || !Believe(heartbeat)) return;
    if (heartbeat.term == state_->tail().term) {
      NoteKnown(heartbeat.applied);
      durable_ = std::max(durable_, heartbeat.applied);
    }
    // A goodbye is said again until another one leads, which this replica may know by now.
    const bool said_before = heartbeat.leaving && state_->HasLeft(heartbeat.term);
    if (said_before && leader_ != heartbeat.replica) return;
    leader_term_ = heartbeat.term;
    claimed_applied_ = heartbeat.applied;
    if (heartbeat.leaving) {
      SetLeader("", "");
      // Of a term that the log knows: who leads it is true, and this is said once.
      if (heartbeat.term == state_->tail().term && !state_->HasLeft(heartbeat.term)) {
        Log(Severity::kInfo, "the leader leaves",
            {{"leader", heartbeat.replica}, {"term", heartbeat.term}, {"next", heartbeat.heir}});
      }
      state_->HeardLeaving(heartbeat.term, HeirOf(heartbeat, config_.name), Now());
      ++goodbyes_;
    } else if (!state_->HasLeft(heartbeat.term)) {  // or it was sent before the goodbye
      SetLeader(heartbeat.replica, heartbeat.address);
      state_->HeardLeader(heartbeat.term, Now());
    }
    NoteRole();
    changed_.SignalAll();
  }
  log_.Wake();
  if (!heartbeat.leaving) news_.Announce();
}

void Replica::SetLeader(const std::string& leader, const std::string& address) {
  if (leader.empty() && !leader_.empty()) without_leader_since_ = Now();
  leader_ = leader;
  leader_address_ = address;
}

bool Replica::Believe(const Heartbeat& heartbeat) {
  const int64_t in_log = state_->tail().term;
  if (heartbeat.term < in_log) return false;  // one that does not know yet
  if (heartbeat.term == in_log) {
    claimed_since_.reset();
    if (in_log != log_term_ || heartbeat.replica == log_leader_) return true;
    Complain(heartbeat, "the log names another leader of this term");
    return false;
  }
  // The log tells of it within moments, unless this replica does not reach it, or has not come so
  // far.
  if (!claimed_since_.has_value()) claimed_since_ = Now();
  const absl::Duration doubted_since = std::max(*claimed_since_, backlog_at_);
  if (!problem_.ok() || Now() - doubted_since < kLongestClaim) return true;
  Complain(heartbeat, "the log knows of no such term");
  if (leader_term_ > in_log) {
    leader_term_ = log_term_;
    SetLeader(log_leader_ == config_.name ? "" : log_leader_, "");
  }
  return false;
}

void Replica::Complain(const Heartbeat& heartbeat, absl::string_view what) {
  if (Now() - complained_at_ < kBetweenComplaints) return;
  complained_at_ = Now();
  Log(Severity::kWarning, "a replica says that it leads, and is not believed",
      {{"replica", heartbeat.replica}, {"term", heartbeat.term}, {"why", what}});
}

ReplicaStatus Replica::Status() const {
  ReplicaStatus status;
  status.engine = log_.State();
  absl::MutexLock lock(&mu_);
  if (!state_.has_value()) return status;
  status.role = state_->role();
  status.serving = state_->serving() && !leaving_ && state_->MayBeat(Now());
  status.term = state_->term();
  status.applied = state_->tail().index;
  status.known = std::max(known_, status.applied);
  status.schema = SchemaVersion();
  status.agreed_schema = event_log_->agreed_schema();
  if (status.known > status.applied) status.lag = Now() - awaited_since_;
  // How much there is of a term that it has not come to it does not know: but there is something.
  const int64_t term = state_->tail().term;
  if (leader_term_ > term && claimed_since_.has_value()) {
    status.lag = std::max(status.lag, Now() - *claimed_since_);
  }
  status.follows =
      status.role == Role::kFollower && problem_.ok() && !leader_.empty() && leader_term_ == term;
  status.takeovers = takeovers_;
  status.leader = status.serving ? config_.name : leader_;
  status.leader_address = status.serving ? config_.address : leader_address_;
  status.hands_on = peers_ != nullptr;
  status.awaits_leader = status.hands_on && status.leader.empty() &&
                         Now() - without_leader_since_ < config_.hand_on_timeout();
  status.problem = problem_;
  return status;
}

// Under load there is always a newer record: what counts is how long ago the one was the newest
// that is applied next.
void Replica::NoteKnown(LogIndex index) {
  known_ = std::max(known_, index);
  if (known_ <= state_->tail().index || awaited_ > state_->tail().index) return;
  awaited_ = known_;
  awaited_since_ = Now();
}

void Replica::NoteRole() {
  if (state_->role() == logged_role_) return;
  const Role before = std::exchange(logged_role_, state_->role());
  if (before == Role::kLeader && leader_.empty()) without_leader_since_ = Now();
  if (logged_role_ == Role::kCandidate) SetLeader("", "");  // not heard of for too long
  Log(Severity::kInfo, "replica changed its role",
      {{"role", NameOf(logged_role_)},
       {"term", state_->term()},
       {"applied", state_->tail().index}});
}

// Once, not with each attempt.
void Replica::NoteProblem(const absl::Status& problem) {
  absl::MutexLock lock(&mu_);
  if (problem_ == problem) return;
  if (!problem.ok() && problem.code() != problem_.code()) {
    Log(Severity::kWarning, "replica cannot go on for now", {{"error", problem.ToString()}});
  }
  problem_ = problem;
}

void Replica::Pause(absl::Duration duration) {
  const absl::Duration end = Now() + duration;
  absl::MutexLock lock(&mu_);
  while (!stopping_ && Now() < end) changed_.WaitWithTimeout(&mu_, end - Now());
}

void Replica::PauseUntilGoodbye(int64_t known, absl::Duration duration) {
  const absl::Duration end = Now() + duration;
  absl::MutexLock lock(&mu_);
  while (!stopping_ && goodbyes_ == known && Now() < end) {
    changed_.WaitWithTimeout(&mu_, end - Now());
  }
}

void Replica::TellAtOnce() {
  tells_at_once_ = true;
  changed_.SignalAll();
}

void Replica::Run() {
  NameThread("replica");
  while (true) {
    ReplicaState::Step step;
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) break;
      step = state_->Next(Now());
      NoteRole();
    }
    Do(step);
  }
  if (std::exchange(told_lead_, false) && listener_ != nullptr) listener_->OnFollow();
}

void Replica::RunHeartbeats() {
  NameThread("heartbeats");
  while (true) {
    absl::optional<Heartbeat> heartbeat;
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return;
      const bool is_news = std::exchange(tells_at_once_, false);
      // That it leaves is said again, until it has ended.
      if (state_->MayBeat(Now())) {
        heartbeat = MakeHeartbeat();
        heartbeat->is_news = is_news;
      }
    }
    if (heartbeat.has_value()) {
      peers_->Send(*heartbeat);
      AgreeIfAllCan();
    } else {
      peers_->StayConnected();
    }
    const absl::Duration end = Now() + config_.timing.heartbeat;
    absl::MutexLock lock(&mu_);
    while (!stopping_ && !tells_at_once_ && Now() < end) {
      changed_.WaitWithTimeout(&mu_, end - Now());
    }
  }
}

void Replica::AgreeIfAllCan() {
  if (event_log_->agreed_schema() >= SchemaVersion()) return;
  const absl::optional<int> version =
      peers_->Agreement().MayAgreeOn(event_log_->agreed_schema(), Now());
  if (!version.has_value()) return;
  {
    absl::MutexLock lock(&mu_);
    if (agreeing_ || leaving_ || !state_->serving()) return;
    agreeing_ = true;
  }
  event_log_->Agree(*version, [this, version = *version](const absl::Status& agreed) {
    if (agreed.ok()) {
      Log(Severity::kInfo, "all replicas are upgraded: the cluster agrees on a newer schema",
          {{"schema", version}});
    }
    absl::MutexLock lock(&mu_);
    agreeing_ = false;
  });
}

void Replica::Do(const ReplicaState::Step& step) {
  switch (step.want) {
    case Want::kFollow:
      return Follow(step);
    case Want::kFindEnd:
      return FindEnd();
    case Want::kCatchUp: {
      const LogIndex before = tail().index;
      if (!ApplyNext().ok()) {
        absl::MutexLock lock(&mu_);
        return state_->Failed(Now());
      }
      // The server that is read from may be behind the one that said where the log ends.
      if (tail().index == before) Pause(config_.timing.retry);
      return;
    }
    case Want::kBeginTerm:
      return BeginTerm(step);
    case Want::kTakeOver:
      return TakeOver();
    case Want::kShowLife:
      return ShowLife();
    case Want::kStepDown:
      return StepDown();
    case Want::kStop:
      return Pause(absl::Hours(1));
    case Want::kWait: {
      const bool healthy = event_log_->Health().ok();
      absl::MutexLock lock(&mu_);
      // Whose disk takes nothing lets another one lead.
      if (!healthy && state_->serving()) return state_->Failed(Now());
      const absl::Duration left = step.until - Now();
      if (!stopping_ && left > absl::ZeroDuration()) changed_.WaitWithTimeout(&mu_, left);
      return;
    }
  }
}

void Replica::Follow(const ReplicaState::Step& step) {
  if (Now() >= prepare_at_) {
    // Not for long: meanwhile nothing is applied.
    log_.PrepareAppend(std::min(config_.append_timeout, kLongestPreparation));
    prepare_at_ = Now() + kBetweenPreparations;
  }
  LogIndex applied = 0;
  int64_t goodbyes = 0;
  {
    absl::MutexLock lock(&mu_);
    applied = state_->tail().index;
    goodbyes = goodbyes_;  // One may come while it waits, or reads.
  }
  const absl::Duration left = std::min(step.until - Now(), kLongestWait);
  if (left > absl::ZeroDuration() && !log_.AwaitRecord(applied, left)) return;
  if (!ApplyNext().ok()) PauseUntilGoodbye(goodbyes, kPauseAfterFailure);
}

absl::Status Replica::ApplyNext() {
  absl::Status status = [this]() -> absl::Status {
    LogIndex next = 0;
    LogIndex durable = 0;
    {
      absl::MutexLock lock(&mu_);
      next = state_->tail().index + 1;
      durable = durable_;
    }
    ASSIGN_OR_RETURN(const std::vector<LogRecord> page, log_.Read(next, kPage));
    if (page.empty()) return absl::OkStatus();
    if (page.back().index > durable) RETURN_IF_ERROR(log_.Confirm(page.back().index));
    return ApplyPage(page);
  }();
  if (ReasonOf(status) == log_reason::kLogTrimmed) {
    status =
        Annotate(status, absl::StrCat("this replica was away for longer than the cluster's log "
                                      "is kept; stop it, ",
                                      kTakeACopy));
  }
  NoteProblem(status);
  if (!status.ok()) NoteStop(status);
  return status;
}

void Replica::NoteStop(const absl::Status& error) {
  const std::string reason = ReasonOf(error);
  const bool is_diverged = reason == record_reason::kRecordContradicts ||
                           reason == record_reason::kRecordUnknown ||
                           reason == log_reason::kLogReplaced;
  const bool needs_snapshot = reason == log_reason::kLogTrimmed;
  if (!is_diverged && !needs_snapshot) return;
  Log(Severity::kError, "replica applies nothing more until a person has acted",
      {{"error", error.ToString()}});
  absl::MutexLock lock(&mu_);
  if (is_diverged) state_->Diverged();
  if (needs_snapshot) state_->NeedsSnapshot();
  NoteRole();
}

absl::Status Replica::ApplyPage(const std::vector<LogRecord>& page) {
  RecordTail tail;
  {
    absl::MutexLock lock(&mu_);
    tail = state_->tail();
  }
  std::vector<std::shared_ptr<const Record>> records;
  records.reserve(page.size());
  std::string leader;  // of `tail.term`, if it begins in this page
  std::vector<std::pair<int64_t, LogIndex>> terms;
  int64_t bytes = 0;
  for (const LogRecord& found : page) {
    bytes += static_cast<int64_t>(found.bytes.size());
    auto record = std::make_shared<Record>();
    absl::Status sound = ParseRecord(found.bytes, *record);
    if (sound.ok()) sound = CheckFollows(tail, *record);
    if (!sound.ok()) {
      if (records.empty()) return sound;
      break;  // What comes before it is applied; it is met by who reads on.
    }
    tail = TailOf(*record, found.bytes);
    if (record->entries_size() > 0 && record->entries(0).has_term()) {
      leader = record->entries(0).term().replica();
      terms.emplace_back(tail.term, tail.index);
    }
    records.push_back(std::move(record));
  }
  absl::Notification done;
  absl::Status applied;
  event_log_->Apply(std::move(records), tail, [&](absl::Status status) {
    applied = std::move(status);
    done.Notify();
  });
  done.WaitForNotification();
  RETURN_IF_ERROR(applied);
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [term, index] : terms) term_begins_.Note(term, index);
    const bool has_more =
        page.size() == static_cast<size_t>(kPage.max_records) || 2 * bytes >= kPage.max_bytes;
    if (has_more) backlog_at_ = Now();
  }
  NoteApplied(tail, leader);
  if (!leader.empty()) news_.Announce();
  return absl::OkStatus();
}

void Replica::NoteApplied(const RecordTail& tail, const std::string& leader) {
  absl::MutexLock lock(&mu_);
  state_->Applied(tail, Now());
  NoteKnown(tail.index);
  // Also where replicas do not reach each other, the log says who leads.
  if (!leader.empty()) {
    // What the leader before has said of records is no more than what it has said.
    known_ = tail.index;
    awaited_ = std::min(awaited_, known_);
    durable_ = std::min(durable_, known_);
    log_term_ = tail.term;
    log_leader_ = leader;
    const std::string other = leader == config_.name ? "" : leader;
    // What it said of its term while this replica had not come to it.
    if (leader_term_ == tail.term && leader_ == other && claimed_since_.has_value()) {
      NoteKnown(claimed_applied_);
      if (awaited_ > tail.index) awaited_since_ = *claimed_since_;
    }
    if (!other.empty()) {
      Log(Severity::kInfo, "another replica leads", {{"leader", other}, {"term", tail.term}});
    }
    if (tail.term > leader_term_ || (tail.term == leader_term_ && leader_ != other)) {
      leader_term_ = tail.term;
      SetLeader(other, "");
    }
  }
  NoteRole();
}

void Replica::FindEnd() {
  bool may_stand = event_log_->Health().ok();
  {
    absl::MutexLock lock(&mu_);
    if (leaving_) may_stand = false;
  }
  absl::Status problem;
  if (may_stand) {
    // Before the log is asked: what they hold by then has to be in it.
    const std::vector<PeerTail> peers =
        peers_ == nullptr ? std::vector<PeerTail>() : peers_->Tails(absl::ZeroDuration());
    const absl::StatusOr<RecordRange> range = log_.Last();
    absl::MutexLock lock(&mu_);
    if (range.ok()) {
      problem = FindLoss(range->last, peers);
      NoteKnown(range->last);
      if (problem.ok()) {
        state_->LogEndsAt(range->last, Now());
      } else {
        state_->Failed(Now());
      }
    } else {
      problem = range.status();
      state_->Failed(Now());
    }
  } else {
    absl::MutexLock lock(&mu_);
    state_->Failed(Now());
  }
  NoteProblem(problem);
}

absl::Status Replica::FindLoss(LogIndex last, const std::vector<PeerTail>& peers) const {
  const auto lost = [last](absl::string_view who, LogIndex index, absl::string_view more) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, log_reason::kLogBehind,
                           absl::StrCat("the replicated log ends at record ", last, ", but ", who,
                                        " ", index, more, ": the log has lost what it had"));
  };
  if (last < state_->tail().index) return lost("this replica has", state_->tail().index, "");
  if (last < durable_) return lost("its leader had", durable_, " in it");
  for (const PeerTail& peer : peers) {
    const std::string who = absl::StrCat("replica ", peer.name, " has");
    if (last < peer.index) return lost(who, peer.index, "");
    if (term_begins_.Contradict(peer)) return lost(who, peer.index, " of an older term");
  }
  return absl::OkStatus();
}

absl::Status Replica::AskForLoss() {
  if (peers_ == nullptr) return absl::OkStatus();
  Heartbeat heartbeat;
  {
    absl::MutexLock lock(&mu_);
    heartbeat = MakeHeartbeat();
  }
  heartbeat.is_news = true;
  peers_->Send(heartbeat);
  std::vector<PeerTail> peers = peers_->Tails(kLongestQuestion);
  absl::MutexLock lock(&mu_);
  // One that has read of a term after this one is no sign of a loss.
  const int64_t term = state_->term();
  peers.erase(std::remove_if(peers.begin(), peers.end(),
                             [term](const PeerTail& peer) { return peer.term >= term; }),
              peers.end());
  return FindLoss(state_->tail().index, peers);
}

absl::Status Replica::CheckTail() {
  const RecordTail tail = this->tail();
  ASSIGN_OR_RETURN(const std::vector<LogRecord> page,
                   log_.Read(tail.index, {.max_records = 1, .max_bytes = 1}));
  if (page.empty()) {
    return ErrorWithReason(absl::StatusCode::kUnavailable, log_reason::kEngineUnavailable,
                           absl::StrCat("the replicated log does not show record ", tail.index));
  }
  Record there;
  RETURN_IF_ERROR(ParseRecord(page.front().bytes, there));
  if (TailOf(there, page.front().bytes) == tail) return absl::OkStatus();
  return RecordContradicts(absl::StrCat("record ", tail.index,
                                        " of the replicated log is another one than this replica "
                                        "has applied: their histories differ"));
}

void Replica::BeginTerm(const ReplicaState::Step& step) {
  if (term_record_index_ != step.index || term_record_term_ != step.term) {
    // The log compares indexes alone: with another history, the others would meet a record that
    // follows nothing that they have.
    const absl::Status checked = CheckTail();
    if (!checked.ok()) {
      NoteProblem(checked);
      NoteStop(checked);
      absl::MutexLock lock(&mu_);
      return state_->TermAppended(CompareAppendOutcome::kRefused, Now());
    }
    Record record;
    {
      absl::MutexLock lock(&mu_);
      BeginRecord(state_->tail(), step.term, writer_, record);
    }
    record.set_time_us(absl::ToUnixMicros(clock_.WallNow()));
    auto& term = *record.add_entries()->mutable_term();
    term.set_replica(config_.name);
    term.set_version(std::string(Version()));
    term_record_ = BytesOf(record);
    term_record_index_ = step.index;
    term_record_term_ = step.term;
    term_record_attempts_ = 0;
  }
  const CompareAppendResult result =
      log_.CompareAppend(step.index - 1, term_record_, AppendTimeout(term_record_attempts_++));
  NoteProblem(result.outcome == CompareAppendOutcome::kLost ? absl::OkStatus() : result.status);
  absl::MutexLock lock(&mu_);
  state_->TermAppended(result.outcome, Now());
  // It was appended after all that is before it, which need not be confirmed by another commit.
  if (result.outcome == CompareAppendOutcome::kAppended) durable_ = std::max(durable_, step.index);
  if (state_->role() == Role::kElected) TellAtOnce();
  NoteRole();
}

void Replica::TakeOver() {
  if (const absl::Status lost = AskForLoss(); !lost.ok()) {
    NoteProblem(lost);
    absl::MutexLock lock(&mu_);
    state_->Failed(Now());
    return NoteRole();
  }
  absl::Notification done;
  absl::Status stored;
  event_log_->TakeOver([&](absl::Status status) {
    stored = std::move(status);
    done.Notify();
  });
  done.WaitForNotification();
  {
    absl::MutexLock lock(&mu_);
    if (stored.ok()) {
      state_->TookOver();
      ++takeovers_;
      TellAtOnce();
    } else {
      state_->Failed(Now());
    }
    stalled_ = false;
    NoteRole();
    if (!state_->serving()) return;
  }
  news_.Announce();
  told_lead_ = true;
  const absl::Status led = listener_ != nullptr ? Lead() : absl::OkStatus();
  if (led.ok()) return;
  told_lead_ = false;
  NoteProblem(led);
  absl::MutexLock lock(&mu_);
  state_->Failed(Now());
}

// Subscriptions with much that is unsettled take a while to load.
absl::Status Replica::Lead() {
  absl::Mutex mu;
  MonotonicCondVar ended;
  absl::optional<absl::Status> led;
  std::thread leading([&] {
    NameThread("leading");
    const absl::Status status = listener_->OnLead();
    absl::MutexLock lock(&mu);
    led = status;
    ended.SignalAll();
  });
  while (true) {
    {
      absl::MutexLock lock(&mu);
      if (!led.has_value()) ended.WaitWithTimeout(&mu, config_.timing.idle);
      if (led.has_value()) break;
    }
    ShowLife();
  }
  leading.join();
  return *led;
}

// While it is under way, the state can be told that somebody else leads, and then it ends.
void Replica::ShowLife() {
  if (!event_log_->Health().ok()) {
    absl::MutexLock lock(&mu_);
    return state_->Failed(Now());
  }
  absl::Notification done;
  event_log_->ShowLife([&](const absl::Status&) { done.Notify(); });
  done.WaitForNotification();
  absl::MutexLock lock(&mu_);
  state_->ShownLife(Now());
}

void Replica::StepDown() {
  if (std::exchange(told_lead_, false) && listener_ != nullptr) listener_->OnFollow();
  absl::MutexLock lock(&mu_);
  state_->SteppedDown(Now());
  NoteRole();
}

absl::Status Replica::NoLeader() const {
  absl::Status error = ErrorWithReason(
      absl::StatusCode::kUnavailable, reason::kNoLeader,
      leader_.empty()
          ? absl::StrCat("no replica leads cluster ", config_.cluster, " now; try again")
          : absl::StrCat("replica ", config_.name, " does not lead cluster ", config_.cluster,
                         ", replica ", leader_, " does"));
  if (!leader_address_.empty()) SetMetadata(error, "leader_address", leader_address_);
  return error;
}

Replica::Leadership Replica::GetLeadership() const {
  absl::MutexLock lock(&mu_);
  if (!state_.has_value()) return {.without_leader = absl::InfiniteDuration()};
  if (state_->serving() && !leaving_) return {.here = true};
  return {.here = false,
          .leader = leader_,
          .leader_address = leader_address_,
          .without_leader = leader_.empty() ? Now() - without_leader_since_ : absl::ZeroDuration()};
}

RecordTail Replica::tail() const {
  absl::MutexLock lock(&mu_);
  return state_.has_value() ? state_->tail() : RecordTail();
}

absl::Duration Replica::AppendTimeout(int repeats) const {
  const absl::Duration longer = config_.append_timeout * (int64_t{1} << std::min(repeats, 10));
  return std::max(config_.append_timeout, std::min(longer, kLongestAppend));
}

Heartbeat Replica::MakeHeartbeat() const {
  return {.cluster = config_.cluster,
          .replica = config_.name,
          .address = config_.address,
          .term = state_->term(),
          .applied = state_->tail().index,
          .applied_term = state_->tail().term,
          .leaving = leaving_};
}

absl::Status Replica::NotLeading() const {
  absl::MutexLock lock(&mu_);
  return NoLeader();
}

absl::Status Replica::Admit(bool takes_over) const {
  absl::MutexLock lock(&mu_);
  if (!state_.has_value() || leaving_ || stalled_) return NoLeader();
  if (takes_over ? state_->role() == Role::kLeader : state_->serving()) return absl::OkStatus();
  return NoLeader();
}

absl::Status Replica::AgreeFor(const absl::Status& why) const {
  if (peers_ == nullptr) return absl::OkStatus();
  const std::string missing = peers_->Agreement().WhatIsMissing(SchemaVersion(), Now());
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, reason::kUpgradeUnfinished,
      absl::StrCat(why.message(), ", which came with schema ", SchemaVersion(),
                   "; replicas of cluster ", config_.cluster, " have not agreed on it yet: ",
                   missing.empty()
                       ? "try again"
                       : absl::StrCat(missing, "; upgrade it, or start it, and try again")));
}

absl::StatusOr<RecordTail> Replica::Seal(Record& record) {
  {
    absl::MutexLock lock(&mu_);
    if (!state_.has_value() || state_->role() != Role::kLeader || stopping_) return NoLeader();
    BeginRecord(state_->tail(), state_->term(), writer_, record);
  }
  record.set_time_us(absl::ToUnixMicros(clock_.WallNow()));
  sealed_.clear();
  if (!AppendRecord(record, sealed_) ||
      static_cast<int64_t>(sealed_.size()) > log_.max_record_bytes()) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, log_reason::kRecordSize,
        absl::StrCat("what is to be stored at once takes ", sealed_.size(),
                     " bytes, and the replicated log takes ", log_.max_record_bytes()));
  }
  sealed_tail_ = TailOf(record, sealed_);
  return sealed_tail_;
}

absl::Status Replica::Append(absl::FunctionRef<void(const absl::Status&)> still_unknown) {
  LogIndex index = 0;
  {
    absl::MutexLock lock(&mu_);
    const absl::optional<LogIndex> next = state_->BeginAppend();
    if (!next.has_value()) return NoLeader();
    index = *next;
  }
  for (int repeats = 0;; ++repeats) {
    const CompareAppendResult result =
        log_.CompareAppend(index - 1, sealed_, AppendTimeout(repeats));
    absl::Status stalled;
    absl::Status refused;
    {
      absl::MutexLock lock(&mu_);
      const bool again = state_->AppendEnded(result.outcome, Now());
      NoteRole();
      changed_.SignalAll();
      if (result.outcome == CompareAppendOutcome::kAppended) {
        stalled_ = false;
        return absl::OkStatus();
      }
      if (!again) {
        stalled_ = false;
        refused = NoLeader();
      } else if (stopping_) {
        state_->AppendGivenUp();
        refused = NoLeader();
      } else if (Now() - *state_->unknown_since() >= config_.append_timeout) {
        stalled_ = true;
        stalled = ErrorWithReason(absl::StatusCode::kUnavailable, reason::kNoLeader,
                                  "the replicated log does not answer; whether this was stored is "
                                  "not known: send it again");
      }
    }
    NoteProblem(result.outcome == CompareAppendOutcome::kLost ? absl::OkStatus() : result.status);
    if (!refused.ok()) return refused;
    if (!stalled.ok()) still_unknown(stalled);
    Pause(config_.timing.retry);
  }
}

void Replica::Committed() {
  {
    absl::MutexLock lock(&mu_);
    state_->Committed(sealed_tail_);
    NoteKnown(sealed_tail_.index);
    if (problem_.ok()) return;
  }
  NoteProblem(absl::OkStatus());
}

void Replica::NotCommitted() {
  absl::MutexLock lock(&mu_);
  state_->NotCommitted();
  NoteRole();
  changed_.SignalAll();
}

}  // namespace hookgate
