// Streams and queries over real gRPC; what each frame holds is tested in subscribe_session_test.

#include "server/rpc/rpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "google/protobuf/text_format.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using hookgate::v1::EventService;
using hookgate::v1::SubscribeRequest;
using hookgate::v1::SubscribeResponse;

// One Subscribe call; a read that finds nothing for 20 s fails the test.
class Stream {
 public:
  Stream(EventService::Stub& stub, const std::string& request_text) {
    SubscribeRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(request_text, &request));
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    reader_ = stub.Subscribe(&context_, request);
  }
  // The next frame; none set at the end of the stream.
  SubscribeResponse Next() {
    SubscribeResponse response;
    if (!reader_->Read(&response)) response.Clear();
    return response;
  }
  // The sequences of the next `count` events, over other frames.
  std::vector<int64_t> NextEvents(size_t count) {
    std::vector<int64_t> sequences;
    while (sequences.size() < count) {
      const SubscribeResponse response = Next();
      if (response.frame_case() == SubscribeResponse::FRAME_NOT_SET) break;
      for (const auto& event : response.event_batch().events()) {
        sequences.push_back(event.sequence());
      }
    }
    return sequences;
  }
  grpc::Status Finish() { return reader_->Finish(); }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<SubscribeResponse>> reader_;
};

class RpcServerTest : public testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(const RpcServerOptions& options) {
    server_.reset();
    auto server = RpcServer::Start(options, *log_, tail_, watch_, SystemClock());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = EventService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }
  std::unique_ptr<SqliteEventLog> OpenLog() {
    auto log = OpenTemporaryLog(&tail_);
    tail_.StartAfter(0);
    return log;
  }

  HeadWatch watch_{SystemClock()};
  Tail tail_{{}, watch_};
  const std::unique_ptr<SqliteEventLog> log_ = OpenLog();
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<EventService::Stub> stub_;
};

constexpr char kEarliest[] = "start_position: START_POSITION_EARLIEST";

TEST_F(RpcServerTest, StreamDeliversStoredAndLiveEventsInOrder) {
  AppendEvent(*log_);
  Stream stream(*stub_, kEarliest);
  EXPECT_TRUE(stream.Next().has_opened());
  EXPECT_EQ(stream.Next().event_batch().events(0).sequence(), 1);
  EXPECT_TRUE(stream.Next().has_caught_up());
  for (int64_t sequence = 2; sequence <= 50; ++sequence) {
    AppendEvent(*log_);
    EXPECT_THAT(stream.NextEvents(1), testing::ElementsAre(sequence));
  }
}

TEST_F(RpcServerTest, HeartbeatsComeOnASilentStream) {
  Stream stream(*stub_, std::string(kEarliest) + " heartbeat_interval { nanos: 100000000 }");
  EXPECT_TRUE(stream.Next().has_opened());
  EXPECT_TRUE(stream.Next().has_caught_up());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(stream.Next().has_heartbeat());
}

TEST_F(RpcServerTest, BadRequestEndsTheStreamWithItsError) {
  Stream stream(*stub_, "");
  EXPECT_EQ(stream.Next().frame_case(), SubscribeResponse::FRAME_NOT_SET);
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("start"));
  EXPECT_FALSE(status.error_details().empty());
}

TEST_F(RpcServerTest, StreamsAboveTheLimitAreRefusedUntilOneEnds) {
  Start({.max_streams = 1});
  Stream first(*stub_, kEarliest);
  ASSERT_TRUE(first.Next().has_opened());
  {
    Stream second(*stub_, kEarliest);
    second.Next();
    EXPECT_EQ(second.Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  first.Cancel();
  first.Finish();
  // The server hears of the end a moment later.
  while (server_->open_streams() > 0) std::this_thread::yield();
  Stream third(*stub_, kEarliest);
  EXPECT_TRUE(third.Next().has_opened());
}

TEST_F(RpcServerTest, DrainSaysGoodbyeOnEveryStreamAndEndsThemUnavailable) {
  Stream first(*stub_, kEarliest);
  Stream second(*stub_, kEarliest);
  for (Stream* stream : {&first, &second}) {
    EXPECT_TRUE(stream->Next().has_opened());
    EXPECT_TRUE(stream->Next().has_caught_up());
  }
  std::thread drain([&] { server_->Drain(absl::Seconds(20)); });
  for (Stream* stream : {&first, &second}) {
    EXPECT_TRUE(stream->Next().has_draining());
    EXPECT_EQ(stream->Next().frame_case(), SubscribeResponse::FRAME_NOT_SET);
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  drain.join();
  EXPECT_EQ(server_->open_streams(), 0u);
}

// P5: the one that does not read costs one frame, and nobody waits for it.
TEST_F(RpcServerTest, StalledStreamDelaysNobodyAndMissesNothing) {
  Stream stalled(*stub_, std::string(kEarliest) + " include_raw_body: true");
  ASSERT_TRUE(stalled.Next().has_opened());
  Stream live(*stub_, kEarliest);
  constexpr size_t kEvents = 300;
  for (size_t i = 0; i < kEvents; ++i) {
    // Far more than gRPC's windows and the tail together hold.
    AppendEvent(*log_, {.raw_body = std::string(200'000, 'x')});
  }
  std::vector<int64_t> expected(kEvents);
  for (size_t i = 0; i < kEvents; ++i) expected[i] = static_cast<int64_t>(i + 1);
  EXPECT_EQ(live.NextEvents(kEvents), expected);
  EXPECT_EQ(stalled.NextEvents(kEvents), expected);
}

TEST_F(RpcServerTest, QueriesAnswerWithErrorsOfTheirOwn) {
  AppendEvent(*log_, {.webhook_id = "wh_1"});
  grpc::ClientContext found_context;
  hookgate::v1::GetEventRequest request;
  request.set_sequence(1);
  hookgate::v1::GetEventResponse response;
  ASSERT_TRUE(stub_->GetEvent(&found_context, request, &response).ok());
  EXPECT_EQ(response.event().webhook_id(), "wh_1");
  grpc::ClientContext missing_context;
  request.set_sequence(2);
  EXPECT_EQ(stub_->GetEvent(&missing_context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(RpcServerTest, AddressInUseIsAnErrorThatNamesIt) {
  const auto second =
      RpcServer::Start({.address = server_->address()}, *log_, tail_, watch_, SystemClock());
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()), testing::HasSubstr(server_->address()));
}

}  // namespace
}  // namespace hookgate
