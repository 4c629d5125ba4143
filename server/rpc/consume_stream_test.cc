// Consumers and pulls by the calls that a server makes; what frames hold is tested in
// consume_session_test, and both over a real connection in tests/integration/consume_test.

#include "server/rpc/consume_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/base/status.h"
#include "server/delivery/tail.h"
#include "server/rpc/pull_call.h"
#include "tests/support/await_outcome.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_call.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using hookgate::v1::ConsumeRequest;
using hookgate::v1::ConsumeResponse;

template <typename Request>
std::string Bytes(const std::string& text) {
  Request request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  return request.SerializeAsString();
}

class ConsumeStreamTest : public testing::Test {
 protected:
  ConsumeStreamTest() {
    tail_.StartAfter(0);
    auto registry =
        SubscriptionRegistry::Open({*log_, *log_, tail_, watch_, executor_, reads_, clock_});
    EXPECT_TRUE(registry.ok()) << registry.status();
    subscriptions_ = *std::move(registry);
    const auto settings = SubscriptionSettings::FromProto({}, "settings");
    subscription_ = *AwaitOutcome<absl::StatusOr<std::shared_ptr<Subscription>>>(
        [&](auto done) { subscriptions_->Create("mail", *settings, 0, std::move(done)); });
  }

  Caller Anybody() { return Caller(CallInfo{.certificate_names = {}}, gate_); }
  ConsumeContext Context() {
    return {*subscriptions_, watch_, executor_, registry_, clock_, gate_};
  }

  // One Consume call, whose client is the test.
  struct Consumer {
    std::shared_ptr<FakeCall> call = std::make_shared<FakeCall>();
    std::shared_ptr<ConsumeStream> stream;

    void Send(const std::string& frame) {
      ASSERT_TRUE(call->TakeRead());
      stream->OnMessage(Bytes<ConsumeRequest>(frame));
    }
    ConsumeResponse Next() {
      ConsumeResponse response;
      const Message message = call->Next(*stream);
      EXPECT_TRUE(message == nullptr || response.ParseFromString(*message));
      return response;
    }
  };
  Consumer Open(const std::string& open = "subscription: 'mail' consumer_name: 'a'") {
    Consumer consumer;
    consumer.stream = std::make_shared<ConsumeStream>(consumer.call, Anybody(), Context());
    EXPECT_TRUE(registry_.Add(consumer.stream).ok());
    consumer.stream->Start();
    consumer.Send("open { " + open + " }");
    return consumer;
  }
  // Until as many events are leased, whoever has them.
  void AwaitInFlight(int64_t count) {
    ASSERT_TRUE(Eventually("as many are leased",
                           [&] { return subscription_->GetStatus().in_flight == count; }));
  }

  FakeClock clock_;
  AccessControl access_;
  CallGate gate_{access_, clock_, nullptr};
  HeadWatch watch_{clock_};
  Tail tail_{{}, watch_};
  const std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog(&tail_);
  ReadQueue reads_{1, 1};
  Executor executor_{1};
  StreamRegistry registry_{10};
  std::unique_ptr<SubscriptionRegistry> subscriptions_;
  std::shared_ptr<Subscription> subscription_;
};

TEST_F(ConsumeStreamTest, DeliversAcksAndEndsWhenTheClientCloses) {
  AppendEvent(*log_);
  Consumer consumer = Open();
  EXPECT_EQ(consumer.Next().opened().subscription(), "mail");
  const ConsumeResponse deliveries = consumer.Next();
  ASSERT_EQ(deliveries.deliveries().deliveries_size(), 1);
  consumer.Send("ack { delivery_ids: '" + deliveries.deliveries().deliveries(0).delivery_id() +
                "' }");
  consumer.stream->OnHalfClose();
  const ConsumeResponse results = consumer.Next();
  ASSERT_EQ(results.ack_results().results_size(), 1);
  EXPECT_EQ(results.ack_results().results(0).result(), v1::AckResult::RESULT_OK);
  EXPECT_EQ(consumer.call->Next(*consumer.stream), nullptr);
  EXPECT_TRUE(consumer.call->AwaitStatus().ok());
  consumer.stream->OnEnd(CallEnd::kFinished);
  EXPECT_EQ(registry_.size(), 0u);
}

