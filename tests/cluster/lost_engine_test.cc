// An engine that has lost what it said it had stored, and does not know: an asynchronous standby
// that was behind is promoted, two of three servers come back with empty disks. The gateways have
// it all still. They answer nobody 200 from then on, say why, and go on to serve what they hold.
// And one that has lost only what nobody was answered 200 for: they go on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "tests/cluster/cluster_load.h"
#include "tests/cluster/engine_process.h"
#include "tests/cluster/gateway_cluster.h"
#include "tests/cluster/nats_cluster.h"
#include "tests/cluster/postgres_cluster.h"

namespace hookgate {
namespace {

using ::testing::IsEmpty;

constexpr uint64_t kSeed = 1;
// Much longer than a leader needs to be found.
constexpr absl::Duration kLongSilence = absl::Seconds(6);

class LostEngineTest : public testing::Test {
 protected:
  void StartGateways(const std::string& engine) {
    gateways_ = std::make_unique<GatewayCluster>(engine);
    gateways_->StartAll();
    ASSERT_NE(gateways_->AwaitLeader(), -1);
    load_ = std::make_unique<ClusterLoad>(*gateways_, kSeed);
  }

  // Webhooks that all replicas have.
  void Send(int count) {
    load_->StartSenders();
    ASSERT_TRUE(load_->AwaitAnswers(count));
    load_->StopSenders();
    ASSERT_TRUE(gateways_->AwaitAllApplied());
    ASSERT_THAT(load_->Settle(), IsEmpty());
  }

  void ExpectRefusal() {
    load_->StartSenders();
    EXPECT_TRUE(load_->StaysSilent(kLongSilence)) << "a webhook was answered 200";
    for (int i = 0; i < GatewayCluster::kReplicas; ++i) {
      EXPECT_TRUE(BecomesTrue([&] { return !gateways_->IsWell(i); }))
          << "replica " << i << " does not say that anything is wrong";
      EXPECT_THAT(load_->ReadAllAt(i), IsEmpty());
    }
    EXPECT_THAT(load_->Broken(), IsEmpty());
    EXPECT_FALSE(HasFailure()) << gateways_->process(0).log();
  }

  std::unique_ptr<GatewayCluster> gateways_;
  std::unique_ptr<ClusterLoad> load_;  // ends first
};

TEST_F(LostEngineTest, AStandbyThatWasBehindIsPromoted) {
  const auto postgres = PostgresCluster::Start({.standbys = 1, .synchronous = 0});
  if (postgres == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
  // What this is trusted for is what goes wrong.
  StartGateways(
      absl::StrCat("postgresql { uri: \"", postgres->UriOfAll(), "\" trust_storage: true }"));
  if (HasFatalFailure()) return;
  Send(30);
  const std::string position = "select pg_current_wal_flush_lsn()";
  const std::string arrived = "select pg_last_wal_replay_lsn() >= '";
  ASSERT_TRUE(BecomesTrue([&] {
    return postgres->Execute(1, absl::StrCat(arrived, postgres->Execute(0, position), "'")) == "t";
  }));
  postgres->Kill(1);
  Send(50);
  postgres->Kill(0);
  ASSERT_TRUE(postgres->StartAgain(1));
  ASSERT_TRUE(postgres->Promote(1));
  ExpectRefusal();
}

// What a standby lacks is no loss if nobody was told that it is stored: waits for it are cancelled,
// PostgreSQL calls these commits done, the primary is lost, and the standby takes its place.
TEST_F(LostEngineTest, AStandbyIsPromotedAfterWaitsForItWereCancelled) {
  const auto postgres = PostgresCluster::Start();
  if (postgres == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
  // The promoted one has no standby of its own here.
  StartGateways(
      absl::StrCat("postgresql { uri: \"", postgres->UriOfAll(), "\" trust_storage: true }"));
  if (HasFatalFailure()) return;
  Send(30);
  load_->StartSenders();
  ASSERT_TRUE(load_->AwaitAnswers(20));
  postgres->Kill(1);
  ASSERT_TRUE(BecomesTrue([&] { return load_->StaysSilent(absl::Seconds(1)); }));
  const int64_t answers = load_->answers();
  EXPECT_GE(postgres->CancelWaitsForStandbys(5), 5);
  EXPECT_EQ(load_->answers(), answers) << "what no standby has was answered 200";
  postgres->Kill(0);
  ASSERT_TRUE(postgres->StartAgain(1));
  ASSERT_TRUE(postgres->Promote(1));
  EXPECT_TRUE(load_->AwaitAnswers(30));
  load_->StopSenders();
  EXPECT_TRUE(gateways_->AwaitAllWell());
  EXPECT_TRUE(gateways_->AwaitAllApplied());
  EXPECT_THAT(load_->Settle(), IsEmpty());
  for (int i = 0; i < GatewayCluster::kReplicas; ++i) EXPECT_THAT(load_->ReadAllAt(i), IsEmpty());
  EXPECT_THAT(load_->Broken(), IsEmpty());
  EXPECT_FALSE(HasFailure()) << gateways_->process(0).log();
}

TEST_F(LostEngineTest, TwoOfThreeServersComeBackEmpty) {
  const auto nats = NatsCluster::Start();
  if (nats == nullptr) GTEST_SKIP() << "no nats-server is installed";
  StartGateways(nats->Config());
  if (HasFatalFailure()) return;
  Send(50);
  for (const int server : {0, 1, 2}) nats->Kill(server);
  for (const int server : {0, 1}) {
    nats->WipeDisk(server);
    ASSERT_TRUE(nats->StartAgain(server));
  }
  // They are a majority without the third.
  ExpectRefusal();
  // With it, either its copy or their empty ones win. Nothing may be stored where something was.
  ASSERT_TRUE(nats->StartAgain(2));
  load_->StaysSilent(kLongSilence);
  EXPECT_THAT(load_->Broken(), IsEmpty());
}

}  // namespace
}  // namespace hookgate
