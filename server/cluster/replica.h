// One replica of a cluster: applies what is in the replicated log to its own event log, and leads
// when nobody else does.
//
// What it decides stands in replication/replica_state.h; this does it. A thread of its own reads
// and applies, and tries to lead; another one tells the other replicas that it leads. Each commit
// of the event log's writer passes here (eventlog/commit_gate.h): in the writer's thread, and only
// while this replica leads.
//
//   Replica replica(config, log, clock, &peers);
//   ReplicaOptions options = replica.LogOptions();
//   auto event_log = SqliteEventLog::Open(..., &options);
//   replica.Start(**event_log, &listener);
//   ...
//   replica.Stop();  // before the event log ends
#ifndef HOOKGATE_SERVER_CLUSTER_REPLICA_H_
#define HOOKGATE_SERVER_CLUSTER_REPLICA_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "common/monotonic_cond_var.h"
#include "server/cluster/leadership_news.h"
#include "server/eventlog/commit_gate.h"
#include "server/eventlog/sqlite_event_log.h"
#include "server/replication/record.pb.h"
#include "server/replication/replica_state.h"
#include "server/replication/replicated_log.h"
#include "server/replication/schema_agreement.h"
#include "server/replication/term_begins.h"
#include "server/store/schema.h"

namespace hookgate {

// What a leader tells the others, every Timing::heartbeat. Losing one, or all, costs no webhook.
struct Heartbeat {
  std::string cluster;
  std::string replica;  // its name
  std::string address;  // where clients reach it; "" if that is not said
  int64_t term = 0;
  LogIndex applied = 0;      // what it has applied: all of it is durable in the log
  int64_t applied_term = 0;  // of the record `applied`; 0: it does not say
  bool leaving = false;      // it is about to end, and leads no more
  // Of one that leaves: the replica that is to lead next, so that no two try; "" if that is not
  // said.
  std::string heir;
  // The others do not know this yet: that it leads, that it decides from now on.
  bool is_news = false;
};

// The other replicas.
class ReplicaPeers {
 public:
  virtual ~ReplicaPeers() = default;
  // Any thread; must not wait. What cannot be sent is forgotten. Of a leader that leaves it names
  // the heir, if it knows one.
  virtual void Send(const Heartbeat& heartbeat) = 0;
  // Any thread; must not wait. Connects to those that it is not connected to, so that a new leader
  // is reached without delay.
  virtual void StayConnected() {}
  // What they have said that they hold, last; waits until they have answered what they were sent,
  // `at_most` so long.
  virtual std::vector<PeerTail> Tails(absl::Duration /*at_most*/) { return {}; }
  // Any thread; must not wait. What they have said that they read.
  virtual SchemaAgreement Agreement() const { return SchemaAgreement(SchemaVersion(), {}); }
};

// Has what only a leader has, such as subscriptions.
class LeadershipListener {
 public:
  virtual ~LeadershipListener() = default;
  // On threads of the replica's, in turns. From the one to the other, the event log stores what it
  // is asked to; an error of OnLead gives the leadership up, without OnFollow.
  virtual absl::Status OnLead() = 0;
  virtual void OnFollow() = 0;
};

struct ReplicaConfig {
  std::string cluster;  // as ReplicatedLogOptions has it
  std::string name;     // of this replica, for people
  std::string address;  // as in Heartbeat
  ReplicaState::Timing timing;
  // For an attempt to append. A sender waits for two of them at most.
  absl::Duration append_timeout = absl::Seconds(1);
  // How long a record stays in the log after all replicas that are known have applied it.
  absl::Duration log_retention = absl::Hours(24);
  // So long a webhook that is handed on may take: an append at the leader, and the way there and
  // back; or the time until there is another leader.
  absl::Duration hand_on_timeout() const { return 2 * append_timeout + absl::Seconds(1); }
  // Told why a replica that begins with an empty folder waits, before each wait; may be null.
  std::function<void(const absl::Status&)> on_wait;
};

// For /readyz, GetStatus and metrics.
struct ReplicaStatus {
  ReplicaState::Role role = ReplicaState::Role::kFollower;
  // Leads and decides, as far as it knows; not while it waits in vain for the log, since another
  // one may lead by then.
  bool serving = false;
  int64_t term = 0;
  LogIndex applied = 0;
  // The newest record that this replica has heard of. `known - applied` is how far it is behind.
  LogIndex known = 0;
  // The newest schema that it reads, and the one that the cluster has agreed on.
  int schema = 0;
  int agreed_schema = 0;
  // For how long there have been records that it has not applied; zero: it has what it knows of.
  absl::Duration lag;
  // It follows the leader of the newest term that is in the log, and hears of it: but for `lag`, it
  // has what that one has.
  bool follows = false;
  // How often it has begun to lead since it was started.
  int64_t takeovers = 0;
  // Who leads, by name and address; "" if nobody is known to.
  std::string leader;
  std::string leader_address;
  // It hands on to the leader what only a leader does.
  bool hands_on = false;
  // The one that led is gone, a moment ago: what is to be handed on waits for the next one.
  bool awaits_leader = false;
  // What keeps it from applying or leading; OK if nothing does.
  absl::Status problem;
  EngineState engine;
};

// Thread-safe.
class Replica final : public CommitGate {
 public:
  // `log`, `clock` and `peers` outlive the replica; `peers` may be null. `log` is
  // shut down when the replica is stopped.
  Replica(const ReplicaConfig& config, ReplicatedLog& log, const Clock& clock, ReplicaPeers* peers);
  ~Replica() override;

