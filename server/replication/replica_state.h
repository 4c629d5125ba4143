// What one replica decides: whether it follows or leads, and what it does next.
//
// Pure: no clock, no threads, no I/O. Time is monotonic, and each replica has its own. Whoever
// drives it does what Next says, tells how that ended, and passes on what other replicas say.
//
// Nothing here is needed for safety but the order of the calls: a record is in the log once the
// log says so, one writer wins an index, and whoever has lost one has lost its term. Time only
// decides when a replica tries to lead. So clocks that differ, messages that are lost or late and
// replicas that stand still cost time, and no webhook.
//
//                     silence                 its term record is in the log
//   ┌─▶ kFollower ─────────▶ kCandidate ──────────────────▶ kElected ─┐
//   │      ▲  lost, or somebody leads  │                              │ has applied it
//   │      └──────────────────────────◀┘                              ▼
//   └── kDeposed ◀── lost an index, heard of a higher term ──────── kLeader
//       or could not commit what it had appended
//
//   kDiverged, kNeedsSnapshot: for good, until a person or a snapshot has acted
#ifndef HOOKGATE_SERVER_REPLICATION_REPLICA_STATE_H_
#define HOOKGATE_SERVER_REPLICATION_REPLICA_STATE_H_

#include <cstdint>
#include <random>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/replication/record_tail.h"
#include "server/replication/replicated_log.h"

namespace hookgate {

// Not thread-safe.
class ReplicaState {
 public:
  enum class Role {
    kFollower,       // applies what others decide
    kCandidate,      // nobody leads, it seems: tries to
    kElected,        // has begun a term, and has not applied all that came before it
    kLeader,         // decides
    kDeposed,        // leads no more, and has not yet let go of what a leader has
    kDiverged,       // holds what is not in the log, or cannot read what is there
    kNeedsSnapshot,  // the log no longer holds the next record
  };

  // Each has its reason: a leader that is alive is heard of five times within `silence`, or seen in
  // the log three times, and a dead one is replaced within silence + spread and the time of an
  // append, which is 2.5 s.
  struct Timing {
    absl::Duration heartbeat = absl::Milliseconds(300);
    // A leader that has nothing to append appends a record without entries so often: what is in the
    // log can be seen by everybody who may lead, also where replicas do not reach each other. It
    // costs some 80 bytes of the log, and shows the leader whether it reaches the log.
    absl::Duration idle = absl::Milliseconds(500);
    absl::Duration silence = absl::Milliseconds(1500);
    // At random, so that two replicas seldom try at once.
    absl::Duration spread = absl::Milliseconds(500);
    // Between attempts at an append whose outcome is not known.
    absl::Duration retry = absl::Milliseconds(100);
  };
  // So many of Timing::silence without a record in the log, and no heartbeat is believed: a leader
  // that lives has appended three in each.
  static constexpr int kMostSilences = 3;

  enum class Want {
    kFollow,     // apply what the log holds after the tail, and wait for more until `until`
    kFindEnd,    // ask the log where it ends: LogEndsAt, or Failed
    kCatchUp,    // apply what the log holds up to `index`, without waiting
    kBeginTerm,  // append the term record of `term` at `index`: TermAppended. Always the same bytes
                 // for the same index and term
    kTakeOver,   // have the first commit of the term made: TookOver, or Failed
    kShowLife,   // have a record without entries appended, as a group's is: ShownLife
    kWait,       // nothing until `until`
    kStepDown,   // let go of all that a leader has: SteppedDown
    kStop,       // nothing any more
  };
  struct Step {
    Want want = Want::kWait;
    LogIndex index = 0;
    int64_t term = 0;
    absl::Duration until;
  };

  // A replica that has applied everything up to `tail`.
  //   writer  random, of this process
  //   now     monotonic time, as everywhere here
  ReplicaState(const Timing& timing, uint64_t writer, const RecordTail& tail, uint64_t seed,
               absl::Duration now);

  // What to do next. Says the same until something else is told, or time has passed.
  Step Next(absl::Duration now);

