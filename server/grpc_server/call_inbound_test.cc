#include "server/grpc_server/call_inbound.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

using Result = MessageReader::Result;

constexpr size_t kMaxOfConnection = 100'000;
constexpr int64_t kMaxOfAll = 150'000;

class Holder : public BodyHolder {
 public:
  void GiveUpBody() override { gave_up = true; }
  bool gave_up = false;
};

class CallInboundTest : public testing::Test {
 protected:
  static std::string Framed(size_t announced, size_t sent) {
    const std::string prefix = {0, static_cast<char>(announced >> 24),
                                static_cast<char>(announced >> 16),
                                static_cast<char>(announced >> 8), static_cast<char>(announced)};
    return absl::StrCat(prefix, std::string(sent, 'x'));
  }
  static Result Next(CallInbound& call, std::string& message) {
    size_t used = 0;
    return call.Next(1 << 20, message, used);
  }

  FakeClock clock_;
  BodyBudget of_all_{kMaxOfAll, clock_, 0};
  BodyOrigin first_ = {.network = {1}};
  BodyOrigin second_ = {.network = {2}};
  ConnectionInbound connection_{kMaxOfConnection, of_all_, first_};
  const std::shared_ptr<Holder> holder_ = std::make_shared<Holder>();
};

TEST_F(CallInboundTest, MessagesComeInPieces) {
  CallInbound call(connection_);
  std::string message;
  EXPECT_FALSE(call.has_begun());
  EXPECT_TRUE(call.Add(Framed(10, 4), holder_));
  EXPECT_TRUE(call.has_begun());
  EXPECT_EQ(Next(call, message), Result::kIncomplete);
  EXPECT_TRUE(call.Add("yyyyyy", holder_));
  EXPECT_EQ(Next(call, message), Result::kMessage);
  EXPECT_EQ(message, "xxxxyyyyyy");
  EXPECT_FALSE(call.has_begun());
}

TEST_F(CallInboundTest, CallsOfAConnectionHaveOneBound) {
  auto first = std::make_unique<CallInbound>(connection_);
  CallInbound second(connection_);
  EXPECT_TRUE(first->Add(Framed(90'000, 60'000), holder_));
  EXPECT_TRUE(second.Add(Framed(90'000, 30'000), holder_));
  EXPECT_FALSE(second.Add(std::string(20'000, 'x'), holder_));
  // What has gone makes room.
  first = nullptr;
  CallInbound third(connection_);
  EXPECT_TRUE(third.Add(Framed(90'000, 40'000), holder_));
}

// Whoever had a message taken out held room for it until the end of the call.
TEST_F(CallInboundTest, WhatIsTakenOutCountsNoMore) {
  CallInbound call(connection_);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(call.Add(Framed(60'000, 60'000), holder_)) << i;
    std::string message;
    ASSERT_EQ(Next(call, message), Result::kMessage);
    call.EndMessage();
    EXPECT_EQ(of_all_.held_bytes(), 0);
  }
}

TEST_F(CallInboundTest, TheOnlyMessageCountsUntilItIsTaken) {
  CallInbound call(connection_);
  std::string message;
  ASSERT_TRUE(call.Add(Framed(60'000, 60'000), holder_));
  ASSERT_EQ(Next(call, message), Result::kMessage);
  call.KeepOnly(std::move(message));
  EXPECT_TRUE(call.has_only());
  EXPECT_FALSE(call.Add(Framed(60'000, 60'000), holder_));
  EXPECT_EQ(call.TakeOnly().size(), 60'000);
  EXPECT_FALSE(call.has_only());
}

TEST_F(CallInboundTest, LittleOfAConnectionDoesNotCountForAll) {
  CallInbound call(connection_);
  EXPECT_TRUE(call.Add(Framed(90'000, 10'000), holder_));
  EXPECT_EQ(of_all_.held_bytes(), 0);
  EXPECT_TRUE(call.Add(std::string(10'000, 'x'), holder_));
  EXPECT_GE(of_all_.held_bytes(), 20'000);
}

TEST_F(CallInboundTest, WhoHoldsMostOfAllGivesWay) {
  CallInbound large(connection_);
  ASSERT_TRUE(large.Add(Framed(99'000, 90'000), holder_));
  EXPECT_FALSE(large.has_given_up());
  ConnectionInbound another(kMaxOfConnection, of_all_, second_);
  const auto other_holder = std::make_shared<Holder>();
  CallInbound small(another);
  EXPECT_TRUE(small.Add(Framed(90'000, 70'000), other_holder));
  EXPECT_TRUE(holder_->gave_up);
  EXPECT_TRUE(large.has_given_up());
  EXPECT_FALSE(small.has_given_up());
}

}  // namespace
}  // namespace hookgate