  // For SqliteEventLog::Open. A log that is new begins with the genesis record, which the first of
  // all replicas writes; the errors of that are those of ReplicatedLog, and FAILED_PRECONDITION if
  // the log there is another cluster's.
  //   found  the log has to be new, and begins with what the folder holds: FAILED_PRECONDITION if
  //          it has records
  ReplicaOptions LogOptions(bool found = false);

  // Follows from now on. `event_log` is what was opened with LogOptions; it and `listener`, which
  // may be null, outlive Stop. Once.
  void Start(SqliteEventLog& event_log, LeadershipListener* listener);

  // Gives up what it leads, and says so to the others, so that one of them leads at once. Decides
  // nothing afterwards, and does not lead again. Waits for no commit.
  void Leave();

  // Ends its threads: what is being appended is given up after `append_timeout` at most.
  void Stop();

  // What it says is believed as far as the log bears it out: see Believe.
  void Hear(const Heartbeat& heartbeat);

  ReplicaStatus Status() const;

  // Who leads, as far as this replica knows. Cheap.
  struct Leadership {
    bool here = false;           // this replica does
    std::string leader;          // the other one that does; "": nobody
    std::string leader_address;  // where clients reach that one; "" if that is not said
    // For how long this replica has known of nobody who leads; infinite if it never has.
    absl::Duration without_leader;
  };
  Leadership GetLeadership() const;
  // Told whenever a leader is heard of, and when this replica begins to decide.
  LeadershipNews& news() { return news_; }
  // The newest record that it has applied; index 0 before Start.
  RecordTail tail() const;

  // UNAVAILABLE no_leader, for whoever asks this replica for what only a leader decides. Metadata:
  // leader_address, if it is known.
  absl::Status NotLeading() const;

  // CommitGate:
  absl::Status Admit(bool takes_over) const override;
  absl::Status AgreeFor(const absl::Status& why) const override;
  absl::StatusOr<RecordTail> Seal(hookgate::replication::v1::Record& record) override;
  absl::Status Append(absl::FunctionRef<void(const absl::Status&)> still_unknown) override;
  void Committed() override;
  void NotCommitted() override;

 private:
  absl::StatusOr<ReplicaBeginning> Begin(bool found, const std::string& founding_epoch);
  absl::StatusOr<ReplicaBeginning> TryBegin(bool found, const std::string& founding_epoch);
  absl::StatusOr<ReplicaBeginning> BeginWith(const std::string& identity, const LogRecord& first);

