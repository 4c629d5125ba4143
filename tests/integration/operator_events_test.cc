// What a real gateway tells about itself, each type as it happens.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/text_format.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/aged_log.h"
#include "tests/support/consume_call.h"
#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kSource[] =
    R"(sources { name: "openai" secrets { name: "test" file: "SECRET_FILE" } )";
constexpr char kBadConfig[] = "sources { nonsense";

class OperatorEventsTest : public GatewayTest {
 protected:
  // `source`: more fields of the one source; `settings`, of operator_events.
  static std::string Config(const std::string& types, const std::string& settings = "",
                            const std::string& source = "") {
    return absl::StrCat(kSource, source, " } operator_events { types: \"", types,
                        "\" min_interval { seconds: 1 } ", settings, " }");
  }
  void StartTelling(const std::string& config) {
    StartWithConfig(config);
    stub_ = ConnectToSubscriptions(gateway_->grpc());
    told_ = Told();
  }
  // Events are waited for as long as a busy machine may take.
  std::unique_ptr<EventStream> Told() {
    return std::make_unique<EventStream>(
        gateway_->grpc(),
        "filter { sources: 'hookgate' } start_position: START_POSITION_EARLIEST "
        "include_raw_body: true",
        std::chrono::seconds(50));
  }
  // The next operator event. Empty, and the test has failed, if none comes.
  v1::Event Next() {
    std::vector<v1::Event> events = told_->NextEvents(1);
    // Retention may remove the events that a stream is about to read; what it tells is behind them.
    if (events.empty() && told_->Finish().error_code() == grpc::StatusCode::OUT_OF_RANGE) {
      told_ = Told();
      events = told_->NextEvents(1);
    }
    EXPECT_EQ(events.size(), 1u);
    return events.empty() ? v1::Event() : events[0];
  }
  void Create(const std::string& settings) {
    v1::CreateSubscriptionRequest request;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        absl::StrCat(
            "name: 'billing' start { start_position: START_POSITION_EARLIEST } settings { ",
            settings, " }"),
        &request));
    grpc::ClientContext context;
    v1::CreateSubscriptionResponse response;
    const grpc::Status status = stub_->CreateSubscription(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  int64_t DeadLetters() {
    v1::GetSubscriptionRequest request;
    request.set_name("billing");
    grpc::ClientContext context;
    v1::GetSubscriptionResponse response;
    EXPECT_TRUE(stub_->GetSubscription(&context, request, &response).ok());
    return response.subscription().dead_letters();
  }

  std::unique_ptr<v1::SubscriptionService::Stub> stub_;
  std::unique_ptr<EventStream> told_;
};

TEST_F(OperatorEventsTest, AReloadThatFailed) {
  StartTelling(Config("hookgate.*"));
  Reload(kBadConfig);
  const v1::Event event = Next();
  EXPECT_EQ(event.source(), "hookgate");
  EXPECT_EQ(event.type(), "hookgate.reload.failed");
  EXPECT_EQ(event.subject(), "config");
  EXPECT_EQ(event.durability(), v1::DURABILITY_LOCAL_DISK);
  EXPECT_EQ(event.trace_parent().size(), 55u);
  EXPECT_GE(event.reload_failed().data().error_count(), 1);
  EXPECT_EQ(event.reload_failed().id(), event.webhook_id());
  EXPECT_THAT(event.raw_body(), HasSubstr(event.reload_failed().data().errors(0).substr(0, 5)));
  // Its line in the log may come after the event, but not after the gateway's end.
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
  EXPECT_THAT(gateway_->log(), HasSubstr("\"operator event\""));
  // It is an event like others: queries find it, and it is there after a restart.
  Start();
  const std::vector<v1::Event> stored = StoredEvents();
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].SerializeAsString(), event.SerializeAsString());
}

