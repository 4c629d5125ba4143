// Honest peers that ask for as much as is right, as fast as they are served, of a gateway with its
// default limits: none of these may end a connection or a call.

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "tests/hostile/attacks.h"
#include "tests/hostile/siege.h"

namespace hookgate {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckResponse;
using grpc::reflection::v1::ServerReflection;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

class HonestTest : public SiegeTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override { StartSiege(/*tls=*/GetParam()); }
  void TearDown() override {
    ExpectNobodyRefused({});
    EXPECT_TRUE(bystanders().Take().complaints.empty());
    EndSiege();
    SiegeTest::TearDown();
  }
};

// One Health.Check after the other, of a number that are under way.
class Checks {
 public:
  Checks(Health::Stub& stub, int count) : stub_(stub), left_(count) {}

  // How many were answered OK once all are.
  int Run(int under_way) {
    for (int i = 0; i < under_way; ++i) Begin();
    int ok = 0;
    void* tag = nullptr;
    bool event_ok = false;
    while (pending_ > 0 && queue_.Next(&tag, &event_ok)) {
      const std::unique_ptr<Call> call(static_cast<Call*>(tag));
      --pending_;
      if (call->status.ok() && call->response.status() == HealthCheckResponse::SERVING) ++ok;
      Begin();
    }
    return ok;
  }

 private:
  struct Call {
    grpc::ClientContext context;
    HealthCheckResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<HealthCheckResponse>> reader;
  };

  void Begin() {
    if (left_ == 0) return;
    --left_;
    ++pending_;
    auto* const call = new Call;
    call->reader = stub_.AsyncCheck(&call->context, {}, &queue_);
    call->reader->Finish(&call->response, &call->status, call);
  }

  Health::Stub& stub_;
  grpc::CompletionQueue queue_;
  int left_;
  int pending_ = 0;
};

// gRPC C++ answers each answer with WINDOW_UPDATE and PING; limits on these have ended clients at
// 3,700 calls/s.
TEST_P(HonestTest, CallsAtTheRateOfGrpc) {
  constexpr int kCalls = 10'000;
  const auto stub = Health::NewStub(NewChannel());
  EXPECT_EQ(Checks(*stub, kCalls).Run(/*under_way=*/64), kCalls);
}

TEST_P(HonestTest, StreamOfSmallMessages) {
  constexpr int kMessages = 10'000;
  const auto stub = ServerReflection::NewStub(NewChannel());
  grpc::ClientContext context;
  Prepare(context);
  const auto stream = stub->ServerReflectionInfo(&context);
  std::thread asks([&stream] {
    ServerReflectionRequest request;
    request.set_file_containing_symbol("no.such");
    for (int i = 0; i < kMessages; ++i) {
      if (!stream->Write(request)) return;
    }
    stream->WritesDone();
  });
  int answers = 0;
  ServerReflectionResponse response;
  while (stream->Read(&response)) ++answers;
  asks.join();
  EXPECT_EQ(answers, kMessages);
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_P(HonestTest, ThousandStreamsOfOneConnection) {
  constexpr int kStreams = 1'000;
  const auto stub = v1::EventService::NewStub(NewChannel());
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> reader;
  };
  v1::SubscribeRequest request;
  request.set_start_position(v1::START_POSITION_LATEST);
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(std::make_unique<Stream>());
    Prepare(streams.back()->context);
    streams.back()->reader = stub->Subscribe(&streams.back()->context, request);
  }
  // Webhooks come all the time: each stream gets some of them.
  int served = 0;
  for (const auto& stream : streams) {
    v1::SubscribeResponse frame;
    while (stream->reader->Read(&frame)) {
      if (!frame.has_event_batch()) continue;
      ++served;
      break;
    }
  }
  EXPECT_EQ(served, kStreams);
  for (const auto& stream : streams) stream->context.TryCancel();
  for (const auto& stream : streams) {
    v1::SubscribeResponse frame;
    while (stream->reader->Read(&frame)) {
    }
    EXPECT_EQ(stream->reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

TEST_P(HonestTest, CrowdsByHand) {
  for (const Attack& crowd : HonestCrowds(Token())) {
    SCOPED_TRACE(crowd.name);
    const Toll toll = Suffer(crowd, absl::Seconds(1));
    ExpectBearable(crowd, toll);
    EXPECT_GT(toll.attack.received_bytes, 100'000);
  }
}

INSTANTIATE_TEST_SUITE_P(OverTls, HonestTest, testing::Bool());

}  // namespace
}  // namespace hookgate
