// Streams and queries over real gRPC; what each frame holds is tested in subscribe_session_test.

#include "server/rpc/rpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "hookgate/v1/event_service.grpc.pb.h"
#include "tests/support/await_outcome.h"
#include "tests/support/consume_call.h"
#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/held_log.h"
#include "tests/support/held_store.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using hookgate::v1::EventService;
using hookgate::v1::SubscribeResponse;

class RpcServerTest : public testing::Test {
 protected:
  explicit RpcServerTest(Tail::Limits tail = {}) : tail_(tail, watch_) {}

  void SetUp() override { Start({}); }

  void Start(const RpcServerOptions& options) {
    server_.reset();
    auto server = RpcServer::Start(options, Context());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = ConnectTo(server_->address());
  }
  RpcServerContext Context() {
    return {.log = held_,
            .quarantine = *log_,
            .lookups = *log_,
            .conflicts = *log_,
            .refused = refused_,
            .tail = tail_,
            .watch = watch_,
            .subscriptions = *subscriptions_,
            .clock = SystemClock(),
            .metrics = metrics_,
            .access = access_,
            .certificates = nullptr,
            .get_status = [](v1::GetStatusResponse&) { return absl::OkStatus(); }};
  }
  std::unique_ptr<SqliteEventLog> OpenLog() {
    auto log = OpenTemporaryLog(&tail_);
    tail_.StartAfter(0);
    return log;
  }
  std::unique_ptr<SubscriptionRegistry> OpenSubscriptions() {
    auto subscriptions = SubscriptionRegistry::Open(
        {store_, held_, tail_, watch_, executor_, reads_, SystemClock()});
    EXPECT_TRUE(subscriptions.ok()) << subscriptions.status();
    return *std::move(subscriptions);
  }

  AccessControl access_;
  RefusedRequests refused_;
  MetricRegistry metrics_;
  HeadWatch watch_{SystemClock()};
  Tail tail_;
  const std::unique_ptr<SqliteEventLog> log_ = OpenLog();
  HeldLog held_{*log_};
  HeldStore store_{*log_};
  ReadQueue reads_{1, 1};
  Executor executor_{1};
  const std::unique_ptr<SubscriptionRegistry> subscriptions_ = OpenSubscriptions();
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<EventService::Stub> stub_;
};

constexpr char kEarliest[] = "start_position: START_POSITION_EARLIEST";

TEST_F(RpcServerTest, StreamDeliversStoredAndLiveEventsInOrder) {
  AppendEvent(*log_);
  EventStream stream(*stub_, kEarliest);
  EXPECT_TRUE(stream.Next().has_opened());
  EXPECT_EQ(stream.Next().event_batch().events(0).sequence(), 1);
  EXPECT_TRUE(stream.Next().has_caught_up());
  for (int64_t sequence = 2; sequence <= 50; ++sequence) {
    AppendEvent(*log_);
    EXPECT_THAT(stream.NextSequences(1), testing::ElementsAre(sequence));
  }
}

TEST_F(RpcServerTest, HeartbeatsComeOnASilentStream) {
  EventStream stream(*stub_, std::string(kEarliest) + " heartbeat_interval { nanos: 100000000 }");
  EXPECT_TRUE(stream.Next().has_opened());
  EXPECT_TRUE(stream.Next().has_caught_up());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(stream.Next().has_heartbeat());
}

TEST_F(RpcServerTest, BadRequestEndsTheStreamWithItsError) {
  EventStream stream(*stub_, "");
  EXPECT_EQ(stream.Next().frame_case(), SubscribeResponse::FRAME_NOT_SET);
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("start"));
  EXPECT_FALSE(status.error_details().empty());
}

