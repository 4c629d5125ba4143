#include "server/replication/replica_state.h"

#include <algorithm>

namespace hookgate {

ReplicaState::ReplicaState(const Timing& timing, uint64_t writer, const RecordTail& tail,
                           uint64_t seed, absl::Duration now)
    : timing_(timing),
      writer_(writer),
      random_(static_cast<std::minstd_rand::result_type>(seed)),
      tail_(tail),
      term_(tail.term),
      news_at_(now) {
  Listen(now);
}

void ReplicaState::Listen(absl::Duration now, absl::Duration silence, absl::Duration spread) {
  stand_at_ = now + silence + spread * std::uniform_real_distribution<double>(0, 1)(random_);
}

// After its leader has left, a record of its term is the last of what it had under way, and no sign
// that it lives.
void ReplicaState::Listen(absl::Duration now) {
  if (!HasLeft(tail_.term)) return Listen(now, timing_.silence, timing_.spread);
  switch (heir_) {
    case Heir::kThis:
      return Listen(now, absl::ZeroDuration(), absl::ZeroDuration());
    case Heir::kUnsaid:
      return Listen(now, absl::ZeroDuration(), timing_.retry);
    case Heir::kOther:
      return Listen(now, timing_.heartbeat, timing_.spread);
  }
}

void ReplicaState::Follow(absl::Duration now) {
  role_ = Role::kFollower;
  end_.reset();
  term_index_ = 0;
  took_over_ = false;
  in_trouble_since_.reset();
  // An heir that could not lead at once tries again like the others, so that it does not only try.
  if (heir_ == Heir::kThis) heir_ = Heir::kUnsaid;
  Listen(now);
}

void ReplicaState::Depose() {
  role_ = Role::kDeposed;
  took_over_ = false;
}

ReplicaState::Step ReplicaState::Next(absl::Duration now) {
  if (role_ == Role::kFollower) {
    if (now < stand_at_) return {.want = Want::kFollow, .until = stand_at_};
    role_ = Role::kCandidate;
    retry_at_ = now;
  }
  switch (role_) {
    case Role::kCandidate:
      if (now < retry_at_) return {.want = Want::kWait, .until = retry_at_};
      if (term_index_ != 0) {
        return {.want = Want::kBeginTerm, .index = term_index_, .term = term_};
      }
      if (!end_.has_value()) return {.want = Want::kFindEnd};
      if (tail_.index < *end_) return {.want = Want::kCatchUp, .index = *end_};
      term_index_ = tail_.index + 1;
      term_ = std::max(term_, tail_.term) + 1;
      return {.want = Want::kBeginTerm, .index = term_index_, .term = term_};
    case Role::kElected:
      return {.want = Want::kCatchUp, .index = term_index_};
    case Role::kLeader:
      if (!took_over_) return {.want = Want::kTakeOver, .term = term_};
      if (!in_flight_ && now >= show_life_at_) return {.want = Want::kShowLife};
      return {.want = Want::kWait, .until = std::max(show_life_at_, now + timing_.retry)};
    case Role::kDeposed:
      if (in_flight_) return {.want = Want::kWait, .until = now + timing_.retry};
      return {.want = Want::kStepDown};
    default:
      return {.want = Want::kStop};
  }
}

void ReplicaState::Applied(const RecordTail& tail, absl::Duration now) {
  const bool has_news = tail.index > tail_.index;
  const bool term_begins = tail.term > tail_.term;
  tail_ = tail;
  if (has_news) news_at_ = now;
  if (tail_.term > term_) {
    term_ = tail_.term;
    // It is not this replica's, which would know of it.
    if (role_ == Role::kElected) Follow(now);
  }
  // Somebody else's as well, also if this replica has tried to begin a term of that number: it
  // would depose one that has just begun to lead.
  if (role_ == Role::kCandidate && term_begins) Follow(now);
  if (role_ == Role::kElected && tail_.index >= term_index_) {
    // What it had appended is there, so this can only be its own term.
    if (tail_.term == term_ && tail_.writer == writer_) {
      role_ = Role::kLeader;
    } else {
      Follow(now);
    }
  }
  // Somebody has appended it: as good as a heartbeat.
  if (role_ == Role::kFollower && has_news) Listen(now);
}

void ReplicaState::LogEndsAt(LogIndex last, absl::Duration now) {
  if (role_ != Role::kCandidate) return;
  // The log, or the part of it that answers, lacks what this replica has: no time to lead.
  if (last < tail_.index) return Follow(now);
  end_ = last;
}

void ReplicaState::TermAppended(CompareAppendOutcome outcome, absl::Duration now) {
  if (role_ != Role::kCandidate || term_index_ == 0) return;
  switch (outcome) {
    case CompareAppendOutcome::kAppended:
      role_ = Role::kElected;
      return;
    case CompareAppendOutcome::kUnknown:
      retry_at_ = now + timing_.retry;
      return;
    case CompareAppendOutcome::kLost: {
      // To the last of what the leader that left had under way, or to the next leader. An heir
      // looks at once which.
      const Heir heir = heir_;
      Follow(now);
      if (heir == Heir::kThis) {
        heir_ = heir;
        Listen(now);
      }
      return;
    }
    case CompareAppendOutcome::kRefused:
      return Follow(now);
  }
}

void ReplicaState::TookOver() {
  if (role_ == Role::kLeader) took_over_ = true;
}

// Whether it was appended or not: the next attempt is not made at once.
void ReplicaState::ShownLife(absl::Duration now) {
  show_life_at_ = std::max(show_life_at_, now + timing_.idle);
}

void ReplicaState::SteppedDown(absl::Duration now) {
  if (role_ == Role::kDeposed && !in_flight_) Follow(now);
}

void ReplicaState::Failed(absl::Duration now) {
  switch (role_) {
    case Role::kCandidate:
      // Of a term record whose outcome is not known, only TermAppended tells.
      if (term_index_ == 0) Follow(now);
      return;
    case Role::kElected:
      return Follow(now);
    case Role::kLeader:
      return Depose();
    default:
      return;
  }
}

void ReplicaState::Diverged() { role_ = Role::kDiverged; }

void ReplicaState::NeedsSnapshot() { role_ = Role::kNeedsSnapshot; }

void ReplicaState::HeardLeader(int64_t term, absl::Duration now) {
  if (stopped() || term < term_) return;
  const bool log_is_silent = now - news_at_ >= kMostSilences * timing_.silence;
  const bool is_alive = !log_is_silent && term != left_term_;
  switch (role_) {
    case Role::kFollower:
      // Also if what this replica has applied ends with the term of one that has left.
      if (is_alive) Listen(now, timing_.silence, timing_.spread);
      return;
    case Role::kCandidate:
      // Of a term that it has named, the log tells who leads it.
      if (!is_alive || term_index_ != 0) return;
      Follow(now);
      return Listen(now, timing_.silence, timing_.spread);
    case Role::kLeader:
      // One that reaches the log hears of it there, with its next append.
      if (term > term_ && (leaves_ || !MayBeat(now))) Depose();
      return;
    default:
      return;
  }
}

void ReplicaState::HeardLeaving(int64_t term, Heir heir, absl::Duration now) {
  if (term == 0 || term == left_term_ || term < tail_.term) return;
  left_term_ = term;
  heir_ = heir;
  if (role_ == Role::kFollower && term == tail_.term) Listen(now);
}

absl::optional<LogIndex> ReplicaState::BeginAppend() {
  if (role_ != Role::kLeader || in_flight_) return absl::nullopt;
  in_flight_ = true;

  unknown_since_.reset();
  return tail_.index + 1;
}

bool ReplicaState::AppendEnded(CompareAppendOutcome outcome, absl::Duration now) {
  switch (outcome) {
    case CompareAppendOutcome::kAppended:
      unknown_since_.reset();
      in_trouble_since_.reset();
      show_life_at_ = now + timing_.idle;
      return false;
    case CompareAppendOutcome::kLost:
      in_flight_ = false;
      unknown_since_.reset();
      if (role_ == Role::kLeader) Depose();
      return false;
    case CompareAppendOutcome::kRefused:
      if (!in_trouble_since_.has_value()) in_trouble_since_ = now;
      // Of an earlier attempt it is still not known.
      if (unknown_since_.has_value()) break;
      in_flight_ = false;
      return false;
    case CompareAppendOutcome::kUnknown:
      if (!in_trouble_since_.has_value()) in_trouble_since_ = now;
      if (!unknown_since_.has_value()) unknown_since_ = now;
      break;
  }
  // One that is deposed finds out as a follower, by reading.
  if (role_ == Role::kLeader) return true;
  AppendGivenUp();
  return false;
}

void ReplicaState::Committed(const RecordTail& tail) {
  in_flight_ = false;
  tail_ = tail;
}

void ReplicaState::NotCommitted() {
  in_flight_ = false;
  if (role_ == Role::kLeader) Depose();
}

void ReplicaState::AppendGivenUp() {
  in_flight_ = false;
  unknown_since_.reset();
  if (role_ == Role::kLeader) Depose();
}

bool ReplicaState::MayBeat(absl::Duration now) const {
  if (role_ != Role::kLeader && role_ != Role::kElected) return false;
  return !in_trouble_since_.has_value() || now - *in_trouble_since_ < timing_.silence;
}

absl::string_view NameOf(ReplicaState::Role role) {
  switch (role) {
    case ReplicaState::Role::kFollower:
      return "follower";
    case ReplicaState::Role::kCandidate:
      return "candidate";
    case ReplicaState::Role::kElected:
      return "elected";
    case ReplicaState::Role::kLeader:
      return "leader";
    case ReplicaState::Role::kDeposed:
      return "deposed";
    case ReplicaState::Role::kDiverged:
      return "diverged";
    case ReplicaState::Role::kNeedsSnapshot:
      return "needs_snapshot";
  }
  return "unknown";
}

}  // namespace hookgate
