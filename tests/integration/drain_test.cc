// P10: how a real gateway ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "absl/strings/str_cat.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/event_stream.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

constexpr char kEarliest[] = "start_position: START_POSITION_EARLIEST";

class DrainTest : public GatewayTest {
 protected:
  HttpReply Readiness() {
    return Exchange(gateway_->admin(), "GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n")
        .value_or(HttpReply());
  }
};

TEST_F(DrainTest, StreamsHearGoodbyeAndTheProcessEndsWithZero) {
  Start();
  Store({});
  EventStream first(gateway_->grpc(), kEarliest);
  EventStream second(gateway_->grpc(), kEarliest);
  for (EventStream* stream : {&first, &second}) {
    EXPECT_EQ(stream->EventsUntilCaughtUp().size(), 1u);
  }
  gateway_->Signal(SIGTERM);
  for (EventStream* stream : {&first, &second}) {
    const v1::SubscribeResponse goodbye = stream->Next();
    ASSERT_TRUE(goodbye.has_draining());
    EXPECT_FALSE(goodbye.draining().cursor().empty());
    EXPECT_EQ(stream->Next().frame_case(), v1::SubscribeResponse::FRAME_NOT_SET);
    const grpc::Status status = stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_THAT(status.error_details(), HasSubstr("DRAINING"));
  }
  EXPECT_EQ(gateway_->WaitForExit(), 0);
}

TEST_F(DrainTest, WebhookUnderWayIsStoredAndAnswered) {
  Start();
  // The gateway has accepted the head once it asks for the body.
  SignedWebhook webhook = {.more_fields = {{"Expect", "100-continue"}}};
  const std::string request = webhook.Request();
  HttpClient client(gateway_->http());
  const size_t head_size = request.find("\r\n\r\n") + 4;
  client.Send(request.substr(0, head_size));
  ASSERT_EQ(client.ReadHead()->status, 100);

  gateway_->Signal(SIGTERM);
  while (Readiness().status != 503) {
  }
  EXPECT_THAT(Readiness().body, HasSubstr("draining"));
  client.Send(request.substr(head_size));
  const auto reply = client.ReadReply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(gateway_->WaitForExit(), 0);

  Start();
  EXPECT_EQ(StoredEvents().size(), 1u);
}

TEST_F(DrainTest, SenderThatNeverFinishesHoldsTheEndUpForTheDrainTimeoutAlone) {
  StartWithConfig("drain_timeout { nanos: 200000000 }");
  SignedWebhook webhook = {.more_fields = {{"Expect", "100-continue"}}};
  const std::string request = webhook.Request();
  HttpClient client(gateway_->http());
  client.Send(request.substr(0, request.find("\r\n\r\n") + 4));
  ASSERT_EQ(client.ReadHead()->status, 100);
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(DrainTest, SubscriberThatDoesNotReadHoldsTheEndUpForTheDrainTimeoutAlone) {
  StartWithConfig("drain_timeout { nanos: 500000000 }");
  EventStream stalled(gateway_->grpc(), absl::StrCat(kEarliest, " include_raw_body: true"));
  ASSERT_TRUE(stalled.Next().has_opened());
  HttpClient client(gateway_->http());
  for (int i = 0; i < 40; ++i) {
    client.Send(SignedWebhook{
        .body = absl::StrCat(R"({"type":"big","text":")", std::string(500'000, 'x'), "\"}")}
                    .Request());
    ASSERT_EQ(client.ReadReply()->status, 200);
  }
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
}

TEST_F(DrainTest, SecondSignalEndsAtOnce) {
  StartWithConfig("drain_timeout { seconds: 600 }");
  SignedWebhook webhook = {.more_fields = {{"Expect", "100-continue"}}};
  const std::string request = webhook.Request();
  HttpClient client(gateway_->http());
  client.Send(request.substr(0, request.find("\r\n\r\n") + 4));
  ASSERT_EQ(client.ReadHead()->status, 100);
  gateway_->Signal(SIGTERM);
  while (Readiness().status != 503) {
  }
  gateway_->Signal(SIGINT);
  EXPECT_EQ(gateway_->WaitForExit(), 128 + SIGINT);
}

}  // namespace
}  // namespace hookgate