TEST_F(RpcServerTest, StreamsAboveTheLimitAreRefusedUntilOneEnds) {
  Start({.max_streams = 1});
  EventStream first(*stub_, kEarliest);
  ASSERT_TRUE(first.Next().has_opened());
  {
    EventStream second(*stub_, kEarliest);
    second.Next();
    EXPECT_EQ(second.Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  }
  first.Cancel();
  first.Finish();
  // The server hears of the end a moment later.
  ASSERT_TRUE(Eventually("the stream has ended", [&] { return server_->open_streams() == 0; }));
  EventStream third(*stub_, kEarliest);
  EXPECT_TRUE(third.Next().has_opened());
}

TEST_F(RpcServerTest, DrainSaysGoodbyeOnEveryStreamAndEndsThemUnavailable) {
  EventStream first(*stub_, kEarliest);
  EventStream second(*stub_, kEarliest);
  for (EventStream* stream : {&first, &second}) {
    EXPECT_TRUE(stream->Next().has_opened());
    EXPECT_TRUE(stream->Next().has_caught_up());
  }
  std::thread drain([&] { server_->Drain(absl::Seconds(20)); });
  for (EventStream* stream : {&first, &second}) {
    EXPECT_TRUE(stream->Next().has_draining());
    EXPECT_EQ(stream->Next().frame_case(), SubscribeResponse::FRAME_NOT_SET);
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  drain.join();
  EXPECT_EQ(server_->open_streams(), 0u);
}

// P5: the one that does not read costs one frame, and nobody waits for it.
TEST_F(RpcServerTest, StalledStreamDelaysNobodyAndMissesNothing) {
  EventStream stalled(*stub_, std::string(kEarliest) + " include_raw_body: true");
  ASSERT_TRUE(stalled.Next().has_opened());
  EventStream live(*stub_, kEarliest);
  constexpr size_t kEvents = 300;
  for (size_t i = 0; i < kEvents; ++i) {
    // Far more than gRPC's windows and the tail together hold.
    AppendEvent(*log_, {.raw_body = std::string(200'000, 'x')});
  }
  std::vector<int64_t> expected(kEvents);
  for (size_t i = 0; i < kEvents; ++i) expected[i] = static_cast<int64_t>(i + 1);
  EXPECT_EQ(live.NextSequences(kEvents), expected);
  EXPECT_EQ(stalled.NextSequences(kEvents), expected);
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

// Eight changes that waited for somebody's BEGIN IMMEDIATE held all threads for queries: ListEvents
// took 14.5 s.
TEST_F(RpcServerTest, QueriesGoOnWhileChangesWaitForTheirCommit) {
  Start({.query_threads = 1});
  AppendEvent(*log_);
  store_.Hold();
  const auto subscriptions = ConnectToSubscriptions(server_->address());
  std::vector<std::thread> changes;
  for (int i = 0; i < 8; ++i) {
    changes.emplace_back([&subscriptions, i] {
      grpc::ClientContext context;
      hookgate::v1::CreateSubscriptionRequest request;
      request.set_name(std::to_string(i));
      request.mutable_start()->set_start_position(hookgate::v1::START_POSITION_LATEST);
      hookgate::v1::CreateSubscriptionResponse response;
      EXPECT_EQ(subscriptions->CreateSubscription(&context, request, &response).error_code(),
                grpc::StatusCode::UNAVAILABLE);
    });
  }
  store_.AwaitHeld(8);
  grpc::ClientContext context;
  hookgate::v1::ListEventsResponse response;
  EXPECT_TRUE(stub_->ListEvents(&context, {}, &response).ok());
  EXPECT_EQ(response.events_size(), 1);
  store_.LetGo();
  for (std::thread& change : changes) change.join();
}

class SlowDiskTest : public RpcServerTest {
 protected:
  SlowDiskTest() : RpcServerTest({.max_events = 1}) {}  // The others are on the disk alone.
};

// While others read, a heartbeat each second came after 24 s.
TEST_F(SlowDiskTest, StreamsOpenAndProveThatTheyLiveWhateverTheDiskDoes) {
  for (int i = 0; i < 3; ++i) AppendEvent(*log_);
  held_.Hold();
  const std::string heartbeats = " heartbeat_interval { nanos: 100000000 }";
  EventStream waiting(*stub_, kEarliest + heartbeats);
  ASSERT_TRUE(waiting.Next().has_opened());
  held_.AwaitReader();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(waiting.Next().has_heartbeat());
  EventStream other(*stub_, "start_time {}" + heartbeats);
  EXPECT_TRUE(other.Next().has_opened());
  EXPECT_TRUE(other.Next().has_heartbeat());
  held_.Release();
  EXPECT_THAT(waiting.NextSequences(3), testing::ElementsAre(1, 2, 3));
  EXPECT_THAT(other.NextSequences(3), testing::ElementsAre(1, 2, 3));
}

TEST_F(SlowDiskTest, SoDoConsumers) {
  for (int i = 0; i < 3; ++i) AppendEvent(*log_);
  const auto settings = SubscriptionSettings::FromProto({}, "settings");
  ASSERT_TRUE(AwaitOutcome<absl::StatusOr<std::shared_ptr<Subscription>>>([&](auto done) {
                subscriptions_->Create("billing", *settings, 0, std::move(done));
              }).ok());
  held_.Hold();
  ConsumeCall call(server_->address(),
                   "subscription: 'billing' consumer_name: 'a' "
                   "heartbeat_interval { nanos: 100000000 }");
  EXPECT_TRUE(call.Next().has_opened());
  held_.AwaitReader();
  for (int i = 0; i < 3; ++i) {
    const auto frame = call.Next();
    EXPECT_EQ(frame.heartbeat().backlog().events(), 3) << frame.DebugString();
  }
  held_.Release();
  EXPECT_EQ(call.NextDeliveries(3).size(), 3u);
}

TEST_F(RpcServerTest, AddressInUseIsAnErrorThatNamesIt) {
  const auto second = RpcServer::Start({.transport = {.address = server_->address()}}, Context());
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()), testing::HasSubstr(server_->address()));
}

}  // namespace
}  // namespace hookgate