TEST_F(ConsumeStreamTest, SaysWhoItIsAndWhatItWasSent) {
  using hookgate::v1::StreamInfo;
  AppendEvent(*log_);
  Consumer consumer;
  consumer.stream = std::make_shared<ConsumeStream>(consumer.call, Anybody(), Context());
  ASSERT_TRUE(registry_.Add(consumer.stream).ok());
  consumer.stream->Start();
  StreamInfo info;
  EXPECT_TRUE(consumer.stream->Describe(info));
  EXPECT_EQ(info.method(), StreamInfo::METHOD_CONSUME);
  EXPECT_EQ(info.state(), StreamInfo::STATE_OPENING);
  EXPECT_EQ(info.subscription(), "");
  consumer.Send(
      "open { subscription: 'mail' consumer_name: 'a' heartbeat_interval { seconds: 3 } }");
  EXPECT_TRUE(consumer.Next().has_opened());
  EXPECT_EQ(consumer.Next().deliveries().deliveries_size(), 1);
  info.Clear();
  EXPECT_TRUE(consumer.stream->Describe(info));
  EXPECT_EQ(info.state(), StreamInfo::STATE_LIVE);
  EXPECT_EQ(registry_.CountBehind(1 + kMaxLiveLag).consume, 0);
  EXPECT_EQ(registry_.CountBehind(1 + kMaxLiveLag + 1).consume, 1);
  EXPECT_EQ(info.subscription(), "mail");
  EXPECT_EQ(info.consumer_name(), "a");
  EXPECT_EQ(info.lag_events(), 1);
  EXPECT_EQ(info.sent_events(), 1);
  EXPECT_GT(info.sent_bytes(), 0);
  EXPECT_EQ(info.heartbeat_interval().seconds(), 3);
  EXPECT_TRUE(info.has_filter());
  EXPECT_TRUE(info.has_open_time());
  consumer.stream->OnEnd(CallEnd::kFinished);
}

// What is leased to a client that does not read would otherwise wait for the end of its connection.
TEST_F(ConsumeStreamTest, DrainGivesBackWhatAClientDoesNotRead) {
  AppendEvent(*log_);
  Consumer consumer = Open();
  EXPECT_TRUE(consumer.Next().has_opened());
  AwaitInFlight(1);  // And no frame goes out.
  consumer.stream->Drain(absl::Seconds(1));
  AwaitInFlight(0);
  EXPECT_EQ(consumer.call->status(), absl::nullopt);
  EXPECT_TRUE(consumer.Next().has_draining());
  EXPECT_EQ(consumer.call->Next(*consumer.stream), nullptr);
  EXPECT_TRUE(absl::IsUnavailable(consumer.call->AwaitStatus()));
  consumer.stream->OnEnd(CallEnd::kFinished);
}

TEST_F(ConsumeStreamTest, SoDoesAClientThatHasClosedItsSideAMomentLater) {
  AppendEvent(*log_);
  Consumer consumer = Open();
  EXPECT_TRUE(consumer.Next().has_opened());
  const ConsumeResponse deliveries = consumer.Next();
  // An ack whose result is not read, so that the call does not end.
  consumer.Send("ack { delivery_ids: 'unknown' }");
  consumer.stream->OnHalfClose();
  AwaitInFlight(1);
  clock_.Advance(absl::Seconds(1));
  watch_.CheckDeadlines();
  AwaitInFlight(0);
  consumer.stream->OnEnd(CallEnd::kConnectionLost);
}

// An error has to reach a client that has left no room for messages.
TEST_F(ConsumeStreamTest, ErrorNeedsNoRoomAtTheClient) {
  Consumer consumer = Open("subscription: 'other' consumer_name: 'a'");
  EXPECT_TRUE(absl::IsNotFound(consumer.call->AwaitStatus()));
  consumer.stream->OnEnd(CallEnd::kFinished);
  Consumer wrong = Open();
  wrong.stream->NextMessage();
  wrong.Send("");
  EXPECT_TRUE(absl::IsInvalidArgument(wrong.call->AwaitStatus()));
  wrong.stream->OnEnd(CallEnd::kFinished);
}

TEST_F(ConsumeStreamTest, AnAckThatMeetsTheDrainCounts) {
  AppendEvent(*log_);
  Consumer consumer = Open();
  EXPECT_TRUE(consumer.Next().has_opened());
  const ConsumeResponse deliveries = consumer.Next();
  consumer.stream->Drain(absl::Seconds(1));
  consumer.Send("ack { delivery_ids: '" + deliveries.deliveries().deliveries(0).delivery_id() +
                "' }");
  consumer.stream->OnEnd(CallEnd::kConnectionLost);
  EXPECT_TRUE(
      Eventually("the ack counts", [&] { return subscription_->ReadBacklog().events == 0; }));
}

TEST_F(ConsumeStreamTest, WhatMeetsADrainBeforeOpenIsDropped) {
  Consumer consumer;
  consumer.stream = std::make_shared<ConsumeStream>(consumer.call, Anybody(), Context());
  ASSERT_TRUE(registry_.Add(consumer.stream).ok());
  consumer.stream->Start();
  consumer.stream->Drain(absl::Seconds(1));
  EXPECT_TRUE(absl::IsUnavailable(consumer.call->AwaitStatus()));
  consumer.Send("ack { delivery_ids: 'a' }");
  consumer.stream->OnEnd(CallEnd::kFinished);
}

