// A real gateway that may open few files, and more connections to its webhook port than these.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <memory>
#include <vector>

#include "hookgate/v1/event_service.grpc.pb.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/http_client.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int kMaxFiles = 1024;
constexpr int kConnections = 1100;

class DescriptorsTest : public GatewayTest {
 protected:
  // Over a connection of its own.
  grpc::Status Query() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::EventService::NewStub(
        grpc::CreateCustomChannel(gateway_->grpc(), grpc::InsecureChannelCredentials(), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::ListEventsResponse response;
    return stub->ListEvents(&context, v1::ListEventsRequest(), &response);
  }
};

// Once the webhook port had used up the descriptors, gRPC never accepted a connection again, though
// they had all been given back, and /readyz said "ready".
TEST_F(DescriptorsTest, CrowdAtTheWebhookPortLeavesRoomForTheOthers) {
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_GE(files.rlim_cur, kConnections + 200u);
  gateway_ = HookgatedProcess::Start(data_dir_, {}, {}, kMaxFiles);
  EXPECT_THAT(gateway_->log(), HasSubstr("http.max_connections: is 1024"));
  Store({});
  for (int round = 0; round < 2; ++round) {
    std::vector<std::unique_ptr<HttpClient>> crowd;
    for (int i = 0; i < kConnections; ++i) {
      crowd.push_back(std::make_unique<HttpClient>(gateway_->http()));
    }
    const grpc::Status during = Query();
    EXPECT_TRUE(during.ok()) << during.error_message();
    EXPECT_EQ(StoredEvents().size(), 1u + round);
    const auto ready = Exchange(gateway_->admin(), "GET /readyz HTTP/1.1\r\nHost: test\r\n\r\n");
    ASSERT_TRUE(ready.has_value());
    EXPECT_EQ(ready->status, 200);
    crowd.clear();
    const grpc::Status after = Query();
    EXPECT_TRUE(after.ok()) << after.error_message();
    HttpReply reply = {.status = 503};
    while (reply.status == 503 || reply.status == 0) reply = Send({});  // It hears of the ends.
    EXPECT_EQ(reply.status, 200) << reply.body;
  }
  EXPECT_THAT(gateway_->log(), Not(HasSubstr("accept failed")));
}

TEST_F(DescriptorsTest, SoftLimitIsRaised) {
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit before = files;
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 400);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  Start();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_EQ(prlimit(gateway_->pid(), RLIMIT_NOFILE, nullptr, &files), 0);
  EXPECT_EQ(files.rlim_cur, before.rlim_max);
}

}  // namespace
}  // namespace hookgate
