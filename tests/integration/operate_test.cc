// What operators do to the durable subscriptions of a real gateway: pause and resume them, change
// their settings without undoing what others change, have past events delivered again, and have
// jobs done on many events or dead letters.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/gateway_error.h"
#include "google/protobuf/text_format.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/consume_call.h"
#include "tests/support/eventually.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kOpen[] =
    "subscription: 'billing' consumer_name: 'a' heartbeat_interval { nanos: 100000000 }";

class OperateTest : public GatewayTest {
 protected:
  using Stub = v1::SubscriptionService::Stub;

  void StartGateway(const std::vector<std::string>& flags = {}) {
    Start(flags);
    stub_ = ConnectToSubscriptions(gateway_->grpc());
  }
  void StoreMany(int count) {
    for (int i = 0; i < count; ++i) Store({});
  }

  // Calls `method` with a request in protobuf text format.
  template <typename Request, typename Response>
  GatewayError TryCall(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                    Response*),
                       const std::string& text, Response& response) {
    Request request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return ReadGatewayError(((*stub_).*method)(&context, request, &response));
  }
  template <typename Request, typename Response>
  Response Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                const std::string& text) {
    Response response;
    const GatewayError error = TryCall(method, text, response);
    EXPECT_TRUE(error.status.ok()) << error.status;
    return response;
  }
  // The error of a call that is refused.
  template <typename Request, typename Response>
  GatewayError Refusal(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                    Response*),
                       const std::string& text) {
    Response response;
    GatewayError error = TryCall(method, text, response);
    EXPECT_FALSE(error.status.ok());
    return error;
  }
  void Create(const std::string& settings = "") {
    Call(&Stub::CreateSubscription,
         absl::StrCat("name: 'billing' settings { ", settings,
                      " } start { start_position: START_POSITION_EARLIEST }"));
  }
  v1::Subscription Get() { return Call(&Stub::GetSubscription, "name: 'billing'").subscription(); }
  // Over all other frames.
  static v1::ConsumeResponse::Heartbeat NextHeartbeat(ConsumeCall& call) {
    while (true) {
      const v1::ConsumeResponse frame = call.Next();
      if (frame.has_heartbeat()) return frame.heartbeat();
      if (frame.frame_case() == v1::ConsumeResponse::FRAME_NOT_SET) {
        ADD_FAILURE() << "the stream ended";
        return {};
      }
      EXPECT_FALSE(frame.has_deliveries()) << frame.ShortDebugString();
    }
  }

  std::unique_ptr<Stub> stub_;
};

TEST_F(OperateTest, APauseHoldsBackWhatComesAndAKillDoesNotEndIt) {
  StartGateway();
  Create();
  StoreMany(1);
  {
    ConsumeCall call(gateway_->grpc(), kOpen);
    const v1::Delivery before = call.NextDelivery();
    const v1::Subscription paused =
        Call(&Stub::PauseSubscription, "name: 'billing'").subscription();
    EXPECT_TRUE(paused.has_pause_time());
    EXPECT_THAT(paused.conditions(), ElementsAre(v1::SUBSCRIPTION_CONDITION_PAUSED));
    StoreMany(3);
    EXPECT_TRUE(call.Ack(before.delivery_id()));
    EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_OK);
    const auto heartbeat = NextHeartbeat(call);
    EXPECT_THAT(heartbeat.conditions(), ElementsAre(v1::SUBSCRIPTION_CONDITION_PAUSED));
    EXPECT_EQ(heartbeat.backlog().events(), 3);
    EXPECT_THAT(
        Call(&Stub::Pull, "subscription: 'billing' consumer_name: 'b' max_events: 5").deliveries(),
        IsEmpty());
  }
  gateway_->Kill();
  StartGateway();
  ConsumeCall call(gateway_->grpc(), kOpen);
  EXPECT_THAT(NextHeartbeat(call).conditions(), ElementsAre(v1::SUBSCRIPTION_CONDITION_PAUSED));
  const v1::Subscription resumed =
      Call(&Stub::ResumeSubscription, "name: 'billing'").subscription();
  EXPECT_FALSE(resumed.has_pause_time());
  EXPECT_THAT(resumed.conditions(), IsEmpty());
  EXPECT_EQ(call.NextDelivery().event().sequence(), 2);
}

TEST_F(OperateTest, PauseNeedsASubscription) {
  StartGateway();
  EXPECT_EQ(Refusal(&Stub::PauseSubscription, "name: 'nobody'").reason, "SUBSCRIPTION_NOT_FOUND");
  EXPECT_EQ(Refusal(&Stub::ResumeSubscription, "name: 'no body'").reason, "INVALID_REQUEST");
}

