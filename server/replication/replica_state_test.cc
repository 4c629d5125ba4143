// What other replicas say, true or not, and what a replica makes of it. What the log says is in
// replica_schedules_test.
#include "server/replication/replica_state.h"

#include <gtest/gtest.h>

#include <limits>

#include "absl/time/time.h"

namespace hookgate {
namespace {

using Heir = ReplicaState::Heir;
using Role = ReplicaState::Role;
using Want = ReplicaState::Want;

constexpr ReplicaState::Timing kTiming;
constexpr uint64_t kWriter = 7;
constexpr uint64_t kOther = 8;
constexpr int64_t kAbsurd = std::numeric_limits<int64_t>::max();

RecordTail Tail(LogIndex index, int64_t term, uint64_t writer = kOther) {
  return {.index = index, .term = term, .writer = writer};
}

class ReplicaStateTest : public testing::Test {
 protected:
  ReplicaState Follower() { return ReplicaState(kTiming, kWriter, Tail(10, 3), 1, now_); }
  // Of term 4.
  ReplicaState Leader() {
    ReplicaState state = Follower();
    now_ += kTiming.silence + kTiming.spread;
    EXPECT_EQ(state.Next(now_).want, Want::kFindEnd);
    state.LogEndsAt(10, now_);
    const ReplicaState::Step step = state.Next(now_);
    EXPECT_EQ(step.want, Want::kBeginTerm);
    EXPECT_EQ(step.term, 4);
    state.TermAppended(CompareAppendOutcome::kAppended, now_);
    state.Applied(Tail(11, 4, kWriter), now_);
    state.TookOver();
    EXPECT_TRUE(state.serving());
    return state;
  }
  bool Stands(ReplicaState& state) { return state.Next(now_).want != Want::kFollow; }

