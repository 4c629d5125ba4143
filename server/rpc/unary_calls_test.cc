#include "server/rpc/unary_calls.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "tests/support/fake_call.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

using hookgate::v1::AcknowledgeRequest;
using hookgate::v1::AcknowledgeResponse;

class UnaryCallsTest : public testing::Test {
 protected:
  struct Client {
    std::shared_ptr<FakeCall> call = std::make_shared<FakeCall>();
    std::shared_ptr<CallHandler> handler;
  };
  Client Send(const Method& method) {
    Client client;
    auto handler = method.factory(client.call, CallInfo{.certificate_names = {}});
    EXPECT_TRUE(handler.ok()) << handler.status();
    client.handler = *std::move(handler);
    client.handler->OnMessage(AcknowledgeRequest().SerializeAsString());
    client.handler->OnHalfClose();
    return client;
  }

  FakeClock clock_;
  AccessControl access_;
  CallGate gate_{access_, clock_, nullptr};
  Executor executor_{1};
  std::vector<UnaryCalls::Finish> begun_;
  UnaryCalls calls_{executor_, gate_};
  const Method method_ = calls_.Immediate<AcknowledgeRequest, AcknowledgeResponse>(
      [](const Caller&, const AcknowledgeRequest&) { return absl::OkStatus(); },
      [this](const AcknowledgeRequest&, AcknowledgeResponse&, UnaryCalls::Finish finish) {
        begun_.push_back(std::move(finish));
      });
};

// While the disk stood still, every Acknowledge was taken and kept: their number had no bound.
TEST_F(UnaryCallsTest, CallsThatWaitForACommitHaveABound) {
  constexpr size_t kUnderWay = 256;
  std::vector<Client> clients;
  while (clients.size() < kUnderWay) clients.push_back(Send(method_));
  EXPECT_EQ(begun_.size(), kUnderWay);
  EXPECT_FALSE(calls_.idle());

  Client refused = Send(method_);
  const absl::Status status = refused.call->AwaitStatus();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(absl::StrContains(ReasonOf(status), "too_many_queries")) << status;
  EXPECT_EQ(begun_.size(), kUnderWay);

  std::move(begun_.back())(absl::OkStatus());
  begun_.pop_back();
  EXPECT_NE(clients.back().call->Next(*clients.back().handler), nullptr);
  clients.push_back(Send(method_));
  EXPECT_EQ(begun_.size(), kUnderWay);

  for (UnaryCalls::Finish& finish : begun_) std::move(finish)(absl::CancelledError("the end"));
  EXPECT_TRUE(calls_.idle());
  for (const Client& client : clients) client.handler->OnEnd(CallEnd::kFinished);
  refused.handler->OnEnd(CallEnd::kFinished);
}

}  // namespace
}  // namespace hookgate
