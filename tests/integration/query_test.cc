// What a real gateway answers to queries, and to tools that know nothing of it.

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/event_stream.h"
#include "tests/support/grpc_watch.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class QueryTest : public GatewayTest {
 protected:
  void SetUp() override {
    Start();
    stub_ = ConnectTo(gateway_->grpc());
  }

  std::unique_ptr<v1::EventService::Stub> stub_;
};

std::vector<std::string> SubjectsOf(const google::protobuf::RepeatedPtrField<v1::Event>& events) {
  std::vector<std::string> subjects;
  for (const v1::Event& event : events) subjects.push_back(event.subject());
  return subjects;
}

TEST_F(QueryTest, RecentFailuresAreListedNewestFirstPageByPage) {
  for (int i = 1; i <= 3; ++i) Store({.body = BatchFailedBody(absl::StrCat("batch_", i))});
  Store({.body = R"({"type":"moon.landed","data":{"id":"moon_1"}})"});
  v1::ListRecentFailuresRequest request;
  request.set_page_size(2);
  v1::ListRecentFailuresResponse first;
  grpc::ClientContext first_call;
  ASSERT_TRUE(stub_->ListRecentFailures(&first_call, request, &first).ok());
  EXPECT_THAT(SubjectsOf(first.events()), ElementsAre("batch_3", "batch_2"));
  EXPECT_EQ(first.total_count(), 3);

  request.set_page_token(first.next_page_token());
  v1::ListRecentFailuresResponse second;
  grpc::ClientContext second_call;
  ASSERT_TRUE(stub_->ListRecentFailures(&second_call, request, &second).ok());
  EXPECT_THAT(SubjectsOf(second.events()), ElementsAre("batch_1"));
  EXPECT_EQ(second.next_page_token(), "");
}

TEST_F(QueryTest, PageTokenOfAnotherRequestIsRefused) {
  for (int i = 1; i <= 3; ++i) Store({});
  v1::ListEventsRequest request;
  request.set_page_size(2);
  v1::ListEventsResponse response;
  grpc::ClientContext first_call;
  ASSERT_TRUE(stub_->ListEvents(&first_call, request, &response).ok());
  request.set_page_token(response.next_page_token());
  request.mutable_filter()->add_types("batch.*");
  grpc::ClientContext second_call;
  const grpc::Status status = stub_->ListEvents(&second_call, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("page_token"));
}

TEST_F(QueryTest, OneEventIsFoundByEitherKey) {
  SignedWebhook webhook = {.webhook_id = "wh_1"};
  Store(webhook);
  v1::GetEventRequest request;
  request.mutable_webhook()->set_source("openai");
  request.mutable_webhook()->set_webhook_id("wh_1");
  request.set_include_raw_body(true);
  v1::GetEventResponse response;
  grpc::ClientContext by_webhook;
  ASSERT_TRUE(stub_->GetEvent(&by_webhook, request, &response).ok());
  EXPECT_EQ(response.event().sequence(), 1);
  EXPECT_EQ(response.event().raw_body(), webhook.body);
  request.set_sequence(1);
  grpc::ClientContext by_sequence;
  ASSERT_TRUE(stub_->GetEvent(&by_sequence, request, &response).ok());
  EXPECT_EQ(response.event().webhook_id(), "wh_1");
  request.set_sequence(2);
  grpc::ClientContext missing;
  const grpc::Status status = stub_->GetEvent(&missing, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_details(), HasSubstr("EVENT_NOT_FOUND"));
}

// Calls a method that the test has no stub for, with the bytes of one request message.
std::string CallRaw(const std::string& address, const std::string& method,
                    const std::string& request) {
  const UntypedCalls untyped;
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  const grpc::ByteBuffer bytes(&slice, 1);
  auto call = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool ok = false;
  const auto wait = [&] { return queue.Next(&tag, &ok) && ok; };
  call->StartCall(nullptr);
  EXPECT_TRUE(wait());
  call->Write(bytes, nullptr);
  EXPECT_TRUE(wait());
  call->WritesDone(nullptr);
  EXPECT_TRUE(wait());
  grpc::ByteBuffer response;
  call->Read(&response, nullptr);
  EXPECT_TRUE(wait());
  grpc::Status status;
  call->Finish(&status, nullptr);
  EXPECT_TRUE(wait());
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(response.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& part : slices) {
    text.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return text;
}

TEST_F(QueryTest, StandardHealthServiceSaysServing) {
  // HealthCheckResponse { status: SERVING }
  EXPECT_EQ(CallRaw(gateway_->grpc(), "/grpc.health.v1.Health/Check", ""), "\x08\x01");
}

TEST_F(QueryTest, ReflectionListsTheServices) {
  // ServerReflectionRequest { list_services: "" }
  const std::string services =
      CallRaw(gateway_->grpc(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              std::string("\x3a\x00", 2));
  EXPECT_THAT(services, HasSubstr("hookgate.v1.EventService"));
  // ServerReflectionRequest { file_containing_symbol: "hookgate.v1.EventService" }
  const std::string file =
      CallRaw(gateway_->grpc(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              std::string("\x22\x18") + "hookgate.v1.EventService");
  EXPECT_THAT(file, HasSubstr("SubscribeRequest"));
}

TEST_F(QueryTest, AdminPortSaysHealthyAndReady) {
  const std::string ready = "GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n";
  EXPECT_EQ(Exchange(gateway_->admin(), ready)->body, R"({"status":"ready"})");
  EXPECT_EQ(Exchange(gateway_->admin(), "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")->status,
            200);
  EXPECT_EQ(Exchange(gateway_->admin(), "GET / HTTP/1.1\r\nHost: test\r\n\r\n")->status, 404);
}

}  // namespace
}  // namespace hookgate