TEST_F(OperateTest, AnUpdateWithAMaskChangesWhatItNames) {
  StartGateway();
  Create("max_attempts: 7 filter { types: 'batch.failed' subjects: 'batch_1' }");
  v1::SubscriptionSettings settings =
      Call(&Stub::UpdateSubscription,
           "name: 'billing' settings { ack_deadline { seconds: 60 } max_attempts: 2 } "
           "update_mask { paths: 'ack_deadline' }")
          .subscription()
          .settings();
  EXPECT_EQ(settings.ack_deadline().seconds(), 60);
  EXPECT_EQ(settings.max_attempts(), 7);
  settings = Call(&Stub::UpdateSubscription,
                  "name: 'billing' settings { } "
                  "update_mask { paths: 'filter.subjects' paths: 'max_attempts' }")
                 .subscription()
                 .settings();
  EXPECT_THAT(settings.filter().subjects(), IsEmpty());
  EXPECT_THAT(settings.filter().types(), ElementsAre("batch.failed"));
  EXPECT_EQ(settings.max_attempts(), 10) << "named and absent: the default";
  EXPECT_EQ(settings.ack_deadline().seconds(), 60);
  for (const std::string bad :
       {"settings { } update_mask { }", "settings { } update_mask { paths: 'maximum_attempts' }",
        "settings { max_attempts: 0 } update_mask { paths: 'max_attempts' }",
        "update_mask { paths: 'max_attempts' }",
        "settings { minimum_backoff { seconds: 3600 } } update_mask { paths: 'minimum_backoff' "
        "}"}) {
    const GatewayError error =
        Refusal(&Stub::UpdateSubscription, absl::StrCat("name: 'billing' ", bad));
    EXPECT_EQ(error.reason, "INVALID_REQUEST") << bad;
  }
  EXPECT_EQ(Get().settings().SerializeAsString(), settings.SerializeAsString());
}

// Two operators read a subscription; the second one's update undid the first one's.
TEST_F(OperateTest, AnEtagKeepsTwoOperatorsFromUndoingEachOther) {
  StartGateway();
  Create();
  const std::string seen = Get().etag();
  EXPECT_FALSE(seen.empty());
  const std::string with_etag = absl::StrCat("name: 'billing' etag: '", seen, "' ");
  const v1::Subscription changed =
      Call(&Stub::UpdateSubscription,
           with_etag + "settings { max_attempts: 3 } update_mask { paths: 'max_attempts' }")
          .subscription();
  EXPECT_NE(changed.etag(), seen);
  for (const GatewayError& error :
       {Refusal(&Stub::UpdateSubscription, with_etag + "settings { max_attempts: 4 }"),
        Refusal(&Stub::SeekSubscription,
                with_etag + "target { start_position: START_POSITION_LATEST }"),
        Refusal(&Stub::PauseSubscription, with_etag), Refusal(&Stub::ResumeSubscription, with_etag),
        Refusal(&Stub::DeleteSubscription, with_etag)}) {
    EXPECT_EQ(error.status.code(), absl::StatusCode::kAborted) << error.status;
    EXPECT_EQ(error.reason, "ETAG_MISMATCH");
    EXPECT_EQ(error.metadata.at("etag"), changed.etag());
  }
  EXPECT_EQ(Get().settings().max_attempts(), 3);
  gateway_->Kill();
  StartGateway();
  EXPECT_EQ(Get().etag(), changed.etag());
  Call(&Stub::DeleteSubscription, absl::StrCat("name: 'billing' etag: '", changed.etag(), "'"));
  Create();
  EXPECT_EQ(Refusal(&Stub::DeleteSubscription,
                    absl::StrCat("name: 'billing' etag: '", changed.etag(), "'"))
                .reason,
            "ETAG_MISMATCH")
      << "a successor of the same name is another subscription";
}