  void Run();
  void RunHeartbeats();
  // Has the cluster agree on what all replicas have said that they read.
  void AgreeIfAllCan() ABSL_LOCKS_EXCLUDED(mu_);
  void Do(const ReplicaState::Step& step);
  void Follow(const ReplicaState::Step& step);
  void FindEnd();
  // log_behind if the log, which ends at `last`, lacks what this replica knows that it held, or
  // what one of `peers` holds.
  absl::Status FindLoss(LogIndex last, const std::vector<PeerTail>& peers) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The same of what the others say now, once this replica has begun a term.
  absl::Status AskForLoss() ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the log has the record that this replica has applied last.
  absl::Status CheckTail();
  void BeginTerm(const ReplicaState::Step& step);
  void TakeOver();
  void ShowLife();
  void StepDown();
  // Has the listener lead, and shows meanwhile that this replica lives.
  absl::Status Lead();
  // Applies the next records, if there are any. The error is noted.
  absl::Status ApplyNext();
  // The same of an error with which no record can be applied: one that only a person can mend stops
  // this replica.
  void NoteStop(const absl::Status& error) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status ApplyPage(const std::vector<LogRecord>& page);
  //   leader  who leads `tail.term`, if that has begun in the page
  void NoteApplied(const RecordTail& tail, const std::string& leader) ABSL_LOCKS_EXCLUDED(mu_);
  void NoteProblem(const absl::Status& problem) ABSL_LOCKS_EXCLUDED(mu_);
  void Pause(absl::Duration duration) ABSL_LOCKS_EXCLUDED(mu_);
  // As Pause, but not longer than until there have been more goodbyes than `known`.
  void PauseUntilGoodbye(int64_t known, absl::Duration duration) ABSL_LOCKS_EXCLUDED(mu_);
  // Has the others told at once that this replica leads.
  void TellAtOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Who leads, other than this replica; "": nobody who is known.
  void SetLeader(const std::string& leader, const std::string& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteRole() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether who sent it may lead: of the log's newest term, the one whom the log names; of a term
  // that is not in the log yet, anybody, until the log ought to have it.
  bool Believe(const Heartbeat& heartbeat) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Complain(const Heartbeat& heartbeat, absl::string_view what)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // There is a record at `index`, whether it is applied or not.
  void NoteKnown(LogIndex index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status NoLeader() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // For the attempt at an append after `repeats` that took too long: a log that needs longer than
  // an attempt to store a record would never be heard to have done so.
  absl::Duration AppendTimeout(int repeats) const;
  Heartbeat MakeHeartbeat() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Duration Now() const { return clock_.MonotonicNow(); }

  // Constant after construction.
  const ReplicaConfig config_;
  ReplicatedLog& log_;  // Does its own locking.
  const Clock& clock_;
  ReplicaPeers* const peers_;
  const uint64_t writer_;

  // Set by Start.
  SqliteEventLog* event_log_ = nullptr;
  LeadershipListener* listener_ = nullptr;

  // Touched only by the replica's thread.
  std::string term_record_;  // of the term that is being begun
  LogIndex term_record_index_ = 0;
  int64_t term_record_term_ = 0;
  int term_record_attempts_ = 0;
  bool told_lead_ = false;     // OnLead without OnFollow
  absl::Duration prepare_at_;  // the log, for a first append

  // Touched only by the event log's writer thread.
  std::string sealed_;
  RecordTail sealed_tail_;

  LeadershipNews news_;  // Does its own locking.

  mutable absl::Mutex mu_;
  MonotonicCondVar changed_;
  absl::optional<ReplicaState> state_ ABSL_GUARDED_BY(mu_);  // since Start
  ReplicaState::Role logged_role_ ABSL_GUARDED_BY(mu_) = ReplicaState::Role::kFollower;
  bool stalled_ ABSL_GUARDED_BY(mu_) = false;  // an append takes longer than senders should wait
  bool leaving_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool agreeing_ ABSL_GUARDED_BY(mu_) = false;  // asked for, and not ended yet
  bool tells_at_once_ ABSL_GUARDED_BY(mu_) = false;
  int64_t goodbyes_ ABSL_GUARDED_BY(mu_) = 0;  // that were believed
  LogIndex known_ ABSL_GUARDED_BY(mu_) = 0;
  // The newest record at some time in the past, and when that was, while it is not applied.
  LogIndex awaited_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration awaited_since_ ABSL_GUARDED_BY(mu_);
  int64_t takeovers_ ABSL_GUARDED_BY(mu_) = 0;
  LogIndex durable_ ABSL_GUARDED_BY(mu_) = 0;  // as the leader says
  int64_t leader_term_ ABSL_GUARDED_BY(mu_) = 0;
  // Of the newest term whose record this replica has applied since it was started; "": of none.
  int64_t log_term_ ABSL_GUARDED_BY(mu_) = 0;
  std::string log_leader_ ABSL_GUARDED_BY(mu_);
  // Where the terms begin whose records this replica has applied since it was started.
  TermBegins term_begins_ ABSL_GUARDED_BY(mu_);
  // Since when somebody says that it leads a term which is not in the log, and what it has applied.
  absl::optional<absl::Duration> claimed_since_ ABSL_GUARDED_BY(mu_);
  LogIndex claimed_applied_ ABSL_GUARDED_BY(mu_) = 0;
  // When there was last more to read than one page.
  absl::Duration backlog_at_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  absl::Duration complained_at_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  std::string leader_ ABSL_GUARDED_BY(mu_);
  std::string leader_address_ ABSL_GUARDED_BY(mu_);
  // While leader_ is "".
  absl::Duration without_leader_since_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
  absl::Status problem_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;
  std::thread heartbeats_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_REPLICA_H_
