#include "client/cli/commands/cluster_status_command.h"

#include <vector>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"

namespace hookgate::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Cluster = v1::GetStatusResponse::Cluster;

// One gateway answers for all of them, in the order in which they are asked.
class ClusterStatusTest : public CliTest {
 protected:
  ClusterStatusTest() {
    gateway_.admin.get_status = [this](const auto&, v1::GetStatusResponse* response) {
      if (asked_of_ == statuses_.size()) {
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "connection refused");
      }
      *response = statuses_[asked_of_++];
      return grpc::Status::OK;
    };
  }

  Cluster& Add(const std::string& replica, Cluster::Role role, int64_t applied) {
    v1::GetStatusResponse& status = statuses_.emplace_back();
    status.set_ready(role == Cluster::ROLE_LEADER);
    if (!status.ready()) status.add_not_ready_reasons("does not lead");
    status.set_epoch("e1");
    Cluster& cluster = *status.mutable_cluster();
    cluster.set_name("hooks");
    cluster.set_replica(replica);
    cluster.set_role(role);
    cluster.set_term(3);
    cluster.set_applied_index(applied);
    cluster.set_known_index(120);
    cluster.set_leader("a");
    cluster.set_engine("postgresql");
    cluster.set_engine_server("PostgreSQL 15 at db1");
    return cluster;
  }

  std::vector<v1::GetStatusResponse> statuses_;
  size_t asked_of_ = 0;
};

TEST_F(ClusterStatusTest, ShowsReplicasBesideEachOther) {
  statuses_.reserve(3);
  Add("a", Cluster::ROLE_LEADER, 120);
  Cluster& b = Add("b", Cluster::ROLE_FOLLOWER, 118);
  b.mutable_lag()->set_nanos(250'000'000);
  b.set_engine_server("");
  const Outcome outcome = Run({"cluster", "status", "a:1", "b:2"});
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(
      outcome.out,
      "cluster hooks, epoch e1\n"
      "\n"
      "REPLICA  ROLE      TERM  APPLIED  KNOWN     LAG  READY  LEADER  ENGINE                "
      "ADDRESS\n"
      "a        leader       3      120    120       -  yes    a       PostgreSQL 15 at db1  a:1\n"
      "b        follower     3      118    120  250 ms  no     a       postgresql            b:2\n"
      "\n"
      "b is not ready: does not lead\n");
  asked_of_ = 0;
  const Outcome json = Run({"cluster", "status", "a:1", "b:2", "--output=json"});
  EXPECT_EQ(json.exit_code, kSuccess);
  EXPECT_THAT(
      json.out,
      AllOf(HasSubstr(R"({"target":"a:1","ready":true,"epoch":"e1","cluster":{"name":"hooks")"),
            HasSubstr("}}\n{\"target\":\"b:2\",\"ready\":false,")));
}

// During an upgrade nothing is wrong: it says who is still to be upgraded.
TEST_F(ClusterStatusTest, SaysWhoHoldsBackANewerSchema) {
  statuses_.reserve(3);
  Cluster& a = Add("a", Cluster::ROLE_LEADER, 120);
  a.set_schema(6);
  a.set_agreed_schema(5);
  for (const auto& [name, schema] : {std::pair("b", 5), std::pair("c", 0)}) {
    Cluster::Peer& peer = *a.add_peers();
    peer.set_name(name);
    peer.set_schema(schema);
  }
  Outcome outcome = Run({"cluster", "status", "a:1"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_THAT(outcome.out,
              HasSubstr("\n\nthe cluster has agreed on schema 5; what needs schema 6 is refused "
                        "until these are upgraded: b (reads 5), c (not heard of)\n"));
  // What b says itself is newer.
  Cluster& b = Add("b", Cluster::ROLE_FOLLOWER, 120);
  b.set_schema(6);
  b.set_agreed_schema(5);
  statuses_[0].mutable_cluster()->mutable_peers()->RemoveLast();
  asked_of_ = 0;
  outcome = Run({"cluster", "status", "a:1", "b:2"});
  EXPECT_THAT(outcome.out, HasSubstr("until the leader has heard that all replicas read it\n"));
  statuses_[0].mutable_cluster()->set_agreed_schema(6);
  asked_of_ = 0;
  EXPECT_THAT(Run({"cluster", "status", "a:1", "b:2"}).out, Not(HasSubstr("schema")));
}

TEST_F(ClusterStatusTest, SaysWhatIsWrong) {
  statuses_.reserve(3);
  Add("a", Cluster::ROLE_CANDIDATE, 120).clear_leader();
  Cluster& b = Add("b", Cluster::ROLE_STOPPED, 90);
  b.clear_leader();
  b.set_problem("the record was \x1b[2Jtrimmed");
  b.add_trusted("trust_storage");
  const Outcome outcome = Run({"cluster", "status", "a:1", "b:2", "c:3"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("STOPPED"), HasSubstr("! b has stopped"),
                    HasSubstr("trimmed. What to do stands in docs/cluster.md"),
                    HasSubstr("! cannot get the status at c:3: "),
                    HasSubstr("! none of these leads: unless"),
                    HasSubstr("a is not ready: does not lead\n"),
                    HasSubstr("taken on trust: trust_storage"), Not(HasSubstr("\x1b"))));
}

// One that was left out is the first thing to ask.
TEST_F(ClusterStatusTest, NamesALeaderThatWasNotAsked) {
  Add("b", Cluster::ROLE_FOLLOWER, 120);
  const Outcome outcome = Run({"cluster", "status", "b:2"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out, HasSubstr("! none of these leads; as far as they know, a does: ask"));
}

TEST_F(ClusterStatusTest, ReplicasHaveToBelongTogether) {
  statuses_.reserve(3);
  Add("a", Cluster::ROLE_LEADER, 120);
  Add("a", Cluster::ROLE_LEADER, 120);
  EXPECT_THAT(
      Run({"cluster", "status", "a:1", "b:2"}).out,
      AllOf(HasSubstr("two of these call themselves a"), HasSubstr("a and a say that they lead")));
  statuses_[1].set_epoch("e2");
  asked_of_ = 0;
  EXPECT_THAT(Run({"cluster", "status", "a:1", "b:2"}).out,
              HasSubstr("not of one cluster, but of hooks (epoch e1), hooks (epoch e2)"));
}

TEST_F(ClusterStatusTest, OneThatIsAloneIsNotAReplica) {
  statuses_.emplace_back().set_ready(true);
  const Outcome outcome = Run({"cluster", "status"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out, HasSubstr("is not a replica of a cluster"));
  asked_of_ = 0;
  EXPECT_THAT(Run({"cluster", "status", "--output=json"}).out,
              HasSubstr(R"(,"error":"is not a replica of a cluster"})"));
}

TEST_F(ClusterStatusTest, NobodyAnswersOrTheAddressIsWrong) {
  EXPECT_EQ(Run({"cluster", "status", "a:1", "b:2"}).exit_code, kUnreachable);
  const Outcome wrong = Run({"cluster", "status", "a:1", "nowhere"});
  EXPECT_EQ(wrong.exit_code, kWrongUsage);
  EXPECT_THAT(wrong.err, HasSubstr("\"nowhere\" is not right"));
}

}  // namespace
}  // namespace hookgate::cli
