// A load balancer may send anything anywhere: webhooks, consumers and administration reach the
// leader by way of whichever replica they came to, and mean the same there.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
#include "tests/cluster/engine_process.h"
#include "tests/cluster/gateway_cluster.h"
#include "tests/cluster/postgres_cluster.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLongEnough = absl::Seconds(60);

class ForwardingTest : public testing::Test {
 protected:
  void SetUp() override {
    postgres_ = PostgresCluster::Start();
    if (postgres_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    const std::string engine = postgres_->Config();
    cluster_ = std::make_unique<GatewayCluster>(GatewayCluster::Options{
        .engine =
            [engine](int replica) {
              return absl::StrCat("address: \"", ClientAddress(replica), "\"\n  ", engine);
            },
        .peers = true});
    cluster_->StartAll();
    leader_ = cluster_->AwaitLeader();
    ASSERT_NE(leader_, -1);
    follower_ = (leader_ + 1) % GatewayCluster::kReplicas;
    ASSERT_TRUE(AwaitReady(follower_));
  }

  // As clients are told; nobody connects there.
  static std::string ClientAddress(int replica) {
    return absl::StrCat("gate-", replica, ".example:50051");
  }
  // Once the leader has said where clients reach it, which its records do not.
  bool AwaitLeaderAddress(int replica) {
    const auto admin = v1::AdminService::NewStub(ChannelTo(replica));
    const absl::Time end = absl::Now() + kLongEnough;
    while (absl::Now() < end) {
      grpc::ClientContext context;
      SetPatience(context);
      v1::GetStatusResponse status;
      if (admin->GetStatus(&context, v1::GetStatusRequest(), &status).ok() &&
          status.cluster().leader_address() == ClientAddress(leader_)) {
        return true;
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
    return false;
  }
  // Since it has heard of the leader, it is ready as well.
  bool AwaitReady(int replica) {
    const absl::Time end = absl::Now() + kLongEnough;
    while (!cluster_->IsReady(replica) && absl::Now() < end) absl::SleepFor(absl::Milliseconds(20));
    return cluster_->IsReady(replica);
  }
  std::shared_ptr<grpc::Channel> ChannelTo(int replica) {
    return grpc::CreateChannel(cluster_->process(replica).grpc(),
                               grpc::InsecureChannelCredentials());
  }
  // A follower that has only just heard of its leader may not be connected to it yet: then it says
  // UNAVAILABLE, and is called again.
  static void CreateBilling(v1::SubscriptionService::Stub& subscriptions) {
    v1::CreateSubscriptionRequest request;
    request.set_name("billing");
    request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
    v1::CreateSubscriptionResponse response;
    grpc::Status status;
    ASSERT_TRUE(BecomesTrue([&] {
      grpc::ClientContext context;
      SetPatience(context);
      status = subscriptions.CreateSubscription(&context, request, &response);
      return status.error_code() != grpc::StatusCode::UNAVAILABLE;
    })) << status.error_message();
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.subscription().name(), "billing");
  }
  static void SetPatience(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  }

  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<GatewayCluster> cluster_;
  int leader_ = -1;
  int follower_ = -1;
};

TEST_F(ForwardingTest, AFollowerTakesWebhooksForTheLeader) {
  for (int i = 1; i <= 20; ++i) {
    const int replica = i % GatewayCluster::kReplicas;
    ASSERT_TRUE(AwaitReady(replica));
    const auto reply = cluster_->Post(replica, absl::StrCat("wh_", i));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, 200) << reply->body;
    EXPECT_THAT(reply->body, HasSubstr(absl::StrCat("\"sequence\":\"", i, "\"")));
  }
  // A repeat is one wherever it comes.
  const auto repeat = cluster_->Post(follower_, "wh_1");
  ASSERT_TRUE(repeat.has_value());
  EXPECT_EQ(repeat->status, 200);
  EXPECT_THAT(repeat->body, HasSubstr("duplicate"));
  EXPECT_FALSE(cluster_->Leads(follower_));
}

TEST_F(ForwardingTest, AFollowerHandsOnSubscriptionsAndTheirStreams) {
  const auto subscriptions = v1::SubscriptionService::NewStub(ChannelTo(follower_));
  ASSERT_NO_FATAL_FAILURE(CreateBilling(*subscriptions));
  {
    grpc::ClientContext context;
    SetPatience(context);
    v1::GetSubscriptionRequest request;
    request.set_name("bilking");
    v1::GetSubscriptionResponse response;
    const grpc::Status status = subscriptions->GetSubscription(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_THAT(status.error_details(), HasSubstr("SUBSCRIPTION_NOT_FOUND"))
        << "details come along";
  }
  ASSERT_TRUE(AwaitLeaderAddress(follower_));
  grpc::ClientContext context;
  SetPatience(context);
  const auto stream = subscriptions->Consume(&context);
  v1::ConsumeRequest open;
  open.mutable_open()->set_subscription("billing");
  open.mutable_open()->set_consumer_name("worker");
  ASSERT_TRUE(stream->Write(open));
  v1::ConsumeResponse frame;
  ASSERT_TRUE(stream->Read(&frame));
  EXPECT_EQ(frame.opened().subscription(), "billing");
  EXPECT_EQ(frame.opened().leader_address(), ClientAddress(leader_));
  ASSERT_TRUE(cluster_->Post(follower_, "wh_consumed").has_value());
  std::string delivery_id;
  while (delivery_id.empty() && stream->Read(&frame)) {
    for (const v1::Delivery& delivery : frame.deliveries().deliveries()) {
      EXPECT_EQ(delivery.event().webhook_id(), "wh_consumed");
      delivery_id = delivery.delivery_id();
    }
  }
  ASSERT_FALSE(delivery_id.empty());
  v1::ConsumeRequest ack;
  ack.mutable_ack()->add_delivery_ids(delivery_id);
  ASSERT_TRUE(stream->Write(ack));
  bool acked = false;
  while (!acked && stream->Read(&frame)) {
    for (const v1::AckResult& result : frame.ack_results().results()) {
      EXPECT_EQ(result.result(), v1::AckResult::RESULT_OK);
      acked = true;
    }
  }
  EXPECT_TRUE(acked);
  ASSERT_TRUE(stream->WritesDone());
  while (stream->Read(&frame)) {
  }
  const grpc::Status end = stream->Finish();
  EXPECT_TRUE(end.ok()) << end.error_message();

  // What it was is told wherever it is asked.
  const auto events = v1::EventService::NewStub(ChannelTo(follower_));
  grpc::ClientContext explain_context;
  SetPatience(explain_context);
  v1::ExplainEventRequest explain;
  explain.set_sequence(1);
  v1::ExplainEventResponse explained;
  const grpc::Status status = events->ExplainEvent(&explain_context, explain, &explained);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(explained.deliveries_size(), 1);
  EXPECT_EQ(explained.deliveries(0).delivery().state(), v1::DELIVERY_STATE_ACKED);
}

// A stream that was handed on to a leader that is gone ends, so that its client connects again:
// also if the leader is paused, whose connections stay open.
class GoneLeaderTest : public ForwardingTest, public testing::WithParamInterface<bool> {};

INSTANTIATE_TEST_SUITE_P(All, GoneLeaderTest, testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "Paused" : "Killed");
});

