// P12: every event can be explained, and what never became one, by a real gateway.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/text_format.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "server/access/access_policy.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/aged_log.h"
#include "tests/support/consume_call.h"
#include "tests/support/event_stream.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using v1::Absence;
using v1::EventDelivery;
using v1::ExplainEventRequest;
using v1::ExplainEventResponse;

constexpr char kTwoSources[] = R"(
  sources { name: "openai" secrets { name: "main" file: "SECRET_FILE" } }
  sources { name: "staging" secrets { name: "main" file: "SECRET_FILE" } })";
constexpr char kFromEarliest[] = "start { start_position: START_POSITION_EARLIEST }";

// The body of an event that no schema knows.
std::string Body(const std::string& id, const std::string& subject) {
  return absl::StrCat(R"({"id":")", id, R"(","type":"moon.landed","data":{"id":")", subject,
                      "\"}}");
}

std::string TokenOf(const std::string& name) {
  std::string token = absl::StrCat("hush-hush-", name, "-5f1c9a7e3b");
  SecretWatch::OfThisProgram().KeepToken(absl::StrCat("the token of \"", name, "\""), token);
  return token;
}

// A principal of this name, known by the token of its name.
std::string Principal(const std::string& name, const std::string& rights) {
  const TokenDigest digest = DigestOf(TokenOf(name));
  return absl::StrCat(
      " principals { name: \"", name, "\" rights { ", rights, " } token_sha256: \"",
      absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()}),
      "\" }");
}

class ExplainTest : public GatewayTest {
 protected:
  void StartGateway(const std::string& config = kTwoSources) {
    StartWithConfig(config);
    events_ = ConnectTo(gateway_->grpc());
    subscriptions_ = ConnectToSubscriptions(gateway_->grpc());
  }
  void Stop() {
    gateway_->Signal(SIGTERM);
    EXPECT_EQ(gateway_->WaitForExit(), 0);
  }

