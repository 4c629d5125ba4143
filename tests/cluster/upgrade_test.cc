// A cluster is upgraded one replica after the other, and put back, while webhooks come and are
// read: nothing that was answered 200 is lost, no replica stops, and what the next version brings
// is refused until the last replica has it. The next version is the same sources with one schema
// step more (tests/support/next_schema.cc).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/cluster/cluster_load.h"
#include "tests/cluster/engine_process.h"
#include "tests/cluster/gateway_cluster.h"
#include "tests/cluster/nats_cluster.h"
#include "tests/cluster/postgres_cluster.h"
#include "tests/support/consume_call.h"
#include "tests/support/program.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kNext[] = "tests/cluster/hookgated_next";
constexpr uint64_t kSeed = 6;
constexpr int kReplicas = GatewayCluster::kReplicas;

// On the engine of that name.
class UpgradeTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::string how_to_reach = StartEngine();
    if (how_to_reach.empty()) GTEST_SKIP() << GetParam() << " is not installed";
    const std::string engine = absl::StrCat("append_timeout { seconds: 5 }\n  ", how_to_reach);
    cluster_ = std::make_unique<GatewayCluster>(
        GatewayCluster::Options{.engine = [engine](int) { return engine; }, .peers = true});
    cluster_->StartAll();
    ASSERT_NE(cluster_->AwaitLeader(), -1);
    load_ = std::make_unique<ClusterLoad>(*cluster_, kSeed);
    load_->StartSenders();
    ASSERT_TRUE(load_->AwaitAnswers(50));
  }

  // What a config says of it; "" if it is not installed.
  std::string StartEngine() {
    if (GetParam() == "postgresql") {
      postgres_ = PostgresCluster::Start();
      if (postgres_ == nullptr) return "";
      return postgres_->Config();
    }
    nats_ = NatsCluster::Start();
    return nats_ == nullptr ? "" : nats_->Config();
  }

  // SIGTERM, and the other program on the same folder; nobody stops meanwhile.
  void Replace(int replica, const std::string& program) {
    ASSERT_EQ(cluster_->Stop(replica), 0);
    cluster_->Start(replica, program);
    ASSERT_TRUE(cluster_->AwaitAllWell());
    ASSERT_TRUE(load_->AwaitAnswers(30));
  }

  // What a leader says: while there is none, it is asked again. What was asked for then may have
  // been done, and what is said of it be lost.
  grpc::Status Create(int replica, const std::string& name) const {
    grpc::Status status = TryToCreate(replica, name);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return status;
    EXPECT_TRUE(BecomesTrue([&] {
      status = TryToCreate(replica, name);
      return status.error_code() != grpc::StatusCode::UNAVAILABLE;
    })) << status.error_message();
    return status.error_code() == grpc::StatusCode::ALREADY_EXISTS ? grpc::Status::OK : status;
  }

  grpc::Status TryToCreate(int replica, const std::string& name) const {
    v1::CreateSubscriptionRequest request;
    request.set_name(name);
    request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
    v1::CreateSubscriptionResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return ConnectToSubscriptions(cluster_->grpc(replica))
        ->CreateSubscription(&context, request, &response);
  }

  // What `hookgate cluster status` says of all.
  std::string Status() const {
    std::vector<std::string> arguments = {"cluster", "status"};
    for (int i = 0; i < kReplicas; ++i) arguments.push_back(cluster_->grpc(i));
    return RunProgram(kHookgate, arguments).out;
  }

  // Every webhook that was answered 200 is there once, under one sequence, on every replica and for
  // every subscriber.
  void ExpectNothingLost(const std::string& what) {
    load_->StopSenders();
    ASSERT_TRUE(cluster_->AwaitAllWell());
    EXPECT_TRUE(cluster_->AwaitAllApplied());
    EXPECT_THAT(load_->Settle(), IsEmpty());
    for (int i = 0; i < kReplicas; ++i) EXPECT_THAT(load_->ReadAllAt(i), IsEmpty());
    EXPECT_THAT(load_->Broken(), IsEmpty());
    const ClusterLoad::Counts counts = load_->TakeCounts();
    std::cout << GetParam() << ", " << what << ": webhooks " << load_->webhooks()
              << ", answered 200 " << counts.answered << " (repeats " << counts.repeats << "), 503 "
              << counts.unavailable << ", no answer " << counts.no_answer
              << ", deliveries to consumers " << counts.deliveries << ", streams of subscribers "
              << counts.streams << ", longest without a 200 "
              << absl::ToInt64Milliseconds(counts.longest_gap) << " ms" << std::endl;
  }

  // One of them, or neither.
  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<NatsCluster> nats_;
  std::unique_ptr<GatewayCluster> cluster_;
  std::unique_ptr<ClusterLoad> load_;  // ends first
};

