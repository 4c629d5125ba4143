#include "server/rpc/unary_calls.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
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
  Client Send(const Method& method, const AcknowledgeRequest& request = {}) {
    Client client;
    auto handler = method.factory(client.call, CallInfo{.certificate_names = {}});
    EXPECT_TRUE(handler.ok()) << handler.status();
    client.handler = *std::move(handler);
    client.handler->OnMessage(request.SerializeAsString());
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
  EXPECT_EQ(ReasonOf(status), reason::kTooManyQueries) << status;
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

// Each of 256 requests of small items took megabytes once it was parsed, and kept them while it
// waited: their number had a bound, and what they held had none.
TEST_F(UnaryCallsTest, WhatRequestsHoldWhileTheyWaitHasABound) {
  AcknowledgeRequest large;
  for (int i = 0; i < 60'000; ++i) large.mutable_ack()->add_delivery_ids("");
  const auto most = static_cast<size_t>((32 << 20) / large.SpaceUsedLong());
  ASSERT_LT(most, 32u);
  std::vector<Client> clients;
  while (clients.size() <= most) clients.push_back(Send(method_, large));
  EXPECT_EQ(begun_.size(), most);
  const absl::Status status = clients.back().call->AwaitStatus();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(ReasonOf(status), reason::kTooManyQueries);
  // Small ones have room, and a large one again once another has ended.
  clients.push_back(Send(method_));
  EXPECT_EQ(begun_.size(), most + 1);
  std::move(begun_.front())(absl::OkStatus());
  begun_.erase(begun_.begin());
  clients.push_back(Send(method_, large));
  EXPECT_EQ(begun_.size(), most + 1);
  for (UnaryCalls::Finish& finish : begun_) std::move(finish)(absl::CancelledError("the end"));
  EXPECT_TRUE(calls_.idle());
  for (const Client& client : clients) client.handler->OnEnd(CallEnd::kFinished);
}

}  // namespace
}  // namespace hookgate
