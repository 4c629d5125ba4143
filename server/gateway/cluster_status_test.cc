#include "server/gateway/cluster_status.h"

#include <gtest/gtest.h>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace hookgate {
namespace {

using Role = ReplicaState::Role;

ReplicaStatus Follower() {
  ReplicaStatus status;
  status.leader = "a";
  status.hands_on = true;
  status.follows = true;
  return status;
}

bool IsReady(const ReplicaStatus& status) {
  const ReplicaReadiness readiness = ReadinessOf(status);
  return !readiness.no_leader && !readiness.behind;
}

TEST(ClusterStatusTest, WhoLeadsOrFollowsCloselyIsReady) {
  EXPECT_TRUE(IsReady(Follower()));
  ReplicaStatus leader;
  leader.role = Role::kLeader;
  leader.serving = true;
  EXPECT_TRUE(IsReady(leader));
  ReplicaStatus close = Follower();
  close.lag = absl::Milliseconds(900);
  EXPECT_TRUE(IsReady(close));
  close.lag = absl::Milliseconds(1100);
  EXPECT_FALSE(IsReady(close));
}

// It heard of a leader, and of no record that it lacked: so it was ready, and showed what was days
// old.
TEST(ClusterStatusTest, WhoAppliesNothingMoreIsNeverReady) {
  for (const Role role : {Role::kDiverged, Role::kNeedsSnapshot}) {
    ReplicaStatus status = Follower();
    status.role = role;
    EXPECT_TRUE(ReadinessOf(status).behind);
  }
}

TEST(ClusterStatusTest, WithoutALeaderNobodyIsReady) {
  ReplicaStatus status = Follower();
  status.leader.clear();
  EXPECT_TRUE(ReadinessOf(status).no_leader);
  status.awaits_leader = true;
  EXPECT_FALSE(ReadinessOf(status).no_leader);
  ReplicaStatus alone = Follower();
  alone.hands_on = false;
  EXPECT_TRUE(ReadinessOf(alone).no_leader);
}

// Cursors of other replicas were refused for good, as of another history, by one that was only
// behind: one that was starting, was cut off, or had not come to the newest term.
TEST(ClusterStatusTest, OnlyWhoFollowsCloselyKnowsThatACursorIsOfAnotherHistory) {
  EXPECT_TRUE(HasWhatWasGivenOut(Follower()));
  ReplicaStatus leader;
  leader.role = Role::kLeader;
  leader.serving = true;
  EXPECT_TRUE(HasWhatWasGivenOut(leader));
  EXPECT_FALSE(HasWhatWasGivenOut(ReplicaStatus()));
  ReplicaStatus status = Follower();
  status.follows = false;
  EXPECT_FALSE(HasWhatWasGivenOut(status));
  status = Follower();
  status.lag = absl::Seconds(2);
  EXPECT_FALSE(HasWhatWasGivenOut(status));
}

}  // namespace
}  // namespace hookgate