// An update to what it is already, and a seek to where it is, made another operator's etag void.
TEST_F(OperateTest, WhatChangesNothingLeavesTheEtagAsItIs) {
  StartGateway();
  Create("max_attempts: 7 filter { types: 'batch.*' types: 'a' }");
  std::string etag = Get().etag();
  const auto etag_after_update = [this](const std::string& settings) {
    return Call(&Stub::UpdateSubscription, absl::StrCat("name: 'billing' ", settings))
        .subscription()
        .etag();
  };
  const auto etag_after_seek = [this](const std::string& position) {
    return Call(&Stub::SeekSubscription,
                absl::StrCat("name: 'billing' target { start_position: START_POSITION_", position,
                             " }"))
        .subscription()
        .etag();
  };
  EXPECT_EQ(etag_after_update("settings { max_attempts: 7 } update_mask { paths: 'max_attempts' }"),
            etag);
  EXPECT_EQ(
      etag_after_update("settings { max_attempts: 7 filter { types: 'batch.*' types: 'a' } }"),
      etag);
  EXPECT_EQ(etag_after_seek("EARLIEST"), etag);
  EXPECT_NE(etag_after_update("settings { max_attempts: 8 } update_mask { paths: 'max_attempts' }"),
            etag);
  StoreMany(2);
  etag = etag_after_seek("LATEST");
  EXPECT_EQ(etag_after_seek("LATEST"), etag);
  EXPECT_EQ(Get().backlog().events(), 0);
  // What is unsettled is taken back: that is a change.
  Call(&Stub::RedeliverEvents, "subscription: 'billing' sequences: 1");
  EXPECT_EQ(Get().backlog().events(), 1);
  EXPECT_NE(etag_after_seek("LATEST"), etag);
  EXPECT_EQ(Get().backlog().events(), 0);
}

// --- Past events again, and jobs. ---

using v1::Job;

constexpr char kAllEvents[] = "subscription: 'billing' selection { start_time { seconds: 1 } } ";

class RedeliverTest : public OperateTest {
 protected:
  // Events 1 to `count`, acked.
  void StoreAndAck(int count) {
    StoreMany(count);
    ConsumeCall call(gateway_->grpc(), kOpen);
    for (const v1::Delivery& delivery : call.NextDeliveries(static_cast<size_t>(count))) {
      EXPECT_TRUE(call.Ack(delivery.delivery_id()));
      EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_OK);
    }
    call.CloseSending();
    EXPECT_TRUE(call.Finish().ok());
  }
  // A dead letter of each of the events that are unsettled; the reason is "no route N".
  void NackAll(int count) {
    ConsumeCall call(gateway_->grpc(), kOpen);
    for (const v1::Delivery& delivery : call.NextDeliveries(static_cast<size_t>(count))) {
      EXPECT_TRUE(call.Nack(
          delivery.delivery_id(),
          absl::StrCat("dead_letter: true reason: 'no route ", delivery.event().sequence(), "'")));
      EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_OK);
    }
    call.CloseSending();
    EXPECT_TRUE(call.Finish().ok());
  }
  Job AwaitEnd(const Job& started) {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (true) {
      Job job =
          Call(&Stub::GetJob, absl::StrCat("subscription: 'billing' job_id: ", started.job_id()))
              .job();
      if (job.state() != Job::STATE_RUNNING) return job;
      if (absl::Now() > end) {
        ADD_FAILURE() << "it never ended: " << job.DebugString();
        return job;
      }
      std::this_thread::yield();
    }
  }
};

// An event whose handler was wrong could be had again only by a seek, with all that came after it.
TEST_F(RedeliverTest, EventsComeAgainByTheirSequenceAndThePositionStays) {
  StartGateway();
  Create();
  StoreAndAck(3);
  const std::string position = Get().position_cursor();
  const auto response =
      Call(&Stub::RedeliverEvents, "subscription: 'billing' sequences: [2, 2, 99, 0, -1]");
  std::vector<int> outcomes;
  for (const auto& result : response.results()) outcomes.push_back(result.outcome());
  using Response = v1::RedeliverEventsResponse;
  EXPECT_THAT(outcomes,
              ElementsAre(Response::OUTCOME_REDELIVERED, Response::OUTCOME_UNSETTLED,
                          Response::OUTCOME_EVENT_NOT_FOUND, Response::OUTCOME_EVENT_NOT_FOUND,
                          Response::OUTCOME_EVENT_NOT_FOUND));
  EXPECT_EQ(Get().position_cursor(), position);
  EXPECT_EQ(Get().backlog().events(), 1);
  gateway_->Kill();
  StartGateway();
  ConsumeCall call(gateway_->grpc(), kOpen);
  const v1::Delivery again = call.NextDelivery();
  EXPECT_EQ(again.event().sequence(), 2);
  EXPECT_EQ(again.reason(), v1::DELIVERY_REASON_REPLAYED);
  EXPECT_EQ(again.attempt(), 1);
  EXPECT_TRUE(call.Ack(again.delivery_id()));
  EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_OK);
  EXPECT_EQ(Get().backlog().events(), 0);
}

