// P10: how a real gateway ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <csignal>
#include <memory>

#include "absl/strings/str_cat.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/http2_frames.h"

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

// Holds the log's write lock, so that no commit goes through.
class WriteLock {
 public:
  explicit WriteLock(const std::string& data_dir) {
    EXPECT_EQ(sqlite3_open((data_dir + "/events.db").c_str(), &database_), SQLITE_OK);
    EXPECT_EQ(sqlite3_busy_timeout(database_, 10'000), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  }
  ~WriteLock() { sqlite3_close(database_); }

 private:
  sqlite3* database_ = nullptr;
};

TEST_F(DrainTest, SignedWebhookThatWaitsForItsCommitIsStoredAndAnswered) {
  Start();
  HttpClient client(gateway_->http());
  {
    const WriteLock lock(data_dir_);
    client.Send(SignedWebhook().Request());
    ASSERT_TRUE(Eventually("the signature is verified", [&] {
      return GetStatus().sources(0).secrets(0).has_last_verified_time();
    }));
    gateway_->Signal(SIGTERM);
    ASSERT_TRUE(Eventually("it drains", [&] { return Readiness().status == 503; }));
    EXPECT_THAT(Readiness().body, HasSubstr("draining"));
  }
  const auto reply = client.ReadReply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(gateway_->WaitForExit(), 0);

  Start();
  EXPECT_EQ(StoredEvents().size(), 1u);
}

// Half a request of a stranger once delayed each shutdown by 20 s, and streams were cut off in the
// end instead of hearing goodbye.
TEST_F(DrainTest, HalfSentRequestsDelayNeitherGoodbyeNorTheEnd) {
  StartWithConfig("drain_timeout { seconds: 600 }");
  HttpClient half_head(gateway_->http());
  half_head.Send("POST /webhooks/openai HTTP/1.1\r\nHost: t\r\n");
  SignedWebhook webhook = {.more_fields = {{"Expect", "100-continue"}}};
  const std::string request = webhook.Request();
  HttpClient half_body(gateway_->http());
  half_body.Send(request.substr(0, request.find("\r\n\r\n") + 4));
  ASSERT_EQ(half_body.ReadHead()->status, 100);
  EventStream stream(gateway_->grpc(), kEarliest);
  ASSERT_TRUE(stream.Next().has_opened());
  EXPECT_TRUE(stream.EventsUntilCaughtUp().empty());

  gateway_->Signal(SIGTERM);
  EXPECT_TRUE(stream.Next().has_draining());
  EXPECT_EQ(stream.Next().frame_case(), v1::SubscribeResponse::FRAME_NOT_SET);
  stream.Finish();
  for (HttpClient* client : {&half_head, &half_body}) {
    const auto reply = client->ReadReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, 503);
    EXPECT_THAT(reply->body, HasSubstr("draining"));
    EXPECT_EQ(reply->field("retry-after"), "5");
  }
  EXPECT_EQ(gateway_->WaitForExit(), 0);
}

// Half a call, half a header and a connection that says nothing delay a shutdown as little as half
// a webhook does.
TEST_F(DrainTest, HalfSentCallsDelayNeitherGoodbyeNorTheEnd) {
  StartWithConfig("drain_timeout { seconds: 600 }");
  HttpClient mute(gateway_->grpc());
  HttpClient half_call(gateway_->grpc());
  half_call.Send(absl::StrCat(http2::Preface(),
                              http2::CallHeader(1, "/hookgate.v1.EventService/ListEvents"),
                              http2::CallHeader(3, "/hookgate.v1.EventService/Subscribe"),
                              http2::CallHeader(5, "/grpc.health.v1.Health/Watch")));
  HttpClient half_header(gateway_->grpc());
  half_header.Send(absl::StrCat(http2::Preface(), http2::Frame(http2::kHeaders, 0, 1, "")));
  for (HttpClient* client : {&half_call, &half_header}) ASSERT_NE(client->ReadSome(), "");
  EventStream stream(gateway_->grpc(), kEarliest);
  ASSERT_TRUE(stream.Next().has_opened());
  EXPECT_TRUE(stream.EventsUntilCaughtUp().empty());

  gateway_->Signal(SIGTERM);
  EXPECT_TRUE(stream.Next().has_draining());
  EXPECT_EQ(stream.Next().frame_case(), v1::SubscribeResponse::FRAME_NOT_SET);
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
}

// A subscriber that does not read: it is waited for until drain_timeout.
class StalledDrainTest : public DrainTest {
 protected:
  void StartWithStalledSubscriber(const std::string& config) {
    StartWithConfig(config);
    stalled_ = std::make_unique<EventStream>(gateway_->grpc(),
                                             absl::StrCat(kEarliest, " include_raw_body: true"));
    ASSERT_TRUE(stalled_->Next().has_opened());
    HttpClient client(gateway_->http());
    for (int i = 0; i < 40; ++i) {
      client.Send(SignedWebhook{
          .body = absl::StrCat(R"({"type":"big","text":")", std::string(500'000, 'x'), "\"}")}
                      .Request());
      ASSERT_EQ(client.ReadReply()->status, 200);
    }
  }

 private:
  std::unique_ptr<EventStream> stalled_;
};

TEST_F(StalledDrainTest, HoldsTheEndUpForTheDrainTimeoutAlone) {
  StartWithStalledSubscriber("drain_timeout { nanos: 500000000 }");
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
}

TEST_F(StalledDrainTest, SecondSignalEndsAtOnce) {
  StartWithStalledSubscriber("drain_timeout { seconds: 600 }");
  gateway_->Signal(SIGTERM);
  ASSERT_TRUE(Eventually("it drains", [&] { return Readiness().status == 503; }));
  gateway_->Signal(SIGINT);
  EXPECT_EQ(gateway_->WaitForExit(), 128 + SIGINT);
}

}  // namespace
}  // namespace hookgate