TEST_F(ConsumeStreamTest, NothingIsReadWhileManyResultsAreNotTaken) {
  Consumer consumer = Open();
  EXPECT_TRUE(consumer.Next().has_opened());
  std::string acks = "ack {";
  for (int i = 0; i < 10'000; ++i) acks += " delivery_ids: 'a'";
  consumer.Send(acks + " }");
  EXPECT_FALSE(consumer.call->TakeRead());
  EXPECT_EQ(consumer.Next().ack_results().results_size(), 10'000);
  EXPECT_TRUE(consumer.call->TakeRead());
  consumer.stream->OnEnd(CallEnd::kCancelled);
}

// Until a frame has gone out, the next events are others' to have.
TEST_F(ConsumeStreamTest, AClientThatDoesNotReadIsGivenNoMoreThanOneFrame) {
  AppendEvent(*log_);
  Consumer slow = Open();
  EXPECT_TRUE(slow.Next().has_opened());
  EXPECT_TRUE(slow.stream->NextMessage() != nullptr || slow.Next().has_deliveries());
  AppendEvent(*log_);
  Consumer other = Open("subscription: 'mail' consumer_name: 'b'");
  EXPECT_TRUE(other.Next().has_opened());
  EXPECT_EQ(other.Next().deliveries().deliveries(0).event().sequence(), 2);
  slow.stream->OnEnd(CallEnd::kCancelled);
  other.stream->OnEnd(CallEnd::kCancelled);
}

class PullCallTest : public ConsumeStreamTest {
 protected:
  void Pull(const std::string& more = "max_events: 5") {
    call_ = std::make_shared<FakeCall>();
    pull_ = std::make_shared<PullCall>(call_, Anybody(), Context());
    ASSERT_TRUE(call_->TakeRead());
    pull_->OnMessage(Bytes<v1::PullRequest>("subscription: 'mail' consumer_name: 'a' " + more));
    pull_->OnHalfClose();
  }
  v1::PullResponse Answer() {
    v1::PullResponse response;
    const Message message = call_->Next(*pull_);
    EXPECT_TRUE(message != nullptr && response.ParseFromString(*message));
    return response;
  }

  std::shared_ptr<FakeCall> call_;
  std::shared_ptr<PullCall> pull_;
};

TEST_F(PullCallTest, LeasesOfAnAnswerThatWentOutAreKept) {
  AppendEvent(*log_);
  Pull();
  EXPECT_EQ(Answer().deliveries_size(), 1);
  EXPECT_TRUE(call_->AwaitStatus().ok());
  pull_->OnEnd(CallEnd::kFinished);
  EXPECT_EQ(subscription_->GetStatus().in_flight, 1);
  EXPECT_EQ(registry_.size(), 0u);
}

TEST_F(PullCallTest, AnAnswerThatDidNotReachItsClientIsALostDelivery) {
  AppendEvent(*log_);
  Pull();
  EXPECT_EQ(Answer().deliveries(0).lost_deliveries(), 0);
  pull_->OnEnd(CallEnd::kConnectionLost);
  AwaitInFlight(0);
  Pull();
  EXPECT_EQ(Answer().deliveries(0).lost_deliveries(), 1);
  pull_->OnEnd(CallEnd::kFinished);
}

// An answer of hundreds of megabytes would be larger than what may wait for a client that reads
// slowly: it could never be sent, and its events would end as dead letters.
TEST_F(PullCallTest, AnAnswerIsSmallOrHoldsOneEvent) {
  constexpr int kEvents = 8;
  constexpr size_t kSmall = 100 << 10;
  for (int i = 0; i < kEvents; ++i) AppendEvent(*log_, {.raw_body = std::string(kSmall, 'x')});
  AppendEvent(*log_, {.raw_body = std::string(5 << 20, 'x')});
  int delivered = 0;
  while (delivered < kEvents + 1) {
    Pull("max_events: 1000 wait { seconds: 60 } include_raw_body: true");
    const v1::PullResponse answer = Answer();
    ASSERT_GE(answer.deliveries_size(), 1);
    const bool is_large = answer.deliveries(0).event().raw_body().size() > kSmall;
    EXPECT_LE(answer.deliveries_size(), is_large ? 1 : 2);
    delivered += answer.deliveries_size();
    pull_->OnEnd(CallEnd::kFinished);
  }
  EXPECT_EQ(subscription_->GetStatus().in_flight, kEvents + 1);
}

TEST_F(PullCallTest, ACallWithoutARequestIsRefused) {
  call_ = std::make_shared<FakeCall>();
  pull_ = std::make_shared<PullCall>(call_, Anybody(), Context());
  pull_->OnHalfClose();
  EXPECT_TRUE(absl::IsInvalidArgument(call_->AwaitStatus()));
  pull_->OnEnd(CallEnd::kFinished);
}

}  // namespace
}  // namespace hookgate