  absl::Duration now_ = absl::Seconds(1000);
};

// A replica with a damaged memory told the others that it leads term 2^63 - 1: the leader gave way,
// and the next term was a negative one, which the log refuses for ever.
TEST_F(ReplicaStateTest, ALeaderThatReachesTheLogIsDeposedByTheLogAlone) {
  ReplicaState state = Leader();
  for (const int64_t term : {int64_t{5}, kAbsurd}) {
    state.HeardLeader(term, now_);
    state.HeardLeaving(term, Heir::kUnsaid, now_);
    EXPECT_TRUE(state.serving());
    EXPECT_EQ(state.term(), 4);
  }
}

TEST_F(ReplicaStateTest, ALeaderThatWaitsInVainForTheLogGivesWay) {
  ReplicaState state = Leader();
  ASSERT_TRUE(state.BeginAppend().has_value());
  EXPECT_TRUE(state.AppendEnded(CompareAppendOutcome::kUnknown, now_));
  now_ += kTiming.silence;
  state.HeardLeader(4, now_);
  EXPECT_EQ(state.role(), Role::kLeader) << "its own term";
  state.HeardLeader(5, now_);
  EXPECT_EQ(state.role(), Role::kDeposed);
}

TEST_F(ReplicaStateTest, ALeaderThatLeavesGivesWay) {
  ReplicaState state = Leader();
  state.Leave();
  state.HeardLeader(5, now_);
  EXPECT_EQ(state.role(), Role::kDeposed);
}

TEST_F(ReplicaStateTest, ATermThatSomebodyOnlySpeaksOfIsNotCountedOn) {
  ReplicaState state = Follower();
  state.HeardLeader(kAbsurd, now_);
  EXPECT_EQ(state.term(), 3);
  now_ += kTiming.silence + kTiming.spread;
  ASSERT_EQ(state.Next(now_).want, Want::kFindEnd);
  state.LogEndsAt(10, now_);
  EXPECT_EQ(state.Next(now_).term, 4);
  state.HeardLeader(kAbsurd, now_);
  EXPECT_EQ(state.Next(now_).want, Want::kBeginTerm) << "the log decides who wins it";
}

// Heartbeats without a record in the log keep nobody from leading for ever.
TEST_F(ReplicaStateTest, HeartbeatsAreBelievedForAWhileOnly) {
  ReplicaState state = Follower();
  const absl::Duration end = now_ + ReplicaState::kMostSilences * kTiming.silence;
  for (; now_ < end; now_ += kTiming.heartbeat) {
    state.HeardLeader(3, now_);
    EXPECT_FALSE(Stands(state));
  }
  for (int i = 0; i < 10; ++i, now_ += kTiming.heartbeat) state.HeardLeader(3, now_);
  EXPECT_TRUE(Stands(state));
}

// A follower that had heard that the leader leaves applied the last record of it, and waited for a
// silence nevertheless.
TEST_F(ReplicaStateTest, WhatALeaderHadUnderWayWhenItLeftIsNoSignOfLife) {
  ReplicaState state = Follower();
  state.HeardLeaving(3, Heir::kUnsaid, now_);
  state.Applied(Tail(11, 3), now_);
  state.HeardLeader(3, now_);  // sent before
  now_ += kTiming.retry;
  ASSERT_EQ(state.Next(now_).want, Want::kFindEnd);
  state.LogEndsAt(11, now_);
  ASSERT_EQ(state.Next(now_).want, Want::kBeginTerm);
  // One more was before it: it tries at the next place, without waiting for a silence.
  state.TermAppended(CompareAppendOutcome::kLost, now_);
  state.Applied(Tail(12, 3), now_);
  now_ += kTiming.retry;
  EXPECT_EQ(state.Next(now_).want, Want::kFindEnd);
}

TEST_F(ReplicaStateTest, OneThatIsBehindRemembersThatTheLeaderLeft) {
  ReplicaState state = Follower();
  state.HeardLeaving(5, Heir::kUnsaid, now_);
  now_ += kTiming.retry;
  EXPECT_FALSE(Stands(state)) << "term 3 is another one's";
  state.Applied(Tail(11, 5), now_);
  now_ += kTiming.retry;
  EXPECT_TRUE(Stands(state));
}

TEST_F(ReplicaStateTest, AfterAnotherTermHasBegunNobodyHasLeft) {
  ReplicaState state = Follower();
  state.HeardLeaving(3, Heir::kUnsaid, now_);
  state.Applied(Tail(11, 4), now_);
  now_ += kTiming.retry;
  EXPECT_FALSE(Stands(state));
  state.HeardLeaving(3, Heir::kUnsaid, now_);
  now_ += kTiming.retry;
  EXPECT_FALSE(Stands(state));
}

// The one that is to lead does not wait, and the other one leaves it the time: two that try at once
// hold each other up in the engine.
TEST_F(ReplicaStateTest, TheHeirOfALeaderThatLeavesLeadsWithoutWaiting) {
  ReplicaState heir = Follower();
  ReplicaState other = Follower();
  heir.HeardLeaving(3, Heir::kThis, now_);
  other.HeardLeaving(3, Heir::kOther, now_);
  EXPECT_EQ(heir.Next(now_).want, Want::kFindEnd);
  now_ += kTiming.heartbeat - absl::Milliseconds(1);
  EXPECT_FALSE(Stands(other));
  // It has under way what the leader had, and hears of the heir's term.
  other.Applied(Tail(11, 3), now_);
  EXPECT_FALSE(Stands(other));
  other.HeardLeader(4, now_);
  now_ += kTiming.heartbeat + kTiming.spread;
  EXPECT_FALSE(Stands(other));
}

TEST_F(ReplicaStateTest, AnHeirThatAppliesTheLastRecordsLeadsWithoutWaiting) {
  ReplicaState heir = Follower();
  heir.HeardLeaving(3, Heir::kThis, now_);
  heir.Applied(Tail(11, 3), now_);
  EXPECT_EQ(heir.Next(now_).want, Want::kFindEnd);
}

// It was waiting for up to 100 ms then.
TEST_F(ReplicaStateTest, AnHeirThatLosesToTheLastRecordOfTheLeaderTriesAgainAtOnce) {
  ReplicaState heir = Follower();
  heir.HeardLeaving(3, Heir::kThis, now_);
  for (LogIndex last = 10; last < 13; ++last) {
    ASSERT_EQ(heir.Next(now_).want, Want::kFindEnd);
    heir.LogEndsAt(last, now_);
    ASSERT_EQ(heir.Next(now_).want, Want::kBeginTerm);
    heir.TermAppended(CompareAppendOutcome::kLost, now_);
    heir.Applied(Tail(last + 1, 3), now_);
  }
}

// A replica that had tried to begin term 4, and caught up with another one's term 4, deposed that
// one.
TEST_F(ReplicaStateTest, OneThatHasLostATermDoesNotDeposeTheOneThatWonIt) {
  for (const Heir heir : {Heir::kThis, Heir::kUnsaid}) {
    ReplicaState state = Follower();
    state.HeardLeaving(3, heir, now_);
    now_ += kTiming.retry;
    ASSERT_EQ(state.Next(now_).want, Want::kFindEnd);
    state.LogEndsAt(10, now_);
    ASSERT_EQ(state.Next(now_).term, 4);
    state.TermAppended(CompareAppendOutcome::kLost, now_);
    now_ += kTiming.retry;
    ASSERT_EQ(state.Next(now_).want, Want::kFindEnd);
    state.LogEndsAt(11, now_);
    ASSERT_EQ(state.Next(now_).want, Want::kCatchUp);
    state.Applied(Tail(11, 4), now_);
    EXPECT_EQ(state.role(), Role::kFollower);
    now_ += kTiming.silence - absl::Milliseconds(1);
    EXPECT_FALSE(Stands(state));
  }
}

TEST_F(ReplicaStateTest, AnHeirThatIsGoneIsWaitedForBriefly) {
  ReplicaState other = Follower();
  other.HeardLeaving(3, Heir::kOther, now_);
  now_ += kTiming.heartbeat + kTiming.spread;
  EXPECT_TRUE(Stands(other));
}

// One whose disk takes nothing would try again and again without a pause.
TEST_F(ReplicaStateTest, AnHeirThatCannotLeadDoesNotTryAllTheTime) {
  ReplicaState heir = Follower();
  heir.HeardLeaving(3, Heir::kThis, now_);
  int tries = 0;
  for (const absl::Duration end = now_ + 20 * kTiming.retry; now_ < end;
       now_ += absl::Milliseconds(1)) {
    if (heir.Next(now_).want != Want::kFindEnd) continue;
    ++tries;
    heir.Failed(now_);
  }
  EXPECT_GE(tries, 10);
  EXPECT_LE(tries, 200);
}

}  // namespace
}  // namespace hookgate