// A consumer that repeats its acks removed the dead letter of a replay, although nobody had handled
// that: the event was forgotten.
TEST_F(RedeliverTest, ARepeatedAckOfBeforeLeavesTheDeadLetterOfAReplayAlone) {
  StartGateway();
  Create();
  StoreMany(1);
  std::string first;
  std::string second;
  {
    ConsumeCall call(gateway_->grpc(), kOpen);
    first = call.NextDelivery().delivery_id();
    EXPECT_TRUE(call.Ack(first));
    EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_OK);
    Call(&Stub::RedeliverEvents, "subscription: 'billing' sequences: 1");
    second = call.NextDelivery().delivery_id();
    EXPECT_TRUE(call.Nack(second, "dead_letter: true"));
    EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_OK);
    EXPECT_TRUE(call.Ack(first));
    EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_ALREADY);
    EXPECT_TRUE(call.Nack(first));
    EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_ALREADY);
  }
  gateway_->Kill();
  StartGateway();
  EXPECT_EQ(Get().dead_letters(), 1);
  ConsumeCall call(gateway_->grpc(), kOpen);
  EXPECT_TRUE(call.Ack(first));
  EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_ALREADY);
  EXPECT_EQ(Get().dead_letters(), 1);
  // Asked for once more: then the second delivery is one of before as well.
  Call(&Stub::RedeliverEvents, "subscription: 'billing' sequences: 1");
  EXPECT_TRUE(call.Ack(second));
  EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_ALREADY);
  const v1::Delivery third = call.NextDelivery();
  EXPECT_EQ(third.reason(), v1::DELIVERY_REASON_REPLAYED);
  EXPECT_TRUE(call.Ack(third.delivery_id()));
  EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_OK);
  EXPECT_EQ(Get().dead_letters(), 0);
  EXPECT_EQ(Get().backlog().events(), 0);
}

TEST_F(RedeliverTest, WhatTheFilterDoesNotAdmitComesOnlyIfThatIsMeant) {
  StartGateway();
  Create("filter { types: 'batch.failed' subjects: 'batch_1' }");
  Store({.body = BatchFailedBody("batch_1")});
  Store({.body = BatchFailedBody("batch_2")});
  {
    ConsumeCall call(gateway_->grpc(), kOpen);
    EXPECT_TRUE(call.Ack(call.NextDelivery().delivery_id()));
    EXPECT_EQ(call.NextResult().result(), v1::AckResult::RESULT_OK);
    ASSERT_TRUE(Eventually("two have passed", [&] { return Get().passed_events() >= 2; }));
  }
  using Response = v1::RedeliverEventsResponse;
  EXPECT_EQ(
      Call(&Stub::RedeliverEvents, "subscription: 'billing' sequences: 2").results(0).outcome(),
      Response::OUTCOME_NOT_ADMITTED);
  EXPECT_EQ(
      Call(&Stub::RedeliverEvents, absl::StrCat(kAllEvents, "preview: true")).preview().count(), 1);
  EXPECT_EQ(Call(&Stub::RedeliverEvents,
                 "subscription: 'billing' preview: true "
                 "selection { start_time { seconds: 1 } include_not_admitted: true }")
                .preview()
                .count(),
            2);
  EXPECT_EQ(Call(&Stub::RedeliverEvents,
                 "subscription: 'billing' sequences: 2 include_not_admitted: true")
                .results(0)
                .outcome(),
            Response::OUTCOME_REDELIVERED);
}

TEST_F(RedeliverTest, AJobBringsAWindowAndGoesOnAfterAKill) {
  constexpr int kEvents = 30;
  StartGateway();
  Create();
  StoreAndAck(kEvents);
  Call(&Stub::PauseSubscription, "name: 'billing'");
  const Job started = Call(&Stub::RedeliverEvents, kAllEvents).job();
  EXPECT_EQ(started.job_id(), 1);
  EXPECT_EQ(started.last_sequence(), kEvents);
  gateway_->Kill();
  StartGateway();
  const Job ended = AwaitEnd(started);
  EXPECT_EQ(ended.state(), Job::STATE_SUCCEEDED);
  EXPECT_EQ(ended.matched_count(), kEvents);
  EXPECT_EQ(ended.done_count(), kEvents) << "a step is done once, whenever the process ends";
  Call(&Stub::ResumeSubscription, "name: 'billing'");
  ConsumeCall call(gateway_->grpc(), kOpen);
  std::map<int64_t, int> seen;
  for (const v1::Delivery& delivery : call.NextDeliveries(kEvents)) {
    ++seen[delivery.event().sequence()];
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(kEvents));
  const auto jobs = Call(&Stub::ListJobs, "subscription: 'billing'").jobs();
  ASSERT_EQ(jobs.size(), 1);
  EXPECT_EQ(jobs[0].SerializeAsString(), ended.SerializeAsString());
}