TEST_F(OperatorEventsTest, DeadLetters) {
  StartTelling(Config("hookgate.subscription.dead_lettered"));
  Create("max_attempts: 1 filter { sources: 'openai' }");
  Store({});
  ConsumeCall call(gateway_->grpc(), "subscription: 'billing' consumer_name: 'a'");
  call.Nack(call.NextDelivery().delivery_id());
  const v1::Event event = Next();
  EXPECT_EQ(event.type(), "hookgate.subscription.dead_lettered");
  EXPECT_EQ(event.subject(), "billing");
  const auto& data = event.subscription_dead_lettered().data();
  EXPECT_EQ(data.subscription(), "billing");
  EXPECT_EQ(data.events(), 1);
  EXPECT_EQ(data.dead_letters(), 1);
  EXPECT_EQ(data.last_sequence(), 1);
  EXPECT_EQ(data.last_cause(), "nacked");
  // On call sees it among what failed.
  const auto stub = ConnectTo(gateway_->grpc());
  grpc::ClientContext context;
  v1::ListRecentFailuresResponse failures;
  ASSERT_TRUE(stub->ListRecentFailures(&context, {}, &failures).ok());
  ASSERT_EQ(failures.events_size(), 2);
  EXPECT_EQ(failures.events(0).type(), "hookgate.subscription.dead_lettered");
  // Counted are webhooks.
  EXPECT_EQ(GetStatus().ingest().stored(), 1);
}

// A subscription that cannot handle operator events made one of each of its dead letters, for ever.
TEST_F(OperatorEventsTest, DeadLettersOfOperatorEventsAreNotTold) {
  StartTelling(Config("hookgate.*"));
  Create("max_attempts: 1");
  Reload(kBadConfig);
  EXPECT_EQ(Next().type(), "hookgate.reload.failed");
  ConsumeCall call(gateway_->grpc(), "subscription: 'billing' consumer_name: 'a'");
  call.Nack(call.NextDelivery().delivery_id());
  ASSERT_TRUE(Eventually("one is a dead letter", [&] { return DeadLetters() == 1; }));
  // The look that tells this one would have told of the dead letter before it.
  Reload(kBadConfig);
  EXPECT_EQ(Next().type(), "hookgate.reload.failed");
  call.Nack(call.NextDelivery().delivery_id());
  ASSERT_TRUE(Eventually("two are dead letters", [&] { return DeadLetters() == 2; }));
  Store({});
  call.Nack(call.NextDelivery().delivery_id());
  const v1::Event event = Next();
  EXPECT_EQ(event.type(), "hookgate.subscription.dead_lettered");
  EXPECT_EQ(event.subscription_dead_lettered().data().events(), 1);
  EXPECT_EQ(event.subscription_dead_lettered().data().dead_letters(), 3);
}

TEST_F(OperatorEventsTest, ASubscriptionThatIsStuck) {
  StartTelling(Config("hookgate.subscription.stuck", "stuck_after { seconds: 1 }"));
  // Nobody consumes: what does not match is no reason, and only its filter knows.
  Create("filter { types: 'batch.failed' }");
  Store({.body = R"({"type":"something.else"})"});
  Store({});
  const v1::Event event = Next();
  EXPECT_EQ(event.type(), "hookgate.subscription.stuck");
  const auto& data = event.subscription_stuck().data();
  EXPECT_EQ(data.subscription(), "billing");
  EXPECT_GE(data.seconds(), 1);
  EXPECT_EQ(data.oldest_sequence(), 2);
  EXPECT_EQ(data.consumers(), 0);
}

TEST_F(OperatorEventsTest, ASubscriptionThatIsPausedIsNotStuckUntilItIsResumed) {
  StartTelling(Config("hookgate.*", "stuck_after { seconds: 1 }", "silent_after { seconds: 3 }"));
  Create("filter { sources: 'openai' }");
  {
    v1::PauseSubscriptionRequest request;
    request.set_name("billing");
    grpc::ClientContext context;
    v1::PauseSubscriptionResponse response;
    ASSERT_TRUE(stub_->PauseSubscription(&context, request, &response).ok());
  }
  Store({});
  // It would have been told two seconds before this.
  EXPECT_EQ(Next().type(), "hookgate.source.silent");
  {
    v1::ResumeSubscriptionRequest request;
    request.set_name("billing");
    grpc::ClientContext context;
    v1::ResumeSubscriptionResponse response;
    ASSERT_TRUE(stub_->ResumeSubscription(&context, request, &response).ok());
  }
  EXPECT_EQ(Next().type(), "hookgate.subscription.stuck");
}