  grpc::Status TryExplain(const ExplainEventRequest& request, ExplainEventResponse& response,
                          const std::string& principal = "") {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    if (!principal.empty()) {
      context.AddMetadata("authorization", "Bearer " + TokenOf(principal));
    }
    return events_->ExplainEvent(&context, request, &response);
  }
  // The answer to a request in protobuf text format.
  ExplainEventResponse Explain(const std::string& text, const std::string& principal = "") {
    ExplainEventRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    ExplainEventResponse response;
    const grpc::Status status = TryExplain(request, response, principal);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  grpc::StatusCode CodeOf(const std::string& text, const std::string& principal = "") {
    ExplainEventRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    ExplainEventResponse response;
    return TryExplain(request, response, principal).error_code();
  }
  // Where event `sequence` is in a subscription.
  EventDelivery In(const std::string& subscription, int64_t sequence) {
    const ExplainEventResponse response =
        Explain(absl::StrCat("sequence: ", sequence, " subscriptions: '", subscription, "'"));
    EXPECT_EQ(response.deliveries_size(), 1) << response.DebugString();
    if (response.deliveries().empty()) return EventDelivery();
    EXPECT_EQ(response.deliveries(0).subscription(), subscription);
    return response.deliveries(0).delivery();
  }
  // Asks until it is in `state`.
  EventDelivery InWhen(const std::string& subscription, int64_t sequence, v1::DeliveryState state) {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (true) {
      EventDelivery delivery = In(subscription, sequence);
      if (delivery.state() == state) return delivery;
      if (absl::Now() > end) {
        ADD_FAILURE() << "it never came: " << delivery.DebugString();
        return delivery;
      }
      std::this_thread::yield();
    }
  }

  template <typename Request, typename Response>
  void Call(grpc::Status (v1::SubscriptionService::Stub::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
            const std::string& text) {
    Request request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    Response response;
    const grpc::Status status = ((*subscriptions_).*method)(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  void Create(const std::string& name, const std::string& filter = "",
              const std::string& start = kFromEarliest) {
    Call(&v1::SubscriptionService::Stub::CreateSubscription,
         absl::StrCat("name: '", name, "' settings { filter { ", filter, " } } ", start));
  }
  std::unique_ptr<ConsumeCall> Consume(const std::string& subscription,
                                       const std::string& consumer = "worker-1") {
    return std::make_unique<ConsumeCall>(
        gateway_->grpc(), absl::StrCat("subscription: '", subscription, "' consumer_name: '",
                                       consumer, "' heartbeat_interval { nanos: 100000000 }"));
  }
  // What a program of SQL does to the log, which no gateway has open.
  void Change(const std::string& sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open((data_dir_ + "/events.db").c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }

  std::unique_ptr<v1::EventService::Stub> events_;
  std::unique_ptr<v1::SubscriptionService::Stub> subscriptions_;
};

TEST_F(ExplainTest, EventIsFoundByAllThatAPersonMayHaveInHand) {
  StartGateway();
  Store({.webhook_id = "wh_1", .body = Body("evt_1", "moon_1")});
  Store({.webhook_id = "wh_2", .body = Body("evt_2", "moon_2"), .source = "staging"});
  for (const char* const key : {"sequence: 2", "text: 'evt_2'", "text: 'moon_2'", "text: 'wh_2'",
                                "webhook { source: 'staging' webhook_id: 'wh_2' }"}) {
    const ExplainEventResponse response = Explain(key);
    EXPECT_EQ(response.event().sequence(), 2) << key;
    EXPECT_FALSE(response.has_absence()) << key;
    EXPECT_THAT(response.event().raw_body(), IsEmpty()) << key;
  }
  EXPECT_EQ(Explain("text: 'evt_2' include_raw_body: true").event().raw_body(),
            Body("evt_2", "moon_2"));
}

TEST_F(ExplainTest, OfSeveralEventsTheNewestIsExplained) {
  StartGateway();
  for (int i = 1; i <= 3; ++i) Store({.body = Body(absl::StrCat("evt_", i), "moon")});
  ExplainEventResponse response = Explain("text: 'moon'");
  EXPECT_EQ(response.event().sequence(), 3);
  ASSERT_EQ(response.other_events_size(), 2);
  EXPECT_EQ(response.other_events(0).sequence(), 2);
  EXPECT_EQ(response.other_events(1).type(), "moon.landed");
  EXPECT_FALSE(response.more_other_events());
  for (int i = 4; i <= 30; ++i) Store({.body = Body(absl::StrCat("evt_", i), "moon")});
  response = Explain("text: 'moon'");
  EXPECT_EQ(response.event().sequence(), 30);
  EXPECT_EQ(response.other_events_size(), 19);
  EXPECT_TRUE(response.more_other_events());
}

TEST_F(ExplainTest, ArrivalTellsSecretsSkewAndRepeats) {
  StartGateway(R"(
    sources {
      name: "openai"
      secrets { name: "old" file: "SECRET_FILE" }
      secrets { name: "new" inline: "NEW_SECRET" }
    })");
  SignedWebhook webhook = {.webhook_id = "wh_1",
                           .body = Body("evt_1", "moon_1"),
                           .webhook_time = absl::Now() - absl::Seconds(20)};
  Store(webhook);
  v1::Arrival arrival = Explain("sequence: 1").arrival();
  EXPECT_THAT(arrival.secrets(), ElementsAre("old"));
  EXPECT_GE(arrival.skew().seconds(), 19);
  EXPECT_LT(arrival.skew().seconds(), 300);
  EXPECT_EQ(arrival.duplicates(), 0);
  EXPECT_FALSE(arrival.has_last_repeat_time());
  for (int i = 0; i < 2; ++i) EXPECT_THAT(Send(webhook).body, HasSubstr("duplicate"));
  webhook.body = Body("evt_1", "moon_2");
  EXPECT_THAT(Send(webhook).body, HasSubstr("duplicate"));
  arrival = Explain("sequence: 1").arrival();
  EXPECT_EQ(arrival.duplicates(), 2);
  EXPECT_EQ(arrival.conflicts(), 1);
  EXPECT_GE(arrival.last_repeat_time().seconds(), arrival.first_time().seconds());
  Stop();
  StartGateway();
  arrival = Explain("sequence: 1").arrival();
  EXPECT_EQ(arrival.duplicates(), 2) << "a graceful shutdown forgets none";
  EXPECT_EQ(arrival.conflicts(), 1);
  EXPECT_THAT(arrival.secrets(), ElementsAre("old"));
}

TEST_F(ExplainTest, EventThatWasDeliveredHasAState) {
  StartGateway();
  Create("billing");
  for (int i = 1; i <= 4; ++i) Store({.body = Body(absl::StrCat("evt_", i), "moon")});
  EXPECT_EQ(In("billing", 1).state(), v1::DELIVERY_STATE_NOT_REACHED);
  const auto call = Consume("billing");
  const std::vector<v1::Delivery> deliveries = call->NextDeliveries(4);
  ASSERT_EQ(deliveries.size(), 4u);

  EventDelivery leased = In("billing", 1);
  EXPECT_EQ(leased.state(), v1::DELIVERY_STATE_LEASED);
  EXPECT_EQ(leased.consumer(), "worker-1");
  EXPECT_EQ(leased.attempt(), 1);
  EXPECT_GT(leased.until_time().seconds(), absl::ToUnixSeconds(absl::Now()));

  call->Ack(deliveries[0].delivery_id());
  EXPECT_EQ(call->NextResult().result(), v1::AckResult::RESULT_OK);
  const EventDelivery acked = In("billing", 1);
  EXPECT_EQ(acked.state(), v1::DELIVERY_STATE_ACKED);
  EXPECT_EQ(acked.consumer(), "worker-1");
  EXPECT_EQ(acked.attempt(), 1);
  EXPECT_TRUE(acked.has_state_time());

  call->Nack(deliveries[1].delivery_id(), "reason: 'smtp down' delay { seconds: 3600 }");
  EXPECT_EQ(call->NextResult().result(), v1::AckResult::RESULT_OK);
  const EventDelivery waiting = In("billing", 2);
  EXPECT_EQ(waiting.state(), v1::DELIVERY_STATE_WAITING);
  EXPECT_EQ(waiting.reason(), "smtp down");
  EXPECT_EQ(waiting.last_end(), v1::DELIVERY_END_NACKED);
  EXPECT_EQ(waiting.attempt(), 2);
  EXPECT_GT(waiting.until_time().seconds(), absl::ToUnixSeconds(absl::Now()) + 1800);
  ASSERT_EQ(waiting.attempts_size(), 1);
  EXPECT_EQ(waiting.attempts(0).end(), v1::DELIVERY_END_NACKED);

  for (const int64_t index : {2, 3}) {
    call->Nack(deliveries[static_cast<size_t>(index)].delivery_id(),
               "reason: 'no such user' dead_letter: true");
    EXPECT_EQ(call->NextResult().result(), v1::AckResult::RESULT_OK);
  }
  const EventDelivery dead = In("billing", 3);
  EXPECT_EQ(dead.state(), v1::DELIVERY_STATE_DEAD_LETTERED);
  EXPECT_EQ(dead.reason(), "no such user");
  EXPECT_EQ(dead.last_end(), v1::DELIVERY_END_CONSUMER_DECIDED);
  Call(&v1::SubscriptionService::Stub::DiscardDeadLetters, "subscription: 'billing' sequences: 4");
  EXPECT_EQ(In("billing", 4).state(), v1::DELIVERY_STATE_DISCARDED);

  Call(&v1::SubscriptionService::Stub::SeekSubscription,
       "name: 'billing' target { start_position: START_POSITION_LATEST }");
  EXPECT_EQ(In("billing", 2).state(), v1::DELIVERY_STATE_SKIPPED);
  EXPECT_EQ(In("billing", 1).state(), v1::DELIVERY_STATE_ACKED);
}

TEST_F(ExplainTest, EventThatWasNotDeliveredIsToldWhy) {
  StartGateway();
  Store({.body = Body("evt_1", "moon_1")});
  Create("late", "", "start { start_position: START_POSITION_LATEST }");
  Create("sources", "sources: 'staging'");
  Create("types", "types: 'batch.*'");
  Create("subjects", "subjects: 'moon_2'");
  EXPECT_EQ(In("late", 1).state(), v1::DELIVERY_STATE_BEFORE_START);
  const EventDelivery ahead = In("types", 1);
  EXPECT_EQ(ahead.state(), v1::DELIVERY_STATE_NOT_REACHED);
  const std::vector<std::pair<std::string, v1::FilterList>> lists = {
      {"sources", v1::FILTER_LIST_SOURCES},
      {"types", v1::FILTER_LIST_TYPES},
      {"subjects", v1::FILTER_LIST_SUBJECTS}};
  for (const auto& [name, list] : lists) {
    const auto call = Consume(name);
    EXPECT_EQ(InWhen(name, 1, v1::DELIVERY_STATE_FILTERED).filtered_by(), list) << name;
  }
  const ExplainEventResponse all = Explain("text: 'moon_1'");
  ASSERT_EQ(all.deliveries_size(), 4);
  EXPECT_EQ(all.deliveries(0).subscription(), "late");
  EXPECT_EQ(all.deliveries(3).subscription(), "types");
}

// Each restart forgot that they had been looked at, and a filter that was changed afterwards let
// them all in.
TEST_F(ExplainTest, WhatAFilterDidNotAdmitIsNotLookedAtAgainAfterARestart) {
  StartGateway();
  Create("none", "types: 'batch.failed'");
  for (int i = 1; i <= 3; ++i) Store({.body = Body(absl::StrCat("evt_", i), "moon")});
  {
    const auto call = Consume("none");
    InWhen("none", 3, v1::DELIVERY_STATE_FILTERED);
  }
  Stop();
  StartGateway();
  Call(&v1::SubscriptionService::Stub::UpdateSubscription, "name: 'none' settings { filter {} }");
  Store({.body = Body("evt_4", "moon")});
  const auto call = Consume("none");
  EXPECT_EQ(call->NextDelivery().event().sequence(), 4);
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(In("none", i).state(), v1::DELIVERY_STATE_FILTERED);
}

TEST_F(ExplainTest, WhatIsNoLongerRememberedIsSaidToBeSo) {
  StartGateway();
  Create("billing");
  Store({.body = Body("evt_1", "moon_1")});
  const auto call = Consume("billing");
  call->Ack(call->NextDelivery().delivery_id());
  EXPECT_EQ(call->NextResult().result(), v1::AckResult::RESULT_OK);
  call->CloseSending();
  EXPECT_TRUE(call->Finish().ok());
  Stop();
  Change("DELETE FROM delivery_history");
  StartGateway();
  EXPECT_EQ(In("billing", 1).state(), v1::DELIVERY_STATE_NOT_REMEMBERED);
}

TEST_F(ExplainTest, EventThatRetentionRemovedIsExplainedAsFarAsItIsRemembered) {
  const std::string config = absl::StrCat(
      kTwoSources,
      " storage { retention { seconds: 345600 } max_unsettled_age { seconds: 345600 } }");
  StartGateway(config);
  Create("billing");
  for (int i = 1; i <= 3; ++i) Store({.body = Body(absl::StrCat("evt_", i), "moon")});
  Stop();
  // The first two are as old as can be.
  MakeOld(data_dir_, 2, absl::Hours(24 * 10));
  StartGateway(config);
  EXPECT_EQ(InWhen("billing", 1, v1::DELIVERY_STATE_LOST).state(), v1::DELIVERY_STATE_LOST);
  const ExplainEventResponse removed = Explain("sequence: 1");
  EXPECT_FALSE(removed.has_event());
  EXPECT_FALSE(removed.has_arrival());
  EXPECT_EQ(removed.absence().cause(), Absence::CAUSE_REMOVED);
  EXPECT_EQ(removed.absence().earliest_sequence(), 3);
  EXPECT_EQ(removed.absence().head_sequence(), 3);
  EXPECT_TRUE(removed.absence().has_earliest_receive_time());
  EXPECT_EQ(removed.deliveries_size(), 1);
  EXPECT_EQ(Explain("text: 'evt_1'").absence().cause(), Absence::CAUSE_NEVER_SEEN);
}

TEST_F(ExplainTest, WhatNeverBecameAnEventIsToldWhy) {
  StartGateway();
  Store({});
  const ExplainEventResponse not_yet = Explain("sequence: 2");
  EXPECT_EQ(not_yet.absence().cause(), Absence::CAUSE_NOT_YET);
  EXPECT_EQ(not_yet.absence().head_sequence(), 1);

  const ExplainEventResponse never = Explain("text: 'evt_9'");
  EXPECT_EQ(never.absence().cause(), Absence::CAUSE_NEVER_SEEN);
  EXPECT_FALSE(never.absence().admin_only()) << "without principals, everybody may know";
  ASSERT_EQ(never.absence().sources_size(), 2);
  EXPECT_EQ(never.absence().sources(0).source(), "openai");
  EXPECT_TRUE(never.absence().sources(0).has_time());
  EXPECT_FALSE(never.absence().sources(1).has_time());
  EXPECT_THAT(never.deliveries(), IsEmpty());
  EXPECT_EQ(Explain("webhook { source: 'openai' webhook_id: 'wh_9' }").absence().sources_size(), 1);

  EXPECT_EQ(Send({.webhook_id = "wh_3", .body = "no JSON"}).status, 400);
  for (const char* const key :
       {"text: 'wh_3'", "webhook { source: 'openai' webhook_id: 'wh_3' }"}) {
    const Absence absence = Explain(key).absence();
    EXPECT_EQ(absence.cause(), Absence::CAUSE_QUARANTINED) << key;
    ASSERT_EQ(absence.quarantined_size(), 1) << key;
    EXPECT_EQ(absence.quarantined(0).reason(), "body_not_json") << key;
    EXPECT_EQ(absence.quarantined(0).receive_count(), 1) << key;
  }
  EXPECT_EQ(Explain("webhook { source: 'staging' webhook_id: 'wh_3' }").absence().cause(),
            Absence::CAUSE_NEVER_SEEN);

  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Send({.webhook_id = "wh_4", .secret = kNewSecret}).status, 401);
  }
  for (const char* const key :
       {"text: 'wh_4'", "webhook { source: 'openai' webhook_id: 'wh_4' }"}) {
    const Absence absence = Explain(key).absence();
    EXPECT_EQ(absence.cause(), Absence::CAUSE_REFUSED) << key;
    ASSERT_EQ(absence.refused_size(), 1) << key;
    EXPECT_EQ(absence.refused(0).code(), "signature_mismatch") << key;
    EXPECT_EQ(absence.refused(0).client_address(), "127.0.0.1") << key;
    EXPECT_EQ(absence.refused(0).count(), 2) << key;
  }
  EXPECT_EQ(Explain("webhook { source: 'staging' webhook_id: 'wh_4' }").absence().cause(),
            Absence::CAUSE_NEVER_SEEN);
  Store({.webhook_id = "wh_4"});
  EXPECT_TRUE(Explain("text: 'wh_4'").has_event()) << "what was refused before does not matter";
}

// Of an event that is there, nobody learnt that the same webhook-id was also refused, or had come
// with a body that could not be decoded.
TEST_F(ExplainTest, WhatElseCameWithAWebhookIdIsTold) {
  StartGateway();
  EXPECT_EQ(Send({.webhook_id = "wh_1", .secret = kNewSecret}).status, 401);
  EXPECT_EQ(Send({.webhook_id = "wh_1", .body = "no JSON"}).status, 400);
  EXPECT_EQ(Send({.webhook_id = "wh_1", .source = "staging", .secret = kNewSecret}).status, 401);
  EXPECT_EQ(Send({.webhook_id = "wh_1", .body = "nor this", .source = "staging"}).status, 400);
  Store({.webhook_id = "wh_1"});
  Store({.webhook_id = "wh_2"});
  for (const char* const key :
       {"sequence: 1", "text: 'wh_1'", "webhook { source: 'openai' webhook_id: 'wh_1' }"}) {
    const v1::Arrival arrival = Explain(key).arrival();
    ASSERT_EQ(arrival.refused_size(), 1) << key << arrival.DebugString();
    EXPECT_EQ(arrival.refused(0).code(), "signature_mismatch") << key;
    EXPECT_EQ(arrival.refused(0).source(), "openai") << key;
    ASSERT_EQ(arrival.quarantined_size(), 1) << key << arrival.DebugString();
    EXPECT_EQ(arrival.quarantined(0).reason(), "body_not_json") << key;
    EXPECT_EQ(arrival.quarantined(0).source(), "openai") << key;
  }
  const v1::Arrival other = Explain("sequence: 2").arrival();
  EXPECT_THAT(other.refused(), IsEmpty());
  EXPECT_THAT(other.quarantined(), IsEmpty());
}

TEST_F(ExplainTest, APausedSubscriptionIsSaidToBeSo) {
  StartGateway();
  Create("billing");
  Create("mail");
  Store({});
  Call(&v1::SubscriptionService::Stub::PauseSubscription, "name: 'billing'");
  ExplainEventResponse response = Explain("sequence: 1");
  ASSERT_EQ(response.deliveries_size(), 2);
  EXPECT_EQ(response.deliveries(0).delivery().state(), v1::DELIVERY_STATE_NOT_REACHED);
  EXPECT_GT(response.deliveries(0).pause_time().seconds(), 0);
  EXPECT_FALSE(response.deliveries(1).has_pause_time());
  Stop();
  StartGateway();
  EXPECT_TRUE(Explain("sequence: 1").deliveries(0).has_pause_time());
  Call(&v1::SubscriptionService::Stub::ResumeSubscription, "name: 'billing'");
  EXPECT_FALSE(Explain("sequence: 1").deliveries(0).has_pause_time());
}

// A foreign token learns nothing of what it has no right to: neither of events nor of
// subscriptions, nor whether there are any.
TEST_F(ExplainTest, EachCallerIsToldWhatItMayKnow) {
  StartGateway(absl::StrCat(
      kTwoSources, Principal("root", R"(query: "*" subscribe: "*" consume: "*" admin: true)"),
      Principal("reader", R"(query: "openai")"),
      Principal("worker", R"(query: "openai" consume: "mail.*")"),
      Principal("consumer", R"(consume: "*")")));
  subscriptions_.reset();
  for (const char* const name : {"billing", "mail.a", "mail.b"}) {
    v1::CreateSubscriptionRequest request;
    request.set_name(name);
    request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + TokenOf("root"));
    v1::CreateSubscriptionResponse response;
    const auto stub = ConnectToSubscriptions(gateway_->grpc());
    ASSERT_TRUE(stub->CreateSubscription(&context, request, &response).ok());
  }
  Store({.webhook_id = "wh_1", .body = Body("evt_1", "moon")});
  Store({.webhook_id = "wh_2", .body = Body("evt_2", "moon"), .source = "staging"});
  EXPECT_EQ(Send({.webhook_id = "wh_3", .body = "no JSON"}).status, 400);
  EXPECT_EQ(Send({.webhook_id = "wh_4", .secret = kNewSecret}).status, 401);

  const ExplainEventResponse root = Explain("text: 'moon'", "root");
  EXPECT_EQ(root.event().sequence(), 2);
  EXPECT_EQ(root.other_events_size(), 1);
  EXPECT_EQ(root.deliveries_size(), 3);
  EXPECT_THAT(root.arrival().secrets(), ElementsAre("main"));
  EXPECT_EQ(Explain("text: 'wh_3'", "root").absence().cause(), Absence::CAUSE_QUARANTINED);

  const ExplainEventResponse reader = Explain("text: 'moon'", "reader");
  EXPECT_EQ(reader.event().sequence(), 1) << "the newer one is of another source";
  EXPECT_THAT(reader.other_events(), IsEmpty());
  EXPECT_FALSE(reader.more_other_events());
  EXPECT_THAT(reader.deliveries(), IsEmpty());
  EXPECT_EQ(reader.hidden_subscriptions(), 3);
  EXPECT_THAT(reader.arrival().secrets(), IsEmpty());
  for (const char* const key :
       {"sequence: 2", "text: 'evt_2'", "text: 'wh_2'", "text: 'wh_3'", "text: 'wh_4'"}) {
    const ExplainEventResponse hidden = Explain(key, "reader");
    EXPECT_FALSE(hidden.has_event()) << key;
    EXPECT_EQ(hidden.absence().cause(), Absence::CAUSE_NEVER_SEEN) << key;
    EXPECT_THAT(hidden.absence().quarantined(), IsEmpty()) << key;
    EXPECT_THAT(hidden.absence().refused(), IsEmpty()) << key;
    for (const auto& source : hidden.absence().sources()) EXPECT_EQ(source.source(), "openai");
  }
  EXPECT_TRUE(Explain("text: 'wh_3'", "reader").absence().admin_only());
  EXPECT_EQ(CodeOf("webhook { source: 'staging' webhook_id: 'wh_2' }", "reader"),
            grpc::StatusCode::PERMISSION_DENIED);
  const ExplainEventResponse by_name =
      Explain("sequence: 1 subscriptions: 'billing' subscriptions: 'none'", "reader");
  EXPECT_EQ(by_name.hidden_subscriptions(), 2) << "one of them is there, which is not told";

  const ExplainEventResponse worker = Explain("sequence: 1", "worker");
  ASSERT_EQ(worker.deliveries_size(), 2);
  EXPECT_EQ(worker.deliveries(0).subscription(), "mail.a");
  EXPECT_EQ(worker.hidden_subscriptions(), 1);

  Store({.webhook_id = "wh_4"});
  EXPECT_EQ(Explain("text: 'wh_4'", "root").arrival().refused_size(), 1);
  EXPECT_THAT(Explain("text: 'wh_4'", "reader").arrival().refused(), IsEmpty());

  EXPECT_EQ(CodeOf("sequence: 1", "consumer"), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(CodeOf("sequence: 1", "nobody"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(CodeOf("sequence: 1"), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(ExplainTest, WrongRequestsAreRefusedByTheFieldThatIsWrong) {
  StartGateway();
  Store({});
  for (const char* const request :
       {"", "sequence: 0", "sequence: -1", "text: ''", "webhook {}", "webhook { source: 'openai' }",
        "webhook { webhook_id: 'wh_1' }", "sequence: 1 subscriptions: 'No Name'",
        "sequence: 1 subscriptions: ''"}) {
    EXPECT_EQ(CodeOf(request), grpc::StatusCode::INVALID_ARGUMENT) << request;
  }
  EXPECT_EQ(CodeOf("sequence: 1 subscriptions: 'none'"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(CodeOf("webhook { source: 'opnai' webhook_id: 'wh_1' }"), grpc::StatusCode::NOT_FOUND);
  ExplainEventRequest many;
  many.set_sequence(1);
  for (int i = 0; i < 10'000; ++i) many.add_subscriptions("billing");
  ExplainEventResponse response;
  EXPECT_EQ(TryExplain(many, response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ExplainEventRequest odd;
  for (const std::string& text :
       {std::string(1024, 'x'), std::string(100'000, 'x'), std::string("a\0b", 3),
        std::string("\xf0\x9f\x8c\x91"), std::string("'; DROP TABLE events; --")}) {
    odd.set_text(text);
    ExplainEventResponse nothing;
    EXPECT_TRUE(TryExplain(odd, nothing).ok());
    EXPECT_EQ(nothing.absence().cause(), Absence::CAUSE_NEVER_SEEN);
  }
}

// A text that is the id of many subscriptions' events is answered within what a client takes.
TEST_F(ExplainTest, AnswerOfManySubscriptionsIsBounded) {
  StartGateway();
  for (int i = 100; i < 200; ++i) Create(absl::StrCat("subscription-", i));
  Store({});
  const ExplainEventResponse response = Explain("sequence: 1");
  EXPECT_EQ(response.deliveries_size(), 100);
  EXPECT_EQ(response.omitted_subscriptions(), 0);
  EXPECT_LT(response.ByteSizeLong(), size_t{1} << 20);
}

}  // namespace
}  // namespace hookgate
