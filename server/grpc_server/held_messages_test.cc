#include "server/grpc_server/held_messages.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

class FakeHolder : public BodyHolder {
 public:
  void GiveUpBody() override { ++times; }
  int times = 0;
};

class HeldMessagesTest : public testing::Test {
 protected:
  static Message Of(size_t bytes) { return std::make_shared<const std::string>(bytes, 'x'); }

  FakeClock clock_;
  BodyBudget budget_{1000, clock_, 0};
  HeldMessages held_{budget_};
  BodyOrigin first_ = {.network = {1}};
  BodyOrigin second_ = {.network = {2}};
  const std::shared_ptr<FakeHolder> call_ = std::make_shared<FakeHolder>();
  const std::shared_ptr<FakeHolder> other_ = std::make_shared<FakeHolder>();
};

TEST_F(HeldMessagesTest, AMessageCountsOnceHoweverManyShareIt) {
  const Message message = Of(600);
  std::vector<std::shared_ptr<HeldMessage>> holds;
  for (int i = 0; i < 100; ++i) {
    holds.push_back(held_.Hold(message, first_, call_));
    ASSERT_NE(holds.back(), nullptr);
  }
  EXPECT_EQ(budget_.held_bytes(), 600);
  EXPECT_EQ(held_.Hold(Of(600), first_, call_), nullptr);
  holds.resize(1);
  EXPECT_EQ(budget_.held_bytes(), 600);
  holds.clear();
  EXPECT_EQ(budget_.held_bytes(), 0);
  EXPECT_NE(held_.Hold(Of(600), first_, call_), nullptr);
}

TEST_F(HeldMessagesTest, EveryCallThatHoldsItHearsThatOthersNeedTheRoom) {
  const Message message = Of(900);
  const auto one = held_.Hold(message, first_, call_);
  const auto same = held_.Hold(message, second_, other_);
  EXPECT_FALSE(one->has_given_up());
  const auto another = held_.Hold(Of(500), second_, std::make_shared<FakeHolder>());
  EXPECT_NE(another, nullptr);
  EXPECT_TRUE(one->has_given_up());
  EXPECT_TRUE(same->has_given_up());
  EXPECT_EQ(call_->times, 1);
  EXPECT_EQ(other_->times, 1);
  // Nobody may begin to hold it while it is about to go.
  EXPECT_EQ(held_.Hold(message, second_, call_), nullptr);
  EXPECT_EQ(budget_.held_bytes(), 500);
}

TEST_F(HeldMessagesTest, CallsThatHaveGoneAreNotTold) {
  auto gone = std::make_shared<FakeHolder>();
  const auto one = held_.Hold(Of(900), first_, gone);
  gone = nullptr;
  EXPECT_NE(held_.Hold(Of(500), second_, call_), nullptr);
  EXPECT_TRUE(one->has_given_up());
}

}  // namespace
}  // namespace hookgate