TEST_P(UpgradeTest, WhatIsNewIsRefusedUntilTheLastReplicaHasIt) {
  const int first_leader = cluster_->AwaitLeader();
  const int last = (first_leader + 1) % kReplicas;
  ASSERT_NO_FATAL_FAILURE(Replace((first_leader + 2) % kReplicas, kNext));
  ASSERT_NO_FATAL_FAILURE(Replace(first_leader, kNext));
  // One of the next version leads; the last one, if it was that, hands over.
  for (int i = 0; i < 5 && cluster_->AwaitLeader() == last; ++i) {
    ASSERT_NO_FATAL_FAILURE(Replace(last, kHookgated));
  }
  ASSERT_NE(cluster_->AwaitLeader(), last);
  const std::string older(1, static_cast<char>('a' + last));
  for (int i = 0; i < kReplicas; ++i) {
    for (const char* const name : {"next-thing-1", "next-column-1"}) {
      const grpc::Status refused = Create(i, name);
      EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION)
          << refused.error_message();
      EXPECT_THAT(refused.error_message(), HasSubstr(absl::StrCat("replica ", older, " reads")));
      EXPECT_THAT(refused.error_details(), HasSubstr("UPGRADE_UNFINISHED"));
    }
  }
  const grpc::Status usual = Create(0, "usual");
  EXPECT_TRUE(usual.ok()) << usual.error_message();
  const std::string status = Status();
  std::cout << status;
  EXPECT_THAT(status, HasSubstr(absl::StrCat("until these are upgraded: ", older, " (reads ")));
  ASSERT_TRUE(cluster_->AwaitAllWell());

  ASSERT_NO_FATAL_FAILURE(Replace(last, kNext));
  grpc::Status created;
  EXPECT_TRUE(BecomesTrue([&] {
    created = Create(last, "next-thing-1");
    return created.ok() || created.error_code() == grpc::StatusCode::ALREADY_EXISTS;
  })) << created.error_message();
  const grpc::Status column = Create(first_leader, "next-column-1");
  EXPECT_TRUE(column.ok()) << column.error_message();
  EXPECT_THAT(Status(), testing::Not(HasSubstr("schema")));
  // Whoever begins with what all have agreed on goes on with it.
  ASSERT_NO_FATAL_FAILURE(Replace(cluster_->AwaitLeader(), kNext));
  const grpc::Status another = Create(0, "next-thing-2");
  EXPECT_TRUE(another.ok()) << another.error_message();
  ExpectNothingLost("to the next version");
}

TEST_P(UpgradeTest, AfterTwoUpgradesTheyGoBack) {
  const int leader = cluster_->AwaitLeader();
  const int other = (leader + 1) % kReplicas;
  ASSERT_NO_FATAL_FAILURE(Replace(other, kNext));
  ASSERT_NO_FATAL_FAILURE(Replace(leader, kNext));
  ASSERT_NO_FATAL_FAILURE(Replace(other, kHookgated));
  ASSERT_NO_FATAL_FAILURE(Replace(leader, kHookgated));
  const grpc::Status usual = Create(0, "usual");
  EXPECT_TRUE(usual.ok()) << usual.error_message();
  ExpectNothingLost("two to the next version and back");
}

INSTANTIATE_TEST_SUITE_P(Engines, UpgradeTest, testing::Values("postgresql", "jetstream"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace hookgate
