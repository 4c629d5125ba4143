// P7: durable subscriptions of a real gateway.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/text_format.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/aged_log.h"
#include "tests/support/consume_call.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using v1::AckResult;
using v1::ConsumeResponse;

constexpr char kFromEarliest[] = "start { start_position: START_POSITION_EARLIEST }";
constexpr char kOpen[] = "subscription: 'billing' consumer_name: 'a'";

class ConsumeTest : public GatewayTest {
 protected:
  void StartGateway(const std::vector<std::string>& flags = {}) {
    Start(flags);
    stub_ = ConnectToSubscriptions(gateway_->grpc());
  }
  void StoreMany(int count) {
    HttpClient client(gateway_->http());
    for (int i = 0; i < count; ++i) {
      client.Send(SignedWebhook{}.Request());
      ASSERT_EQ(client.ReadReply()->status, 200);
    }
  }

  // Calls `method` with a request in protobuf text format. Fails the test on an error.
  template <typename Request, typename Response>
  Response Call(grpc::Status (v1::SubscriptionService::Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                const std::string& text) {
    Response response;
    const grpc::Status status = TryCall(method, text, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  template <typename Request, typename Response>
  grpc::Status TryCall(grpc::Status (v1::SubscriptionService::Stub::*method)(grpc::ClientContext*,
                                                                             const Request&,
                                                                             Response*),
                       const std::string& text, Response& response) {
    Request request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return ((*stub_).*method)(&context, request, &response);
  }
  void Create(const std::string& settings = "", const std::string& start = kFromEarliest,
              const std::string& name = "billing") {
    Call(&Stub::CreateSubscription,
         absl::StrCat("name: '", name, "' settings { ", settings, " } ", start));
  }
  v1::Subscription Get() { return Call(&Stub::GetSubscription, "name: 'billing'").subscription(); }
  // Asks until `holds` does.
  template <typename Holds>
  v1::Subscription GetWhen(Holds holds) {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (true) {
      v1::Subscription subscription = Get();
      if (holds(subscription)) return subscription;
      if (absl::Now() > end) {
        ADD_FAILURE() << "it never came: " << subscription.DebugString();
        return subscription;
      }
      std::this_thread::yield();
    }
  }
  // How a call that sends `open`, and then `more`, ends.
  grpc::Status EndOf(const std::string& open, const std::string& more = "") {
    ConsumeCall call(gateway_->grpc(), open);
    if (!more.empty()) call.Send(more);
    return call.Finish();
  }

  using Stub = v1::SubscriptionService::Stub;
  std::unique_ptr<Stub> stub_;
};

TEST_F(ConsumeTest, DeliversWhatIsStoredAndWhatComes) {
  StartGateway();
  Create();
  Store({.body = BatchFailedBody("batch_1")});
  ConsumeCall call(gateway_->grpc(), kOpen);
  const v1::Delivery first = call.NextDelivery();
  EXPECT_EQ(first.event().sequence(), 1);
  EXPECT_EQ(first.event().batch_failed().data().id(), "batch_1");
  EXPECT_FALSE(first.event().cursor().empty());
  EXPECT_TRUE(first.event().raw_body().empty());
  EXPECT_EQ(first.attempt(), 1);
  EXPECT_EQ(first.reason(), v1::DELIVERY_REASON_NEW);
  EXPECT_GT(first.lease_expire_time().seconds(), absl::ToUnixSeconds(absl::Now()));
  Store({.body = BatchFailedBody("batch_2")});
  EXPECT_EQ(call.NextDelivery().event().subject(), "batch_2");
}

TEST_F(ConsumeTest, OpenedSaysWhatIsInForce) {
  StartGateway();
  Create("ack_deadline { seconds: 7 }");
  ConsumeCall call(gateway_->grpc(), absl::StrCat(kOpen,
                                                  " limits { max_outstanding_messages: 3 "
                                                  "max_outstanding_bytes: 1000 } "
                                                  "heartbeat_interval { seconds: 2 }"));
  const ConsumeResponse frame = call.Next();
  ASSERT_TRUE(frame.has_opened());
  EXPECT_FALSE(frame.opened().epoch().empty());
  EXPECT_EQ(frame.opened().subscription(), "billing");
  EXPECT_EQ(frame.opened().consumer_name(), "a");
  EXPECT_EQ(frame.opened().limits().max_outstanding_messages(), 3);
  EXPECT_EQ(frame.opened().limits().max_outstanding_bytes(), 1000);
  EXPECT_EQ(frame.opened().ack_deadline().seconds(), 7);
  EXPECT_EQ(frame.opened().heartbeat_interval().seconds(), 2);
}

TEST_F(ConsumeTest, RawBodyIsExactlyWhatWasSent) {
  StartGateway();
  Create();
  const std::string body = BatchFailedBody("batch_1");
  Store({.body = body});
  ConsumeCall without(gateway_->grpc(),
                      "subscription: 'billing' consumer_name: 'a' "
                      "limits { max_outstanding_messages: 0 }");
  ConsumeCall with(gateway_->grpc(),
                   "subscription: 'billing' consumer_name: 'b' include_raw_body: true");
  EXPECT_EQ(with.NextDelivery().event().raw_body(), body);
}

TEST_F(ConsumeTest, AckedIsDoneForGoodAlsoAfterACrash) {
  StartGateway();
  Create();
  StoreMany(3);
  {
    ConsumeCall call(gateway_->grpc(), kOpen);
    const auto deliveries = call.NextDeliveries(3);
    call.Ack(deliveries[0].delivery_id());
    call.Ack(deliveries[2].delivery_id());
    EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
    EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
    call.Ack(deliveries[0].delivery_id());
    EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_ALREADY);
    gateway_->Kill();
  }
  StartGateway();
  EXPECT_EQ(Get().backlog().events(), 1);
  ConsumeCall call(gateway_->grpc(), kOpen);
  const v1::Delivery again = call.NextDelivery();
  EXPECT_EQ(again.event().sequence(), 2);
  EXPECT_EQ(again.attempt(), 1) << "a restart never counts";
  EXPECT_EQ(again.reason(), v1::DELIVERY_REASON_GATEWAY_RESTARTED);
  call.Ack(again.delivery_id());
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
  EXPECT_EQ(Get().backlog().events(), 0);
  EXPECT_EQ(Get().consumers(0).in_flight_messages(), 0);
}

TEST_F(ConsumeTest, OneBadItemNeverEndsTheStream) {
  StartGateway();
  Create();
  StoreMany(1);
  ConsumeCall call(gateway_->grpc(), kOpen);
  const v1::Delivery delivery = call.NextDelivery();
  call.Send("ack { delivery_ids: 'nonsense' delivery_ids: '1.1.99' delivery_ids: '2.1.1' }");
  call.Nack("", "delay { seconds: -99999999999 nanos: 7 }");
  call.Send("extend { items { delivery_id: '1.7.1' } }");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_UNKNOWN);
  call.Ack(delivery.delivery_id());
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
}

TEST_F(ConsumeTest, EndOfAStreamGivesBackAtOnceAndUncounted) {
  StartGateway();
  Create();
  StoreMany(2);
  ConsumeCall waiting(gateway_->grpc(),
                      "subscription: 'billing' consumer_name: 'b' "
                      "limits { max_outstanding_messages: 0 }");
  ConsumeCall call(gateway_->grpc(), kOpen);
  EXPECT_EQ(call.NextDeliveries(2).size(), 2u);
  call.CloseSending();
  EXPECT_TRUE(call.Finish().ok());
  waiting.Send("flow { max_outstanding_messages: 10 max_outstanding_bytes: 100000 }");
  for (const v1::Delivery& delivery : waiting.NextDeliveries(2)) {
    EXPECT_EQ(delivery.attempt(), 1);
    EXPECT_EQ(delivery.lost_deliveries(), 0);
    EXPECT_EQ(delivery.reason(), v1::DELIVERY_REASON_STREAM_ENDED);
  }
}

// However many frames it has left unread: it said that it wants no more.
TEST_F(ConsumeTest, AClientThatClosesAndDoesNotReadKeepsItsLeasesFromNobody) {
  StartGateway();
  Create();
  StoreMany(2);
  ConsumeCall waiting(gateway_->grpc(),
                      "subscription: 'billing' consumer_name: 'b' "
                      "limits { max_outstanding_messages: 0 }");
  ConsumeCall call(gateway_->grpc(), kOpen);
  EXPECT_EQ(call.NextDeliveries(2).size(), 2u);
  call.CloseSending();
  waiting.Send("flow { max_outstanding_messages: 10 max_outstanding_bytes: 100000 }");
  for (const v1::Delivery& delivery : waiting.NextDeliveries(2)) {
    EXPECT_EQ(delivery.lost_deliveries(), 0);
  }
}

// An event that killed its consumer came first, at once and as attempt 1, for ever: nothing behind
// it was reached.
TEST_F(ConsumeTest, AnEventThatEndsItsConsumersBecomesADeadLetterAndTheRestFlows) {
  StartGateway();
  Create(
      "max_lost_deliveries: 2 minimum_backoff { nanos: 100000000 } "
      "maximum_backoff { nanos: 100000000 }");
  EXPECT_EQ(Get().settings().max_lost_deliveries(), 2);
  Store({.body = BatchFailedBody("batch_poison")});
  StoreMany(5);
  std::vector<int> lost;
  std::set<int64_t> acked;
  while (lost.size() < 3) {
    ConsumeCall call(gateway_->grpc(), absl::StrCat(kOpen,
                                                    " limits { max_outstanding_messages: 1 "
                                                    "max_outstanding_bytes: 100000 }"));
    for (bool alive = true; alive;) {
      const v1::Delivery delivery = call.NextDelivery();
      ASSERT_FALSE(delivery.delivery_id().empty());
      alive = delivery.event().subject() != "batch_poison";
      if (alive) {
        call.Ack(delivery.delivery_id());
        ASSERT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
        acked.insert(delivery.event().sequence());
      } else {
        EXPECT_EQ(delivery.attempt(), 1);
        lost.push_back(delivery.lost_deliveries());
        EXPECT_EQ(delivery.reason(),
                  lost.size() == 1 ? v1::DELIVERY_REASON_NEW : v1::DELIVERY_REASON_STREAM_LOST);
      }
    }
    call.Cancel();
    call.Finish();
  }
  EXPECT_THAT(lost, ElementsAre(0, 1, 2));
  GetWhen([](const auto& now) { return now.dead_letters() == 1; });
  const auto letters = Call(&Stub::ListDeadLetters, "subscription: 'billing'");
  ASSERT_EQ(letters.dead_letters_size(), 1);
  EXPECT_EQ(letters.dead_letters(0).cause(), v1::DeadLetter::CAUSE_STREAM_LOST);
  EXPECT_EQ(letters.dead_letters(0).lost_deliveries(), 3);
  EXPECT_EQ(letters.dead_letters(0).attempts(), 0);
  ConsumeCall call(gateway_->grpc(), kOpen);
  while (acked.size() < 5) {
    const v1::Delivery delivery = call.NextDelivery();
    ASSERT_FALSE(delivery.delivery_id().empty());
    call.Ack(delivery.delivery_id());
    acked.insert(delivery.event().sequence());
  }
}

// A typo in a filter was silence, with nothing that said so.
TEST_F(ConsumeTest, AFilterThatAdmitsNothingIsTold) {
  StartGateway();
  Create("filter { types: 'batch.faild' }");
  StoreMany(120);
  ConsumeCall call(gateway_->grpc(),
                   absl::StrCat(kOpen, " heartbeat_interval { nanos: 100000000 }"));
  const v1::Subscription shown = GetWhen([](const auto& now) { return now.conditions_size() > 0; });
  EXPECT_EQ(shown.conditions(0), v1::SUBSCRIPTION_CONDITION_FILTER_ADMITS_NONE);
  EXPECT_GE(shown.passed_events(), 100);
  EXPECT_EQ(shown.admitted_events(), 0);
  ConsumeResponse frame;
  do {
    frame = call.Next();
    ASSERT_NE(frame.frame_case(), ConsumeResponse::FRAME_NOT_SET);
  } while (!frame.has_heartbeat() || frame.heartbeat().conditions_size() == 0);
  EXPECT_EQ(frame.heartbeat().conditions(0), v1::SUBSCRIPTION_CONDITION_FILTER_ADMITS_NONE);
  Call(&Stub::UpdateSubscription, "name: 'billing' settings { filter { types: 'batch.failed' } }");
  EXPECT_EQ(Get().conditions_size(), 0);
}

TEST_F(ConsumeTest, AcksBeforeAHalfCloseAreAnswered) {
  StartGateway();
  Create();
  StoreMany(1);
  ConsumeCall call(gateway_->grpc(), kOpen);
  call.Ack(call.NextDelivery().delivery_id());
  call.CloseSending();
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
  EXPECT_TRUE(call.Finish().ok());
  EXPECT_EQ(Get().backlog().events(), 0);
}

TEST_F(ConsumeTest, PoisonBecomesADeadLetterAndTheRestFlows) {
  StartGateway();
  Create(
      "max_attempts: 3 minimum_backoff { nanos: 100000000 } "
      "maximum_backoff { nanos: 100000000 }");
  Store({.body = BatchFailedBody("batch_poison")});
  StoreMany(20);
  ConsumeCall call(gateway_->grpc(), kOpen);
  std::set<int64_t> acked;
  std::vector<int> attempts;
  while (acked.size() < 20 || attempts.size() < 3) {
    const v1::Delivery delivery = call.NextDelivery();
    ASSERT_FALSE(delivery.delivery_id().empty());
    if (delivery.event().subject() == "batch_poison") {
      attempts.push_back(delivery.attempt());
      if (attempts.size() > 1) {
        EXPECT_EQ(delivery.reason(), v1::DELIVERY_REASON_NACKED);
        EXPECT_EQ(delivery.nack_reason(), "cannot");
      }
      call.Nack(delivery.delivery_id(), "reason: 'cannot'");
    } else {
      acked.insert(delivery.event().sequence());
      call.Ack(delivery.delivery_id());
    }
  }
  EXPECT_THAT(attempts, ElementsAre(1, 2, 3));
  const v1::Subscription done = GetWhen([](const auto& now) { return now.dead_letters() == 1; });
  EXPECT_EQ(done.backlog().events(), 0);

  const auto letters = Call(&Stub::ListDeadLetters, "subscription: 'billing'");
  ASSERT_EQ(letters.dead_letters_size(), 1);
  const v1::DeadLetter& letter = letters.dead_letters(0);
  EXPECT_EQ(letter.sequence(), 1);
  EXPECT_EQ(letter.cause(), v1::DeadLetter::CAUSE_NACKED);
  EXPECT_EQ(letter.nack_reason(), "cannot");
  EXPECT_EQ(letter.attempts(), 3);
  EXPECT_EQ(letter.event().subject(), "batch_poison");
  EXPECT_LE(letter.first_delivery_time().seconds(), letter.last_delivery_time().seconds());
  EXPECT_LE(letter.last_delivery_time().seconds(), letter.dead_letter_time().seconds());

  const auto redriven =
      Call(&Stub::RedriveDeadLetters, "subscription: 'billing' sequences: 1 sequences: 7");
  EXPECT_EQ(redriven.results(0).outcome(), v1::RedriveDeadLettersResponse::OUTCOME_REDRIVEN);
  EXPECT_EQ(redriven.results(1).outcome(), v1::RedriveDeadLettersResponse::OUTCOME_NOT_FOUND);
  const v1::Delivery again = call.NextDelivery();
  EXPECT_EQ(again.event().sequence(), 1);
  EXPECT_EQ(again.attempt(), 1);
  EXPECT_EQ(again.reason(), v1::DELIVERY_REASON_REDRIVEN);
  call.Nack(again.delivery_id(), "reason: 'never' dead_letter: true");
  GetWhen([](const auto& now) { return now.dead_letters() == 1; });
  const auto discarded =
      Call(&Stub::DiscardDeadLetters, "subscription: 'billing' sequences: 1 sequences: 1");
  EXPECT_TRUE(discarded.results(0).discarded());
  EXPECT_FALSE(discarded.results(1).discarded());
  EXPECT_EQ(Get().dead_letters(), 0);
}

TEST_F(ConsumeTest, DeadLettersArePagedAndSurviveACrash) {
  StartGateway();
  Create();
  StoreMany(5);
  {
    ConsumeCall call(gateway_->grpc(), kOpen);
    for (const v1::Delivery& delivery : call.NextDeliveries(5)) {
      call.Nack(delivery.delivery_id(), "dead_letter: true");
    }
    for (int i = 0; i < 5; ++i) EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
    gateway_->Kill();
  }
  StartGateway();
  std::vector<int64_t> sequences;
  std::string token;
  do {
    const auto page =
        Call(&Stub::ListDeadLetters, absl::StrCat("subscription: 'billing' page_size: 2"
                                                  " page_token: '",
                                                  token, "'"));
    for (const auto& letter : page.dead_letters()) sequences.push_back(letter.sequence());
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_THAT(sequences, ElementsAre(1, 2, 3, 4, 5));
}

// Sixty dead letters of 100 kB made one answer of 6 MB, which no default client takes: so they
// could neither be looked at nor redriven.
TEST_F(ConsumeTest, APageOfDeadLettersIsBoundedInBytes) {
  StartGateway();
  Create();
  for (int i = 0; i < 12; ++i) {
    Store({.body = absl::StrCat(R"({"type":"moon.landed","data":{"id":"m"},"text":")",
                                std::string(200'000, 'x'), "\"}")});
  }
  ConsumeCall call(gateway_->grpc(), kOpen);
  for (const v1::Delivery& delivery : call.NextDeliveries(12)) {
    call.Nack(delivery.delivery_id(), "dead_letter: true");
  }
  for (int i = 0; i < 12; ++i) EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
  std::vector<int64_t> sequences;
  std::string token;
  int pages = 0;
  do {
    const auto page =
        Call(&Stub::ListDeadLetters,
             absl::StrCat("subscription: 'billing' page_size: 1000 page_token: '", token, "'"));
    EXPECT_LT(page.ByteSizeLong(), (1u << 20) + 1000);
    for (const auto& letter : page.dead_letters()) sequences.push_back(letter.sequence());
    token = page.next_page_token();
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(sequences.size(), 12u);
  EXPECT_GT(pages, 2);
  const auto bare =
      Call(&Stub::ListDeadLetters, "subscription: 'billing' page_size: 1000 include_events: false");
  EXPECT_EQ(bare.dead_letters_size(), 12);
  EXPECT_LT(bare.ByteSizeLong(), 5000u);
  EXPECT_FALSE(bare.dead_letters(0).has_event());
}

// "1 ACKED a", by sequence, then state and consumer.
std::vector<std::string> Listed(const v1::ListDeliveriesResponse& page) {
  std::vector<std::string> lines;
  for (const v1::ListedDelivery& listed : page.deliveries()) {
    std::string state = v1::DeliveryState_Name(listed.delivery().state());
    state.erase(0, std::string("DELIVERY_STATE_").size());
    lines.push_back(absl::StrCat(listed.sequence(), " ", state, " ", listed.delivery().consumer()));
  }
  return lines;
}

// P12: who is on call is told who has handled an event, and what happened to it.
TEST_F(ConsumeTest, DeliveriesTellWhereEachEventIsAlsoAfterAKill) {
  StartGateway();
  Create();
  StoreMany(5);
  {
    ConsumeCall call(gateway_->grpc(), kOpen);
    const std::vector<v1::Delivery> deliveries = call.NextDeliveries(5);
    ASSERT_EQ(deliveries.size(), 5u);
    call.Ack(deliveries[0].delivery_id());
    call.Nack(deliveries[1].delivery_id(), "reason: 'busy' delay { seconds: 3600 }");
    call.Nack(deliveries[2].delivery_id(), "reason: 'never' dead_letter: true");
    call.Nack(deliveries[3].delivery_id(), "dead_letter: true");
    for (int i = 0; i < 4; ++i) ASSERT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
    Call(&Stub::DiscardDeadLetters, "subscription: 'billing' sequences: 4");
    const auto all = Call(&Stub::ListDeliveries, "subscription: 'billing'");
    EXPECT_THAT(Listed(all), ElementsAre("5 LEASED a", "4 DISCARDED a", "3 DEAD_LETTERED a",
                                         "2 WAITING a", "1 ACKED a"));
    EXPECT_TRUE(all.next_page_token().empty());
    const v1::EventDelivery& leased = all.deliveries(0).delivery();
    EXPECT_EQ(leased.attempt(), 1);
    EXPECT_GT(leased.until_time().seconds(), leased.state_time().seconds());
    EXPECT_EQ(leased.attempts_size(), 1);
    EXPECT_EQ(all.deliveries(0).type(), "batch.failed");
    EXPECT_TRUE(all.deliveries(0).has_receive_time());
    gateway_->Kill();
  }
  StartGateway();
  const auto all = Call(&Stub::ListDeliveries, "subscription: 'billing' order: ORDER_OLDEST_FIRST");
  EXPECT_THAT(Listed(all), ElementsAre("1 ACKED a", "2 WAITING a", "3 DEAD_LETTERED a",
                                       "4 DISCARDED a", "5 WAITING a"));
  const v1::EventDelivery& acked = all.deliveries(0).delivery();
  EXPECT_EQ(acked.delivery_count(), 1);
  EXPECT_TRUE(acked.has_state_time() && acked.has_first_delivery_time());
  const v1::EventDelivery& nacked = all.deliveries(1).delivery();
  EXPECT_EQ(nacked.attempt(), 2);
  EXPECT_EQ(nacked.reason(), "busy");
  EXPECT_EQ(nacked.last_end(), v1::DELIVERY_END_NACKED);
  EXPECT_GT(nacked.until_time().seconds(), nacked.state_time().seconds() + 3000);
  const v1::EventDelivery& dead = all.deliveries(2).delivery();
  EXPECT_EQ(dead.last_end(), v1::DELIVERY_END_CONSUMER_DECIDED);
  EXPECT_EQ(dead.reason(), "never");
  const v1::EventDelivery& interrupted = all.deliveries(4).delivery();
  EXPECT_EQ(interrupted.last_end(), v1::DELIVERY_END_GATEWAY_RESTARTED);
  ASSERT_EQ(interrupted.attempts_size(), 1);
  EXPECT_EQ(interrupted.attempts(0).consumer(), "a");

  Call(&Stub::RedriveDeadLetters, "subscription: 'billing' sequences: 3");
  ConsumeCall call(gateway_->grpc(), "subscription: 'billing' consumer_name: 'b'");
  for (const v1::Delivery& delivery : call.NextDeliveries(2)) call.Ack(delivery.delivery_id());
  for (int i = 0; i < 2; ++i) ASSERT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
  const auto now = Call(&Stub::ListDeliveries,
                        "subscription: 'billing' states: DELIVERY_STATE_ACKED consumer: 'b'");
  EXPECT_THAT(Listed(now), ElementsAre("5 ACKED b", "3 ACKED b"));
  const v1::EventDelivery& redriven = now.deliveries(1).delivery();
  EXPECT_EQ(redriven.delivery_count(), 2);
  ASSERT_EQ(redriven.attempts_size(), 2) << "its history goes on";
  EXPECT_EQ(redriven.attempts(0).reason(), "never");
  EXPECT_EQ(redriven.attempts(1).end(), v1::DELIVERY_END_ACKED);
}

// The list went on calling skipped what ExplainEvent said comes again.
TEST_F(ConsumeTest, WhatASeekBackHasComeAgainIsNotListedAsSkipped) {
  StartGateway();
  Create();
  StoreMany(2);
  {
    ConsumeCall call(gateway_->grpc(), kOpen);
    call.NextDeliveries(2);
  }
  const auto skipped = [&] {
    return Listed(
        Call(&Stub::ListDeliveries, "subscription: 'billing' states: DELIVERY_STATE_SKIPPED"));
  };
  Call(&Stub::SeekSubscription, "name: 'billing' target { start_position: START_POSITION_LATEST }");
  EXPECT_THAT(skipped(), ElementsAre("2 SKIPPED a", "1 SKIPPED a"));
  Call(&Stub::SeekSubscription,
       "name: 'billing' target { start_position: START_POSITION_EARLIEST }");
  EXPECT_THAT(skipped(), IsEmpty());
}

TEST_F(ConsumeTest, DeliveriesAreFilteredAndPaged) {
  StartGateway();
  Create();
  StoreMany(6);
  ConsumeCall call(gateway_->grpc(), kOpen);
  const std::vector<v1::Delivery> deliveries = call.NextDeliveries(6);
  for (const v1::Delivery& delivery : deliveries) {
    const int64_t sequence = delivery.event().sequence();
    if (sequence % 2 == 0) {
      call.Ack(delivery.delivery_id());
    } else {
      call.Nack(delivery.delivery_id(),
                absl::StrCat("dead_letter: true reason: 'no route to ", sequence, "'"));
    }
  }
  for (int i = 0; i < 6; ++i) ASSERT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
  const auto list = [&](const std::string& more) {
    return Call(&Stub::ListDeliveries, absl::StrCat("subscription: 'billing' ", more));
  };
  EXPECT_THAT(Listed(list("states: DELIVERY_STATE_ACKED order: ORDER_OLDEST_FIRST")),
              ElementsAre("2 ACKED a", "4 ACKED a", "6 ACKED a"));
  EXPECT_THAT(Listed(list("reason_contains: 'route to 3'")), ElementsAre("3 DEAD_LETTERED a"));
  EXPECT_THAT(Listed(list("states: DELIVERY_STATE_WAITING states: DELIVERY_STATE_LOST")),
              testing::IsEmpty());
  EXPECT_THAT(Listed(list("consumer: 'nobody'")), testing::IsEmpty());
  std::vector<std::string> lines;
  std::string token;
  do {
    const auto page = list(absl::StrCat("states: DELIVERY_STATE_DEAD_LETTERED page_size: 2 ",
                                        "page_token: '", token, "'"));
    EXPECT_LE(page.deliveries_size(), 2);
    for (const std::string& line : Listed(page)) lines.push_back(line);
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_THAT(lines, ElementsAre("5 DEAD_LETTERED a", "3 DEAD_LETTERED a", "1 DEAD_LETTERED a"));
}

TEST_F(ConsumeTest, WhatCannotBeListedIsRefusedByName) {
  StartGateway();
  Create();
  Create("", kFromEarliest, "mail");
  StoreMany(2);
  ConsumeCall call(gateway_->grpc(), kOpen);
  for (const v1::Delivery& delivery : call.NextDeliveries(2)) call.Ack(delivery.delivery_id());
  for (int i = 0; i < 2; ++i) ASSERT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
  const std::string token =
      Call(&Stub::ListDeliveries, "subscription: 'billing' page_size: 1").next_page_token();
  ASSERT_FALSE(token.empty());
  const std::pair<std::string, std::string> cases[] = {
      {"subscription: 'billing' states: DELIVERY_STATE_FILTERED", "states[0]"},
      {"subscription: 'billing' states: DELIVERY_STATE_ACKED states: 99", "states[1]"},
      {absl::StrCat("subscription: 'billing' reason_contains: '", std::string(1025, 'r'), "'"),
       "reason_contains"},
      {"subscription: 'billing' consumer: 'a\\nb'", "consumer"},
      {"subscription: 'billing' order: 7", "order"},
      {"subscription: 'billing' page_size: -1", "page_size"},
      {"subscription: 'billing' page_token: 'nonsense'", "page_token"},
      {absl::StrCat("subscription: 'mail' page_token: '", token, "'"), "another request"},
      {absl::StrCat("subscription: 'billing' consumer: 'a' page_token: '", token, "'"),
       "another request"},
      {"subscription: 'NO'", "subscription"}};
  for (const auto& [request, message] : cases) {
    v1::ListDeliveriesResponse response;
    const grpc::Status status = TryCall(&Stub::ListDeliveries, request, response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << request;
    EXPECT_THAT(status.error_message(), HasSubstr(message)) << request;
  }
  v1::ListDeliveriesResponse response;
  EXPECT_EQ(TryCall(&Stub::ListDeliveries, "subscription: 'none'", response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

// The shortest deadline there is: the test lasts as long.
TEST_F(ConsumeTest, ALeaseEndsAtItsDeadlineAndALateAckHolds) {
  StartGateway();
  Create(
      "ack_deadline { seconds: 5 } minimum_backoff { nanos: 100000000 } "
      "maximum_backoff { nanos: 100000000 }");
  StoreMany(1);
  ConsumeCall call(gateway_->grpc(), kOpen);
  const v1::Delivery first = call.NextDelivery();
  const v1::Delivery second = call.NextDelivery();
  EXPECT_EQ(second.event().sequence(), 1);
  EXPECT_EQ(second.attempt(), 2);
  EXPECT_EQ(second.reason(), v1::DELIVERY_REASON_DEADLINE_PASSED);
  call.Send(absl::StrCat("extend { items { delivery_id: '", first.delivery_id(), "' } }"));
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_LEASE_LOST);
  call.Ack(first.delivery_id());
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK) << "nobody else has acked it";
  call.Ack(second.delivery_id());
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_ALREADY);
}

// Without partitions: who has credit gets the next.
TEST_F(ConsumeTest, ConsumersShareAndTheEndOfOneGivesItsShareToTheOther) {
  StartGateway();
  Create();
  ConsumeCall first(gateway_->grpc(),
                    "subscription: 'billing' consumer_name: 'a' "
                    "limits { max_outstanding_messages: 5 "
                    "max_outstanding_bytes: 1000000 }");
  ConsumeCall second(gateway_->grpc(),
                     "subscription: 'billing' consumer_name: 'b' "
                     "limits { max_outstanding_messages: 5 "
                     "max_outstanding_bytes: 1000000 }");
  ASSERT_TRUE(first.Next().has_opened());
  ASSERT_TRUE(second.Next().has_opened());
  StoreMany(10);
  std::set<int64_t> handled;
  const auto held_by_first = first.NextDeliveries(5);
  for (const v1::Delivery& delivery : second.NextDeliveries(5)) {
    second.Ack(delivery.delivery_id());
    EXPECT_TRUE(handled.insert(delivery.event().sequence()).second);
  }
  first.Cancel();
  for (const v1::Delivery& delivery : second.NextDeliveries(5)) {
    EXPECT_TRUE(handled.insert(delivery.event().sequence()).second) << "two had it at a time";
  }
  EXPECT_EQ(handled.size(), 10u);
}

TEST_F(ConsumeTest, LimitsHoldForAllStreamsOfAName) {
  StartGateway();
  Create();
  StoreMany(10);
  const std::string open =
      absl::StrCat(kOpen,
                   " limits { max_outstanding_messages: 4 max_outstanding_bytes: 1000000 } "
                   "heartbeat_interval { nanos: 100000000 }");
  ConsumeCall first(gateway_->grpc(), open);
  EXPECT_EQ(first.NextDeliveries(4).size(), 4u);
  ConsumeCall second(gateway_->grpc(), open);
  ASSERT_TRUE(second.Next().has_opened());
  // Nothing but heartbeats for it.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(second.Next().has_heartbeat());
  EXPECT_EQ(Get().in_flight(), 4);
  EXPECT_EQ(Get().consumers_size(), 1);
  EXPECT_EQ(Get().consumers(0).streams(), 2);
  EXPECT_EQ(Get().consumers(0).credit_messages(), 0);
}

TEST_F(ConsumeTest, ZeroCreditIsSilenceWithHeartbeats) {
  StartGateway();
  Create();
  StoreMany(3);
  ConsumeCall call(gateway_->grpc(), absl::StrCat(kOpen,
                                                  " limits { max_outstanding_messages: 0 } "
                                                  "heartbeat_interval { nanos: 100000000 }"));
  ASSERT_TRUE(call.Next().has_opened());
  for (int i = 0; i < 5; ++i) {
    const ConsumeResponse frame = call.Next();
    ASSERT_TRUE(frame.has_heartbeat()) << frame.DebugString();
    EXPECT_EQ(frame.heartbeat().backlog().events(), 3);
    EXPECT_TRUE(frame.heartbeat().backlog().has_oldest_unacked_age());
    EXPECT_EQ(frame.heartbeat().backlog().lost_events(), 0);
  }
  call.Send("flow { max_outstanding_messages: 2 max_outstanding_bytes: 100000 }");
  EXPECT_EQ(call.NextDeliveries(2).size(), 2u);
}

// A client that limited its messages alone had set its bytes to 0: silence for ever.
TEST_F(ConsumeTest, WhatLimitsDoNotSetIsTheDefault) {
  StartGateway();
  Create();
  StoreMany(3);
  ConsumeCall call(gateway_->grpc(),
                   absl::StrCat(kOpen, " limits { max_outstanding_messages: 2 }"));
  const ConsumeResponse opened = call.Next();
  EXPECT_EQ(opened.opened().limits().max_outstanding_messages(), 2);
  EXPECT_EQ(opened.opened().limits().max_outstanding_bytes(), 16 << 20);
  EXPECT_EQ(call.NextDeliveries(2).size(), 2u);
  call.Send("flow { max_outstanding_bytes: 1000000 }");
  EXPECT_EQ(call.NextDeliveries(1).size(), 1u);
  ConsumeCall none(gateway_->grpc(), absl::StrCat(kOpen, " limits {}"));
  EXPECT_EQ(none.Next().opened().limits().max_outstanding_messages(), 1000);
}

TEST_F(ConsumeTest, WhoDoesNotReadBlocksNobody) {
  StartGateway();
  Create();
  ConsumeCall deaf(gateway_->grpc(),
                   "subscription: 'billing' consumer_name: 'deaf' "
                   "limits { max_outstanding_messages: 100 "
                   "max_outstanding_bytes: 268435456 }");
  ASSERT_TRUE(deaf.Next().has_opened());
  ConsumeCall call(gateway_->grpc(), kOpen);
  ASSERT_TRUE(call.Next().has_opened());
  StoreMany(1000);
  // It has its credit's worth; all else flows.
  std::set<int64_t> handled;
  while (handled.size() < 900) {
    const v1::Delivery delivery = call.NextDelivery();
    ASSERT_FALSE(delivery.delivery_id().empty());
    handled.insert(delivery.event().sequence());
    call.Ack(delivery.delivery_id());
  }
}

TEST_F(ConsumeTest, DrainSaysGoodbyeAndGivesBackUncounted) {
  StartGateway();
  Create();
  StoreMany(2);
  ConsumeCall call(gateway_->grpc(), kOpen);
  const auto deliveries = call.NextDeliveries(2);
  call.Ack(deliveries[0].delivery_id());
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
  gateway_->Signal(SIGTERM);
  const ConsumeResponse goodbye = call.Next();
  EXPECT_TRUE(goodbye.has_draining()) << goodbye.DebugString();
  const grpc::Status status = call.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_details(), HasSubstr("DRAINING"));
  EXPECT_EQ(gateway_->WaitForExit(), 0);
  StartGateway();
  ConsumeCall next(gateway_->grpc(), kOpen);
  const v1::Delivery again = next.NextDelivery();
  EXPECT_EQ(again.event().sequence(), 2);
  EXPECT_EQ(again.attempt(), 1);
  EXPECT_EQ(again.reason(), v1::DELIVERY_REASON_GATEWAY_RESTARTED);
}

TEST_F(ConsumeTest, ANewFilterJudgesWhatHasNotBeenDelivered) {
  StartGateway();
  Create("filter { subjects: 'batch_1' }");
  Store({.body = BatchFailedBody("batch_1")});
  Store({.body = BatchFailedBody("batch_2")});
  ConsumeCall call(gateway_->grpc(), kOpen);
  const v1::Delivery first = call.NextDelivery();
  EXPECT_EQ(first.event().subject(), "batch_1");
  Call(&Stub::UpdateSubscription, "name: 'billing' settings { filter { subjects: 'batch_3' } }");
  Store({.body = BatchFailedBody("batch_1")});
  Store({.body = BatchFailedBody("batch_3")});
  EXPECT_EQ(call.NextDelivery().event().subject(), "batch_3");
  // What was delivered under the old one stays due.
  call.Nack(first.delivery_id(), "delay {}");
  const v1::Delivery again = call.NextDelivery();
  EXPECT_EQ(again.event().sequence(), first.event().sequence());
  EXPECT_EQ(again.attempt(), 2);
  gateway_->Kill();
  StartGateway();
  EXPECT_THAT(Get().settings().filter().subjects(), ElementsAre("batch_3"));
}

TEST_F(ConsumeTest, SeekingForgetsWhatIsInFlightAndBeginsThere) {
  StartGateway();
  Create();
  StoreMany(3);
  ConsumeCall call(gateway_->grpc(), kOpen);
  const auto before = call.NextDeliveries(3);
  call.Ack(before[1].delivery_id());
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
  Call(&Stub::SeekSubscription,
       absl::StrCat("name: 'billing' target { after_cursor: '", before[0].event().cursor(), "' }"));
  const auto after = call.NextDeliveries(2);
  EXPECT_EQ(after[0].event().sequence(), 2) << "acked before, and asked for again";
  EXPECT_EQ(after[1].event().sequence(), 3);
  EXPECT_EQ(after[1].attempt(), 1);
  call.Ack(before[2].delivery_id());
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_UNKNOWN);
  call.Ack(after[1].delivery_id());
  EXPECT_EQ(call.NextResult().result(), AckResult::RESULT_OK);
}

TEST_F(ConsumeTest, DeletingEndsTheStreamsAndASuccessorStartsAfresh) {
  StartGateway();
  Create();
  StoreMany(1);
  ConsumeCall call(gateway_->grpc(), kOpen);
  const std::string id = call.NextDelivery().delivery_id();
  Call(&Stub::DeleteSubscription, "name: 'billing'");
  const grpc::Status status = call.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_details(), HasSubstr("SUBSCRIPTION_NOT_FOUND"));
  Create();
  ConsumeCall successor(gateway_->grpc(), kOpen);
  EXPECT_NE(successor.NextDelivery().delivery_id(), id);
  successor.Ack(id);
  EXPECT_EQ(successor.NextResult().result(), AckResult::RESULT_UNKNOWN);
}

TEST_F(ConsumeTest, PullTakesWhatIsThereAndAcknowledgeSettlesIt) {
  StartGateway();
  Create();
  StoreMany(3);
  const std::string pull = "subscription: 'billing' consumer_name: 'cron' max_events: 2";
  const auto first = Call(&Stub::Pull, pull);
  ASSERT_EQ(first.deliveries_size(), 2);
  EXPECT_EQ(Call(&Stub::Pull, pull).deliveries_size(), 0) << "what it holds counts";
  const auto results =
      Call(&Stub::Acknowledge,
           absl::StrCat("subscription: 'billing' ack { delivery_ids: '",
                        first.deliveries(0).delivery_id(), "' } nack { items { delivery_id: '",
                        first.deliveries(1).delivery_id(), "' delay {} } }"));
  ASSERT_EQ(results.results_size(), 2);
  EXPECT_EQ(results.results(0).result(), AckResult::RESULT_OK);
  EXPECT_EQ(results.results(1).result(), AckResult::RESULT_OK);
  // A redelivery and a new event: a call returns as soon as it has one of them.
  std::vector<int> attempts;
  while (attempts.size() < 2) {
    const auto more = Call(&Stub::Pull, pull + " wait { seconds: 30 }");
    ASSERT_GT(more.deliveries_size(), 0);
    for (const v1::Delivery& delivery : more.deliveries()) attempts.push_back(delivery.attempt());
  }
  EXPECT_THAT(attempts, testing::UnorderedElementsAre(1, 2));
}

// Of 10,001 acks in one call the last one was answered as if there were no such delivery.
TEST_F(ConsumeTest, AcknowledgeWithTooManyItemsDoesNothing) {
  StartGateway();
  Create();
  StoreMany(1);
  const auto pulled =
      Call(&Stub::Pull, "subscription: 'billing' consumer_name: 'cron' max_events: 1");
  ASSERT_EQ(pulled.deliveries_size(), 1);
  const std::string& id = pulled.deliveries(0).delivery_id();
  std::string many = absl::StrCat("subscription: 'billing' ack { delivery_ids: '", id, "'");
  for (int i = 0; i < 10'000; ++i) many += " delivery_ids: 'a'";
  v1::AcknowledgeResponse response;
  const grpc::Status status = TryCall(&Stub::Acknowledge, many + " }", response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("ack.delivery_ids: has 10001 entries"));
  EXPECT_EQ(Get().in_flight(), 1);
  const auto acked = Call(&Stub::Acknowledge,
                          absl::StrCat("subscription: 'billing' ack { delivery_ids: '", id, "' }"));
  EXPECT_EQ(acked.results(0).result(), AckResult::RESULT_OK);
}

TEST_F(ConsumeTest, PullWaitsForTheFirst) {
  StartGateway();
  Create();
  v1::PullResponse pulled;
  std::thread puller([&] {
    pulled = Call(&Stub::Pull,
                  "subscription: 'billing' consumer_name: 'cron' max_events: 2 "
                  "wait { seconds: 30 }");
  });
  GetWhen([](const auto& now) { return now.consumers_size() == 1; });
  StoreMany(1);
  puller.join();
  EXPECT_EQ(pulled.deliveries_size(), 1);
  EXPECT_EQ(Call(&Stub::Pull,
                 "subscription: 'billing' consumer_name: 'other' max_events: 2 "
                 "wait { nanos: 1000000 }")
                .deliveries_size(),
            0);
}

TEST_F(ConsumeTest, ListIsByNameAndPaged) {
  StartGateway();
  for (const char* name : {"b", "c", "a"}) Create("", kFromEarliest, name);
  const auto first = Call(&Stub::ListSubscriptions, "page_size: 2");
  ASSERT_EQ(first.subscriptions_size(), 2);
  EXPECT_EQ(first.subscriptions(0).name(), "a");
  EXPECT_EQ(first.subscriptions(1).name(), "b");
  const auto second =
      Call(&Stub::ListSubscriptions, absl::StrCat("page_token: '", first.next_page_token(), "'"));
  ASSERT_EQ(second.subscriptions_size(), 1);
  EXPECT_EQ(second.subscriptions(0).name(), "c");
  EXPECT_TRUE(second.next_page_token().empty());
}

TEST_F(ConsumeTest, SettingsAreShownWithTheirDefaults) {
  StartGateway();
  Create("filter { types: 'batch.*' }");
  const v1::SubscriptionSettings settings = Get().settings();
  EXPECT_THAT(settings.filter().types(), ElementsAre("batch.*"));
  EXPECT_EQ(settings.ack_deadline().seconds(), 30);
  EXPECT_EQ(settings.max_attempts(), 10);
  EXPECT_EQ(settings.minimum_backoff().seconds(), 1);
  EXPECT_EQ(settings.maximum_backoff().seconds(), 600);
}

TEST_F(ConsumeTest, WhatIsWrongIsNamed) {
  StartGateway();
  Create();
  v1::CreateSubscriptionResponse created;
  const auto refused = [&](const std::string& request) {
    const grpc::Status status = TryCall(&Stub::CreateSubscription, request, created);
    return absl::StrCat(status.error_code(), " ", status.error_message());
  };
  EXPECT_THAT(refused("name: 'x'"), HasSubstr("start: is missing"));
  EXPECT_THAT(refused(absl::StrCat("name: 'No Such' ", kFromEarliest)),
              HasSubstr("name: has other"));
  EXPECT_THAT(refused(absl::StrCat("name: 'billing' ", kFromEarliest)),
              HasSubstr("6 there is a subscription billing"));
  EXPECT_THAT(
      refused(absl::StrCat("name: 'x' settings { ack_deadline { seconds: 4 } } ", kFromEarliest)),
      HasSubstr("settings.ack_deadline: is 4s; it must be from 5s to 12h"));
  EXPECT_THAT(refused(absl::StrCat("name: 'x' settings { max_attempts: 0 } ", kFromEarliest)),
              HasSubstr("settings.max_attempts: is 0"));
  EXPECT_THAT(
      refused(absl::StrCat("name: 'x' settings { filter { types: 'a*b' } } ", kFromEarliest)),
      HasSubstr("settings.filter.types[0]"));
  EXPECT_THAT(refused("name: 'x' start { after_cursor: 'x' }"), HasSubstr("start.after_cursor"));
  EXPECT_THAT(refused("name: 'x' start { after_cursor: '0000000000000000-1' }"),
              HasSubstr("belongs to another log"));

  EXPECT_EQ(EndOf("subscription: 'none' consumer_name: 'a'").error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(EndOf("subscription: 'billing'").error_message(), HasSubstr("open.consumer_name"));
  EXPECT_THAT(
      EndOf(absl::StrCat(kOpen, " limits { max_outstanding_messages: 10001 }")).error_message(),
      HasSubstr("open.limits.max_outstanding_messages"));
  EXPECT_THAT(EndOf(absl::StrCat(kOpen, " heartbeat_interval {}")).error_message(),
              HasSubstr("open.heartbeat_interval"));
  EXPECT_THAT(EndOf(kOpen, absl::StrCat("open { ", kOpen, " }")).error_message(),
              HasSubstr("twice"));
}

TEST_F(ConsumeTest, RetentionKeepsWhatIsNotSettledUpToACap) {
  StartWithConfig(R"(
    sources { name: "openai" secrets { name: "test" file: "SECRET_FILE" } }
    storage { retention { seconds: 345600 } max_unsettled_age { seconds: 864000 } })");
  stub_ = ConnectToSubscriptions(gateway_->grpc());
  Create();
  StoreMany(10);
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
  MakeOld(data_dir_, 10, absl::Hours(24 * 5));
  MakeOld(data_dir_, 4, absl::Hours(24 * 11));
  StartWithConfig(R"(
    sources { name: "openai" secrets { name: "test" file: "SECRET_FILE" } }
    storage { retention { seconds: 345600 } max_unsettled_age { seconds: 864000 } })");
  stub_ = ConnectToSubscriptions(gateway_->grpc());
  const v1::Subscription now = GetWhen([](const auto& s) { return s.backlog().lost_events() > 0; });
  EXPECT_EQ(now.backlog().lost_events(), 4);
  EXPECT_EQ(now.backlog().events(), 6);
  EXPECT_THAT(gateway_->log(), HasSubstr("had not settled"));
  ConsumeCall call(gateway_->grpc(),
                   absl::StrCat(kOpen, " heartbeat_interval { nanos: 100000000 }"));
  const auto deliveries = call.NextDeliveries(6);
  ASSERT_EQ(deliveries.size(), 6u);
  EXPECT_EQ(deliveries[0].event().sequence(), 5);
  const ConsumeResponse heartbeat = call.Next();
  ASSERT_TRUE(heartbeat.has_heartbeat());
  EXPECT_EQ(heartbeat.heartbeat().backlog().lost_events(), 4);
}

// Of a process, in all its threads.
absl::Duration CpuTime(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::stringstream content;
  content << file.rdbuf();
  // Behind the name, which may hold blanks: the fields 14 and 15 are user and system time.
  const std::string text = content.str();
  const std::vector<std::string> fields = absl::StrSplit(text.substr(text.rfind(')') + 2), ' ');
  int64_t user = 0;
  int64_t system = 0;
  EXPECT_TRUE(absl::SimpleAtoi(fields[11], &user) && absl::SimpleAtoi(fields[12], &system));
  return absl::Seconds(user + system) / sysconf(_SC_CLK_TCK);
}

TEST_F(ConsumeTest, AThousandIdleSubscriptionsCostNothing) {
  StartGateway();
  std::vector<std::unique_ptr<ConsumeCall>> calls;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = absl::StrCat("s", i);
    Create("", kFromEarliest, name);
    if (i % 10 != 0) continue;  // The others have nobody.
    calls.push_back(std::make_unique<ConsumeCall>(
        gateway_->grpc(), absl::StrCat("subscription: '", name, "' consumer_name: 'a'")));
    ASSERT_TRUE(calls.back()->Next().has_opened());
  }
  v1::CreateSubscriptionResponse ignored;
  EXPECT_EQ(
      TryCall(&Stub::CreateSubscription, absl::StrCat("name: 'one-more' ", kFromEarliest), ignored)
          .error_code(),
      grpc::StatusCode::RESOURCE_EXHAUSTED);
  const absl::Duration before = CpuTime(gateway_->pid());
  const absl::Time begin = absl::Now();
  absl::SleepFor(absl::Seconds(3));  // What is measured is that nothing happens.
  const double share = absl::FDivDuration(CpuTime(gateway_->pid()) - before, absl::Now() - begin);
  EXPECT_LT(share, 0.05) << "of a core";
  // They are alive all the same.
  StoreMany(1);
  for (const auto& call : calls) EXPECT_EQ(call->NextDelivery().event().sequence(), 1);
}

}  // namespace
}  // namespace hookgate