TEST_F(RedeliverTest, DeadLettersAreRedrivenAndDiscardedByWhatTheyAre) {
  StartGateway();
  Create();
  StoreMany(12);
  NackAll(12);
  EXPECT_EQ(Get().dead_letters(), 12);
  const std::string ones = "subscription: 'billing' selection { reason_contains: 'route 1' } ";
  const auto preview =
      Call(&Stub::DiscardDeadLetters, absl::StrCat(ones, "preview: true")).preview();
  EXPECT_EQ(preview.count(), 4);
  EXPECT_FALSE(preview.count_truncated());
  EXPECT_THAT(preview.first_sequences(), ElementsAre(1, 10, 11, 12));
  EXPECT_EQ(Get().dead_letters(), 12);
  EXPECT_EQ(AwaitEnd(Call(&Stub::DiscardDeadLetters, ones).job()).done_count(), 4);
  EXPECT_EQ(Get().dead_letters(), 8);
  const Job none =
      AwaitEnd(Call(&Stub::RedriveDeadLetters,
                    "subscription: 'billing' selection { filter { types: 'response.failed' } }")
                   .job());
  EXPECT_EQ(none.examined_count(), 8);
  EXPECT_EQ(none.matched_count(), 0);
  const Job redriven =
      AwaitEnd(Call(&Stub::RedriveDeadLetters,
                    "subscription: 'billing' selection { filter { types: 'batch.*' } causes: "
                    "CAUSE_CONSUMER_DECIDED }")
                   .job());
  EXPECT_EQ(redriven.done_count(), 8);
  EXPECT_EQ(Get().dead_letters(), 0);
  ConsumeCall call(gateway_->grpc(), kOpen);
  EXPECT_EQ(call.NextDelivery().reason(), v1::DELIVERY_REASON_REDRIVEN);
}

TEST_F(RedeliverTest, WrongRequestsDoNothing) {
  StartGateway();
  Create();
  StoreAndAck(1);
  for (const std::string bad :
       {"", "sequences: 1 selection { start_time { seconds: 1 } }", "sequences: 1 preview: true",
        "selection { }", "selection { start_time { seconds: 9 } end_time { seconds: 8 } }",
        "selection { start_time { nanos: -1 } }",
        "selection { start_time { seconds: 1 } filter { types: '' } }"}) {
    const GatewayError error =
        Refusal(&Stub::RedeliverEvents, absl::StrCat("subscription: 'billing' ", bad));
    EXPECT_EQ(error.reason, "INVALID_REQUEST") << bad;
  }
  std::string many = "subscription: 'billing' ";
  for (int i = 0; i <= 1000; ++i) many += "sequences: 1 ";
  EXPECT_EQ(Refusal(&Stub::RedeliverEvents, many).reason, "INVALID_REQUEST");
  EXPECT_EQ(Refusal(&Stub::RedeliverEvents, "subscription: 'nobody' sequences: 1").reason,
            "SUBSCRIPTION_NOT_FOUND");
  EXPECT_EQ(Refusal(&Stub::DiscardDeadLetters, "subscription: 'billing' preview: true").reason,
            "INVALID_REQUEST");
  EXPECT_EQ(Refusal(&Stub::RedriveDeadLetters,
                    "subscription: 'billing' selection { causes: CAUSE_UNSPECIFIED }")
                .reason,
            "INVALID_REQUEST");
  EXPECT_EQ(Refusal(&Stub::GetJob, "subscription: 'billing' job_id: 1").reason, "JOB_NOT_FOUND");
  EXPECT_EQ(Refusal(&Stub::CancelJob, "subscription: 'billing' job_id: -5").reason,
            "JOB_NOT_FOUND");
  EXPECT_EQ(Refusal(&Stub::ListJobs, "subscription: 'billing' page_token: 'x'").reason,
            "INVALID_REQUEST");
  EXPECT_EQ(Get().backlog().events(), 0);
  // A window that holds nothing is no error.
  const Job empty =
      AwaitEnd(Call(&Stub::RedeliverEvents,
                    "subscription: 'billing' selection { start_time { seconds: 4102444800 } }")
                   .job());
  EXPECT_EQ(empty.state(), Job::STATE_SUCCEEDED);
  EXPECT_EQ(empty.examined_count(), 0);
}

}  // namespace
}  // namespace hookgate
