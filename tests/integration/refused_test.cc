// What an operator can ask of a real gateway about webhooks that became no event, and about who is
// connected: refused requests, other bodies of an event, open streams.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/consume_call.h"
#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kSources[] =
    R"(sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } })";

class RefusedTest : public GatewayTest {
 protected:
  std::unique_ptr<v1::AdminService::Stub> Admin() {
    return v1::AdminService::NewStub(
        grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials()));
  }
  v1::ListRefusedResponse ListRefused(const v1::ListRefusedRequest& request = {}) {
    grpc::ClientContext context;
    v1::ListRefusedResponse response;
    const grpc::Status status = Admin()->ListRefused(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::ListStreamsResponse ListStreams() {
    grpc::ClientContext context;
    v1::ListStreamsResponse response;
    const grpc::Status status = Admin()->ListStreams(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::ListConflictsResponse ListConflicts() {
    grpc::ClientContext context;
    v1::ListConflictsResponse response;
    const grpc::Status status = Admin()->ListConflicts(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  ProgramOutcome Hookgate(const std::vector<std::string>& arguments) {
    return RunProgram(kHookgate, arguments, {absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc())});
  }
};

// "Why did this one not arrive?" had no answer but a log line, of which there is one a second.
TEST_F(RefusedTest, AForgedWebhookIsRememberedWithoutWhatItCarried) {
  Start();
  SignedWebhook forged = {.webhook_id = "wh_forged",
                          .secret = kWrongSecret,
                          .more_fields = {{"Cookie", "session=hush"}}};
  EXPECT_EQ(Send(forged).status, 401);
  EXPECT_EQ(Send(forged).status, 401);
  Store({});
  const v1::ListRefusedResponse response = ListRefused();
  ASSERT_THAT(response.requests(), SizeIs(1));
  const v1::RefusedRequest& request = response.requests(0);
  EXPECT_EQ(request.source(), "openai");
  EXPECT_EQ(request.code(), "signature_mismatch");
  EXPECT_EQ(request.webhook_id(), "wh_forged");
  EXPECT_EQ(request.peer_address(), "127.0.0.1");
  EXPECT_EQ(request.client_address(), "127.0.0.1");
  EXPECT_EQ(request.count(), 2);
  EXPECT_TRUE(request.has_last_time());
  bool has_cookie = false;
  for (const auto& header : request.headers()) {
    if (header.name() != "Cookie") continue;
    has_cookie = true;
    EXPECT_EQ(header.bytes(), 12);
  }
  EXPECT_TRUE(has_cookie);
  EXPECT_EQ(request.header_count(), request.headers_size());
  EXPECT_THAT(response.DebugString(), Not(HasSubstr("hush")));
  EXPECT_THAT(response.DebugString(), Not(HasSubstr(kBodyMarker)));
  EXPECT_THAT(response.DebugString(), Not(HasSubstr("v1,")));
}

// They never reach what handles webhooks.
TEST_F(RefusedTest, WhatTheConnectionLayerRefusesIsRememberedAsWell) {
  const std::string head = "POST /webhooks/openai HTTP/1.1\r\nHost: a\r\n";
  const auto seen = [this] {
    std::vector<std::string> lines;
    const v1::ListRefusedResponse response = ListRefused();
    for (const v1::RefusedRequest& request : response.requests()) {
      EXPECT_EQ(request.peer_address(), "127.0.0.1");
      lines.push_back(absl::StrCat(request.code(), " ", request.source()));
    }
    return lines;
  };
  Start();
  EXPECT_EQ(SendBytes("nonsense\r\n\r\n").status, 400);
  EXPECT_EQ(SendBytes(head + "Content-Length: 1048577\r\n\r\n").status, 413);
  EXPECT_EQ(SendBytes(head + "X: " + std::string(70'000, 'x') + "\r\n\r\n").status, 431);
  EXPECT_THAT(seen(), ElementsAre("header_too_large openai", "body_too_large openai",
                                  "malformed_request "));
  StartWithConfig(absl::StrCat(kSources, "http { header_timeout { nanos: 100000000 } }"));
  HttpClient slow(gateway_->http());
  ASSERT_TRUE(slow.Send(head));
  EXPECT_EQ(slow.ReadReply().value_or(HttpReply()).status, 408);
  EXPECT_THAT(seen(), ElementsAre("request_timeout openai"));
}

// Whatever is sent, an entry is small, and the flood leaves what is not of its kind.
TEST_F(RefusedTest, AFloodOfLargeHeadersIsBoundedAndHidesNoSender) {
  StartWithConfig(absl::StrCat(kSources, "http { max_remembered_refusals: 20 }"));
  EXPECT_EQ(Send({.webhook_id = "wh_wanted", .secret = kWrongSecret}).status, 401);
  std::string fields;
  for (int i = 0; fields.size() < 60'000; ++i) {
    absl::StrAppend(&fields, "header-", i, "-", std::string(100, 'n'), ": v\r\n");
  }
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(SendBytes(absl::StrCat("POST /", i, std::string(3000, 'p'),
                                     " HTTP/1.1\r\nHost: a\r\n", fields, "\r\n"))
                  .status,
              404);
  }
  const v1::ListRefusedResponse response = ListRefused();
  EXPECT_THAT(response.requests(), SizeIs(20));
  EXPECT_LE(response.ByteSizeLong(), 20u * 4096);
  EXPECT_EQ(response.max_remembered(), 20);
  EXPECT_GT(response.requests(0).header_count(), 400);
  v1::ListRefusedRequest by_id;
  by_id.set_webhook_id("wh_wanted");
  EXPECT_THAT(ListRefused(by_id).requests(), SizeIs(1));
}

TEST_F(RefusedTest, ItCanBeTurnedOff) {
  StartWithConfig(absl::StrCat(kSources, "http { max_remembered_refusals: 0 }"));
  EXPECT_EQ(Send({.secret = kWrongSecret}).status, 401);
  EXPECT_THAT(ListRefused().requests(), IsEmpty());
  EXPECT_EQ(ListRefused().max_remembered(), 0);
  EXPECT_THAT(Hookgate({"refused"}).out, HasSubstr("http.max_remembered_refusals is 0"));
}

// A stranger chooses the path and the webhook-id; the operator's terminal is not his.
TEST_F(RefusedTest, TheCommandLineShowsThemAndNobodyCanDisturbIt) {
  Start();
  EXPECT_EQ(SendBytes("POST /\xe2\x80\xaeright?token=hush HTTP/1.1\r\nHost: a\r\n"
                      "webhook-id: \xc2\x9b"
                      "31m\r\nContent-Length: 0\r\n\r\n")
                .status,
            404);
  const ProgramOutcome listed = Hookgate({"refused"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  EXPECT_THAT(listed.out,
              AllOf(HasSubstr("/\\u202eright"), HasSubstr("\\u009b31m"), HasSubstr("not_found"),
                    HasSubstr("127.0.0.1"), HasSubstr("1 refused request")));
  EXPECT_THAT(listed.out, Not(HasSubstr("hush")));
  EXPECT_THAT(listed.out, Not(HasSubstr("\xe2\x80\xae")));
  EXPECT_THAT(Hookgate({"refused", "--source", "opneai"}).err, HasSubstr("opneai"));
  EXPECT_EQ(Hookgate({"refused", "--source", "opneai"}).exit_code, 4);
  EXPECT_THAT(Hookgate({"refused", "--code", "bad_signature"}).err, HasSubstr("code"));
  EXPECT_EQ(Hookgate({"refused", "--code", "draining"}).out,
            "None of the refused requests in memory match.\n");
}

// A sender that changed a body under the same id was answered 200, and what it had sent was lost.
TEST_F(RefusedTest, AnotherBodyOfAnEventCanBeLookedAtAndDiscarded) {
  Start();
  Store({.webhook_id = "wh_1", .body = BatchFailedBody("first")});
  EXPECT_THAT(Hookgate({"conflicts", "list"}).out, HasSubstr("No event came with two bodies."));
  const std::string second = BatchFailedBody("second");
  const std::string third = BatchFailedBody("third");
  for (const std::string& body : {second, third, second, third}) {
    EXPECT_THAT(Send({.webhook_id = "wh_1", .body = body}).body, HasSubstr("duplicate"));
  }
  ASSERT_THAT(ListConflicts().conflicts(), SizeIs(1));
  const v1::Conflict conflict = ListConflicts().conflicts(0);
  EXPECT_EQ(conflict.sequence(), 1);
  EXPECT_EQ(conflict.webhook_id(), "wh_1");
  EXPECT_EQ(conflict.receive_count(), 4);
  EXPECT_EQ(GetStatus().ingest().conflicts(), 4);
  gateway_->Kill();  // What was answered is on the disk.
  Start();
  EXPECT_THAT(Hookgate({"conflicts", "list"}).out,
              AllOf(HasSubstr("wh_1"), HasSubstr("1 event with another body")));
  EXPECT_EQ(Hookgate({"conflicts", "show", "1", "--raw=first"}).out, second);
  EXPECT_EQ(Hookgate({"conflicts", "show", "1", "--raw=last"}).out, third);
  EXPECT_THAT(Hookgate({"conflicts", "show", "1"}).out,
              AllOf(HasSubstr("first other body:\n"), HasSubstr("last other body:\n")));
  EXPECT_EQ(Hookgate({"conflicts", "discard", "1"}).exit_code, 2);
  EXPECT_EQ(Hookgate({"conflicts", "discard", "1", "--yes"}).exit_code, 0);
  EXPECT_EQ(Hookgate({"conflicts", "show", "1"}).exit_code, 4);
  EXPECT_EQ(StoredEvents().at(0).raw_body(), BatchFailedBody("first"));
}

TEST_F(RefusedTest, OpenStreamsSayWhoTheyAreAndWhereTheyStand) {
  Start();
  EXPECT_THAT(ListStreams().streams(), IsEmpty());
  // A name that is mistyped had no open stream either.
  EXPECT_EQ(Hookgate({"streams", "--subscription", "nosuch"}).exit_code, 4);
  Store({});
  EventStream subscriber(gateway_->grpc(),
                         "client_name: 'mailer 1.2' start_position: START_POSITION_EARLIEST "
                         "filter { sources: 'openai' types: 'batch.*' subjects: 'batch_1' } "
                         "heartbeat_interval { seconds: 7 }");
  ASSERT_EQ(subscriber.EventsUntilCaughtUp().size(), 1u);
  {
    const auto stub = ConnectToSubscriptions(gateway_->grpc());
    grpc::ClientContext context;
    v1::CreateSubscriptionRequest request;
    request.set_name("billing");
    request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
    v1::CreateSubscriptionResponse response;
    ASSERT_TRUE(stub->CreateSubscription(&context, request, &response).ok());
  }
  ConsumeCall consumer(gateway_->grpc(), "subscription: 'billing' consumer_name: 'worker-1'");
  ASSERT_FALSE(consumer.NextDelivery().delivery_id().empty());

  const v1::ListStreamsResponse response = ListStreams();
  ASSERT_THAT(response.streams(), SizeIs(2));
  const v1::StreamInfo& subscribe = response.streams(0);
  EXPECT_EQ(subscribe.method(), v1::StreamInfo::METHOD_SUBSCRIBE);
  EXPECT_EQ(subscribe.client_name(), "mailer 1.2");
  EXPECT_EQ(subscribe.state(), v1::StreamInfo::STATE_LIVE);
  EXPECT_EQ(subscribe.lag_events(), 0);
  EXPECT_EQ(subscribe.sent_events(), 1);
  EXPECT_GT(subscribe.sent_bytes(), 100);
  EXPECT_EQ(subscribe.heartbeat_interval().seconds(), 7);
  EXPECT_TRUE(subscribe.has_open_time());
  EXPECT_TRUE(absl::StartsWith(subscribe.address(), "ipv4:127.0.0.1:"));
  EXPECT_EQ(subscribe.principal(), "");
  EXPECT_THAT(subscribe.filter().types(), ElementsAre("batch.*"));
  EXPECT_THAT(subscribe.filter().sources(), ElementsAre("openai"));
  EXPECT_THAT(subscribe.filter().subjects(), ElementsAre("batch_1"));
  // The cursor is one that a stream may begin after.
  EventStream next(gateway_->grpc(), absl::StrCat("after_cursor: '", subscribe.cursor(), "'"));
  EXPECT_TRUE(next.Next().has_opened());

  const v1::StreamInfo& consume = response.streams(1);
  EXPECT_EQ(consume.method(), v1::StreamInfo::METHOD_CONSUME);
  EXPECT_EQ(consume.subscription(), "billing");
  EXPECT_EQ(consume.consumer_name(), "worker-1");
  EXPECT_EQ(consume.state(), v1::StreamInfo::STATE_LIVE);
  EXPECT_EQ(consume.lag_events(), 1);  // It has not acked it.
  EXPECT_EQ(consume.sent_events(), 1);
  EXPECT_GT(consume.sent_bytes(), 100);

  EXPECT_THAT(Hookgate({"streams"}).out,
              AllOf(HasSubstr("mailer 1.2"), HasSubstr("billing as worker-1"), HasSubstr("live"),
                    HasSubstr("source openai, type batch.*, subject batch_1")));
  EXPECT_THAT(Hookgate({"streams", "--subscription", "billing"}).out,
              AllOf(HasSubstr("1 open stream\n"), Not(HasSubstr("mailer"))));
  subscriber.Cancel();
  next.Cancel();
  consumer.Cancel();
  EXPECT_TRUE(Eventually("no stream is left", [&] { return ListStreams().streams().empty(); }));
}

}  // namespace
}  // namespace hookgate