// A subscriber that was slow about what it was told was told to be stuck, by one more event that
// came to wait for it, without end.
TEST_F(OperatorEventsTest, WhatIsToldMakesNobodyStuck) {
  StartTelling(Config("hookgate.*", "stuck_after { seconds: 1 }", "silent_after { seconds: 3 }"));
  Create("filter { sources: 'hookgate' }");
  Store({});
  EXPECT_EQ(Next().type(), "hookgate.source.silent");
  Store({});
  // The first one has waited in the subscription for three seconds by then.
  EXPECT_EQ(Next().type(), "hookgate.source.silent");
}

TEST_F(OperatorEventsTest, ASourceThatIsSilentIsToldOnceOverARestart) {
  const std::string config = Config("hookgate.source.silent", "", "silent_after { seconds: 1 }");
  StartTelling(config);
  Store({});
  const v1::Event event = Next();
  EXPECT_EQ(event.type(), "hookgate.source.silent");
  EXPECT_EQ(event.subject(), "openai");
  EXPECT_GE(event.source_silent().data().seconds(), 1);
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
  StartTelling(config);
  EXPECT_EQ(Next().sequence(), event.sequence());
  // It is silent on, and one that comes ends that.
  Store({});
  const v1::Event again = Next();
  EXPECT_EQ(again.type(), "hookgate.source.silent");
  EXPECT_GE(again.source_silent().data().last_webhook_at(),
            event.source_silent().data().last_webhook_at());
  EXPECT_GT(again.sequence(), event.sequence());
}

TEST_F(OperatorEventsTest, ASecretThatFails) {
  StartTelling(Config("hookgate.secret.failing"));
  Store({});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Send({.secret = kWrongSecret}).status, 401);
  const v1::Event event = Next();
  EXPECT_EQ(event.type(), "hookgate.secret.failing");
  EXPECT_EQ(event.subject(), "openai");
  EXPECT_EQ(event.secret_failing().data().failed(), 5);
  EXPECT_EQ(event.secret_failing().data().verified(), 1);
}

TEST_F(OperatorEventsTest, WhatRetentionTookFromASubscription) {
  const std::string config = absl::StrCat(
      Config("hookgate.subscription.lost"),
      " storage { retention { seconds: 345600 } max_unsettled_age { seconds: 864000 } }");
  StartTelling(config);
  Create("");
  for (int i = 0; i < 5; ++i) Store({});
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
  MakeOld(data_dir_, 4, absl::Hours(24 * 11));
  StartTelling(config);
  const v1::Event event = Next();
  EXPECT_EQ(event.type(), "hookgate.subscription.lost");
  EXPECT_EQ(event.subject(), "billing");
  EXPECT_EQ(event.subscription_lost().data().events(), 4);
  EXPECT_EQ(event.subscription_lost().data().total_events(), 4);
}

// Whoever could post there would tell the operator what he likes.
TEST_F(OperatorEventsTest, NobodySendsWebhooksAsTheGateway) {
  StartTelling(Config("hookgate.*"));
  EXPECT_EQ(Send({.source = "hookgate"}).status, 404);
  const std::string body =
      R"({"id":"1","created_at":1,"type":"hookgate.subscription.lost","left_out":0,)"
      R"("data":{"subscription":"billing","events":1,"total_events":1}})";
  Store({.body = body});
  const std::vector<v1::Event> stored = StoredEvents();
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].source(), "openai");
  EXPECT_TRUE(stored[0].has_unrecognized());
  Reload(
      absl::StrCat(Config("hookgate.*"),
                   R"( sources { name: "hookgate" secrets { name: "a" inline: "NEW_SECRET" } })"));
  EXPECT_THAT(gateway_->log(), HasSubstr("sources[1].name"));
  EXPECT_EQ(Send({.source = "hookgate", .secret = kNewSecret}).status, 404);
}

TEST_F(OperatorEventsTest, AreOffByDefaultAndSwitchedOnByAReload) {
  StartTelling(absl::StrCat(kSource, "}"));
  Reload(kBadConfig);
  EXPECT_THAT(StoredEvents(), IsEmpty());
  Reload(Config("hookgate.reload.*"));
  Reload(kBadConfig);
  EXPECT_EQ(Next().type(), "hookgate.reload.failed");
}

}  // namespace
}  // namespace hookgate