TEST_P(GoneLeaderTest, AStreamEndsWithTheLeaderThatItWasHandedOnTo) {
  const auto subscriptions = v1::SubscriptionService::NewStub(ChannelTo(follower_));
  ASSERT_NO_FATAL_FAILURE(CreateBilling(*subscriptions));
  grpc::ClientContext context;
  SetPatience(context);
  const auto stream = subscriptions->Consume(&context);
  v1::ConsumeRequest open;
  open.mutable_open()->set_subscription("billing");
  open.mutable_open()->set_consumer_name("worker");
  ASSERT_TRUE(stream->Write(open));
  v1::ConsumeResponse frame;
  ASSERT_TRUE(stream->Read(&frame));
  if (GetParam()) {
    cluster_->Pause(leader_);
  } else {
    cluster_->Kill(leader_);
  }
  while (stream->Read(&frame)) {
  }
  const grpc::Status end = stream->Finish();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAVAILABLE) << end.error_message();
  EXPECT_THAT(end.error_details(), HasSubstr("NO_LEADER"));
  leader_ = cluster_->AwaitLeader(leader_);
  ASSERT_NE(leader_, -1);
  // Until it hears of the new one, it hands webhooks to the old one, and answers 503.
  ASSERT_TRUE(AwaitLeaderAddress(follower_));
  ASSERT_TRUE(AwaitReady(follower_));
  const auto reply = cluster_->Post(follower_, "wh_after");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200) << reply->body;
}

TEST_F(ForwardingTest, StatusNamesTheLeaderAndThePeers) {
  const auto admin = v1::AdminService::NewStub(ChannelTo(follower_));
  grpc::ClientContext context;
  SetPatience(context);
  v1::GetStatusResponse status;
  ASSERT_TRUE(admin->GetStatus(&context, v1::GetStatusRequest(), &status).ok());
  EXPECT_EQ(status.cluster().role(), v1::GetStatusResponse::Cluster::ROLE_FOLLOWER);
  EXPECT_EQ(status.cluster().leader(), std::string(1, static_cast<char>('a' + leader_)));
  EXPECT_EQ(status.cluster().peers_size(), 2);
}

}  // namespace
}  // namespace hookgate