  // All up to `tail` is applied, and committed by this replica's database; not by Committed.
  void Applied(const RecordTail& tail, absl::Duration now);
  // The log ends at `last`.
  void LogEndsAt(LogIndex last, absl::Duration now);
  void TermAppended(CompareAppendOutcome outcome, absl::Duration now);
  void TookOver();
  void ShownLife(absl::Duration now);
  void SteppedDown(absl::Duration now);
  // What Next asked for could not be done this time.
  void Failed(absl::Duration now);
  // A record contradicts what this replica holds or cannot be read; or the next one was trimmed.
  void Diverged();
  void NeedsSnapshot();

  // Somebody says that it leads `term`. Who leads is what the log says: this only makes a follower
  // wait a while longer before it tries, kMostSilences at most without a record, and a leader that
  // waits in vain for the log, or leaves, give way.
  void HeardLeader(int64_t term, absl::Duration now);
  // Who is to lead after one that leaves, as it says. The others try later, in case that the heir
  // cannot.
  enum class Heir { kUnsaid, kThis, kOther };
  // Whoever leads `term` is about to end, says somebody whom the log names as its leader: somebody
  // else may lead as soon as all of the term that is in the log is applied. Once for a term.
  void HeardLeaving(int64_t term, Heir heir, absl::Duration now);
  // The leader of `term` has said that it ends.
  bool HasLeft(int64_t term) const { return term != 0 && term == left_term_; }

  // It is about to end: it appends nothing more, so that only others can tell it who leads next.
  void Leave() { leaves_ = true; }

  // One append of the leader's. BeginAppend returns the index, or nothing if this replica does not
  // lead: then nobody is answered. Until AppendEnded has returned false for whether to try again,
  // and after a success Committed or NotCommitted was called, there is no other one.
  absl::optional<LogIndex> BeginAppend();
  // Whether to append the same bytes at the same index again, after Timing::retry.
  bool AppendEnded(CompareAppendOutcome outcome, absl::Duration now);
  // What was appended is committed here, or could not be: then it has to be applied as by any other
  // replica.
  void Committed(const RecordTail& tail);
  void NotCommitted();
  // Nobody tries any more, with an outcome that is not known: for the end of the process.
  void AppendGivenUp();

  Role role() const { return role_; }
  // Leads, and has taken over: decides.
  bool serving() const { return role_ == Role::kLeader && took_over_; }
  // Whether others should hear that this replica leads. Not for a leader that waits in vain for the
  // log: another one may reach it.
  bool MayBeat(absl::Duration now) const;
  // Of its own leadership, or the highest that it knows of.
  int64_t term() const { return term_; }
  const RecordTail& tail() const { return tail_; }
  // Since then the outcome of the append that is under way is not known.
  absl::optional<absl::Duration> unknown_since() const { return unknown_since_; }

 private:
  void Follow(absl::Duration now);
  void Depose();
  // From now on somebody may lead, for so long that a living one is heard of; for no longer than a
  // moment if the term's leader has left, and not at all if this is its heir.
  void Listen(absl::Duration now);
  void Listen(absl::Duration now, absl::Duration silence, absl::Duration spread);
  bool stopped() const { return role_ == Role::kDiverged || role_ == Role::kNeedsSnapshot; }

  const Timing timing_;
  const uint64_t writer_;
  std::minstd_rand random_;

  Role role_ = Role::kFollower;
  RecordTail tail_;
  int64_t term_ = 0;
  absl::Duration stand_at_;  // a follower that hears of no leader until then
  absl::Duration news_at_;   // when the log had a new record, or this replica began
  bool leaves_ = false;
  int64_t left_term_ = 0;      // whose leader has said that it ends
  Heir heir_ = Heir::kUnsaid;  // of that one

  // A candidate's.
  absl::optional<LogIndex> end_;
  LogIndex term_index_ = 0;  // of the term record that it appends; 0: none
  absl::Duration retry_at_;

  bool took_over_ = false;
  absl::Duration show_life_at_;
  // A leader's append.
  bool in_flight_ = false;
  absl::optional<absl::Duration> unknown_since_;
  // The same, or since then the log refuses what is appended.
  absl::optional<absl::Duration> in_trouble_since_;
};

absl::string_view NameOf(ReplicaState::Role role);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_REPLICA_STATE_H_
