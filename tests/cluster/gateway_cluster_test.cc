// Three real hookgated on PostgreSQL with a synchronous standby: one leads, and what it stores is
// on all of them. What breaks, and what must hold then, is in fault_rounds_test.cc.

#include "tests/cluster/gateway_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/cluster/outside_view.h"
#include "tests/cluster/postgres_cluster.h"
#include "tests/support/event_stream.h"
#include "tests/support/hookgated_process.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The sequence in a 200's body; 0: none.
int64_t SequenceIn(const std::string& body) {
  const std::string kBefore = "\"sequence\":\"";
  const size_t at = body.find(kBefore);
  int64_t sequence = 0;
  if (at == std::string::npos) return 0;
  const std::string rest = body.substr(at + kBefore.size());
  return absl::SimpleAtoi(rest.substr(0, rest.find('"')), &sequence) ? sequence : 0;
}

class GatewayClusterTest : public testing::Test {
 protected:
  void SetUp() override {
    postgres_ = PostgresCluster::Start();
    if (postgres_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    cluster_ = std::make_unique<GatewayCluster>(postgres_->Config());
  }

  // All that a subscriber at `replica` gets who has seen nothing yet.
  void ReadAll(int replica, OutsideView& view) {
    const std::string who = absl::StrCat("at ", replica);
    EventStream stream(cluster_->process(replica).grpc(),
                       "start_position: START_POSITION_EARLIEST");
    for (const v1::Event& event : stream.EventsUntilCaughtUp()) {
      EXPECT_EQ(event.durability(), v1::DURABILITY_QUORUM);
      view.Got(who, event.sequence(), event.webhook_id());
    }
    EXPECT_THAT(view.MissingFrom(who), IsEmpty()) << who;
  }

  // Once nobody sends: the same on all, and all of it.
  void CheckAll() {
    ASSERT_TRUE(cluster_->AwaitAllApplied());
    OutsideView view = view_;
    for (int i = 0; i < GatewayCluster::kReplicas; ++i) ReadAll(i, view);
    EXPECT_THAT(view.broken(), IsEmpty());
  }

  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<GatewayCluster> cluster_;
  OutsideView view_;
};

TEST_F(GatewayClusterTest, OneLeadsAndAllHoldWhatItStored) {
  cluster_->StartAll();
  const int leader = cluster_->AwaitLeader();
  ASSERT_NE(leader, -1);
  for (int i = 1; i <= 20; ++i) {
    const std::string id = absl::StrCat("wh_", i);
    const auto reply = cluster_->Post(leader, id);
    ASSERT_TRUE(reply.has_value());
    ASSERT_EQ(reply->status, 200) << reply->body;
    view_.Answered(id, SequenceIn(reply->body));
  }
  EXPECT_EQ(view_.newest(), 20);
  CheckAll();
  for (int i = 0; i < GatewayCluster::kReplicas; ++i) {
    if (i == leader) continue;
    const auto refused = cluster_->Post(i, "wh_new");
    ASSERT_TRUE(refused.has_value());
    EXPECT_EQ(refused->status, 503);
    EXPECT_EQ(refused->field("retry-after"), "2");
    EXPECT_THAT(refused->body, HasSubstr("no_leader"));
    EXPECT_FALSE(cluster_->Leads(i));
  }
}

}  // namespace
}  // namespace hookgate
