// What a real gateway answers to queries, and to tools that know nothing of it.

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
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

// "--source opnai" was answered with nothing by queries, and kept subscribers waiting for ever.
TEST_F(QueryTest, UnknownSourceIsRefusedByEveryCallThatNamesOne) {
  const auto expect_refused = [](const grpc::Status& status, const char* field) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND) << field;
    EXPECT_THAT(status.error_message(), HasSubstr("\"opnai\""));
    EXPECT_THAT(status.error_message(), HasSubstr("openai"));
    EXPECT_THAT(status.error_message(), HasSubstr(field));
  };
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(60);
  const auto subscriptions = v1::SubscriptionService::NewStub(
      grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials()));
  const auto admin = v1::AdminService::NewStub(
      grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials()));
  {
    grpc::ClientContext call;
    call.set_deadline(deadline);
    v1::ListRecentFailuresRequest request;
    request.mutable_filter()->add_sources("opnai");
    v1::ListRecentFailuresResponse response;
    expect_refused(stub_->ListRecentFailures(&call, request, &response), "filter.sources[0]");
  }
  {
    grpc::ClientContext call;
    call.set_deadline(deadline);
    v1::ListEventsRequest request;
    request.mutable_filter()->add_sources("openai");
    request.mutable_filter()->add_sources("opnai");
    v1::ListEventsResponse response;
    expect_refused(stub_->ListEvents(&call, request, &response), "filter.sources[1]");
  }
  {
    grpc::ClientContext call;
    call.set_deadline(deadline);
    v1::GetEventRequest request;
    request.mutable_webhook()->set_source("opnai");
    request.mutable_webhook()->set_webhook_id("wh_1");
    v1::GetEventResponse response;
    expect_refused(stub_->GetEvent(&call, request, &response), "webhook.source");
  }
  {
    grpc::ClientContext call;
    call.set_deadline(deadline);
    v1::SubscribeRequest request;
    request.mutable_filter()->add_sources("opnai");
    const auto stream = stub_->Subscribe(&call, request);
    v1::SubscribeResponse frame;
    EXPECT_FALSE(stream->Read(&frame));
    expect_refused(stream->Finish(), "filter.sources[0]");
  }
  {
    grpc::ClientContext call;
    call.set_deadline(deadline);
    v1::CreateSubscriptionRequest request;
    request.set_name("billing");
    request.mutable_settings()->mutable_filter()->add_sources("opnai");
    request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
    v1::CreateSubscriptionResponse response;
    expect_refused(subscriptions->CreateSubscription(&call, request, &response),
                   "settings.filter.sources[0]");
  }
  {
    grpc::ClientContext call;
    call.set_deadline(deadline);
    v1::ListQuarantinedRequest request;
    request.set_source("opnai");
    v1::ListQuarantinedResponse response;
    expect_refused(admin->ListQuarantined(&call, request, &response), "source");
  }
}

// A name of 900 kB went into the log with each call, before anybody had looked at it.
TEST_F(QueryTest, NamesThatCannotBeOnesAreNotLogged) {
  const auto stub = v1::SubscriptionService::NewStub(
      grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials()));
  const std::string name(900'000, 'n');
  for (int i = 0; i < 20; ++i) {
    grpc::ClientContext remove;
    v1::DeleteSubscriptionRequest request;
    request.set_name(name);
    v1::DeleteSubscriptionResponse response;
    const grpc::Status status = stub->DeleteSubscription(&remove, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_LT(status.error_message().size(), 1000u);
    grpc::ClientContext subscribe;
    v1::SubscribeRequest subscription;
    subscription.set_client_name(name);
    const auto stream = stub_->Subscribe(&subscribe, subscription);
    EXPECT_FALSE(stream->Finish().ok());
  }
  EXPECT_LT(gateway_->log().size(), 200'000u);
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
  // HealthCheckRequest { service: "hookgate.v1.EventService" }
  EXPECT_EQ(
      CallRaw(gateway_->grpc(), "/grpc.health.v1.Health/Check", "\x0a\x18hookgate.v1.EventService"),
      "\x08\x01");
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

// The health service was listed, and could not be described.
TEST_F(QueryTest, ReflectionDescribesEverythingThatItLists) {
  for (const char* version : {"v1", "v1alpha"}) {
    const std::string method =
        absl::StrCat("/grpc.reflection.", version, ".ServerReflection/ServerReflectionInfo");
    grpc::reflection::v1::ServerReflectionRequest question;
    question.set_list_services("");
    grpc::reflection::v1::ServerReflectionResponse listed;
    ASSERT_TRUE(
        listed.ParseFromString(CallRaw(gateway_->grpc(), method, question.SerializeAsString())));
    EXPECT_EQ(listed.list_services_response().service_size(), 6);
    for (const auto& service : listed.list_services_response().service()) {
      question.set_file_containing_symbol(service.name());
      grpc::reflection::v1::ServerReflectionResponse described;
      ASSERT_TRUE(described.ParseFromString(
          CallRaw(gateway_->grpc(), method, question.SerializeAsString())));
      ASSERT_TRUE(described.has_file_descriptor_response()) << service.name();
      // With all that it imports, in an order in which a pool can be built of it.
      google::protobuf::DescriptorPool pool;
      for (const std::string& bytes :
           described.file_descriptor_response().file_descriptor_proto()) {
        google::protobuf::FileDescriptorProto file;
        ASSERT_TRUE(file.ParseFromString(bytes));
        ASSERT_NE(pool.BuildFile(file), nullptr) << file.name();
      }
      EXPECT_NE(pool.FindServiceByName(service.name()), nullptr) << service.name();
    }
    question.set_file_containing_symbol("no.such.Symbol");
    grpc::reflection::v1::ServerReflectionResponse missing;
    ASSERT_TRUE(
        missing.ParseFromString(CallRaw(gateway_->grpc(), method, question.SerializeAsString())));
    EXPECT_EQ(missing.error_response().error_code(), grpc::StatusCode::NOT_FOUND);
  }
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
