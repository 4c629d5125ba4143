#include "server/net/body_budget.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

constexpr int64_t kFree = BodyBudget::kFreeBytes;
constexpr int64_t kMax = 1000;

struct Holder final : BodyHolder {
  void GiveUpBody() override { ++told; }
  int told = 0;
};

class BodyBudgetTest : public testing::Test {
 protected:
  FakeClock clock_;
  BodyBudget budget_{kMax, clock_};
  const std::shared_ptr<Holder> holder_ = std::make_shared<Holder>();
  const std::shared_ptr<Holder> other_ = std::make_shared<Holder>();
};

TEST_F(BodyBudgetTest, OnlyWhatIsBeyondAUsualWebhookCounts) {
  BodyBudget::Share share(budget_, holder_);
  EXPECT_TRUE(share.Grow(kFree));
  EXPECT_EQ(budget_.held_bytes(), 0);
  EXPECT_TRUE(share.Grow(kFree + 10));
  EXPECT_TRUE(share.Grow(kFree + 30));
  EXPECT_EQ(budget_.held_bytes(), 30);
  share.Release();
  EXPECT_EQ(budget_.held_bytes(), 0);
  share.Release();
  EXPECT_EQ(budget_.held_bytes(), 0);
}

TEST_F(BodyBudgetTest, WhatDoesNotFitIsRefusedAndChangesNothing) {
  BodyBudget::Share first(budget_, holder_);
  EXPECT_TRUE(first.Grow(kFree + 600));
  {
    BodyBudget::Share second(budget_, other_);
    EXPECT_FALSE(second.Grow(kFree + 401));
    EXPECT_TRUE(second.Grow(kFree + 400));
    EXPECT_FALSE(first.Grow(kFree + 601));
    EXPECT_EQ(budget_.held_bytes(), kMax);
  }
  EXPECT_EQ(budget_.held_bytes(), 600);
  EXPECT_TRUE(first.Grow(kFree + kMax));
  EXPECT_EQ(holder_->told + other_->told, 0);
}

TEST_F(BodyBudgetTest, SmallBodiesAlwaysHaveRoomAndOthersWhenThereIsSome) {
  EXPECT_TRUE(budget_.HasRoomFor(kFree + kMax));
  EXPECT_FALSE(budget_.HasRoomFor(kFree + kMax + 1));
  BodyBudget::Share share(budget_, holder_);
  ASSERT_TRUE(share.Grow(kFree + kMax));
  EXPECT_TRUE(budget_.HasRoomFor(kFree));
  EXPECT_FALSE(budget_.HasRoomFor(kFree + 1));
}

// Strangers who fill the budget and then stop would keep large webhooks out until their bodies time
// out, which is 30 s.
TEST_F(BodyBudgetTest, OldestGivesUpOnceItHasHadItsTime) {
  BodyBudget::Share slow(budget_, holder_);
  ASSERT_TRUE(slow.Grow(kFree + 600));
  clock_.Advance(absl::Seconds(1));
  BodyBudget::Share young(budget_, other_);
  ASSERT_TRUE(young.Grow(kFree + 400));
  clock_.Advance(BodyBudget::kPatience - absl::Seconds(1));
  EXPECT_FALSE(budget_.HasRoomFor(kFree + 100));
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(budget_.HasRoomFor(kFree + 100));
  EXPECT_EQ(holder_->told, 0);  // Not for what is only announced.
  BodyBudget::Share next(budget_, other_);
  ASSERT_TRUE(next.Grow(kFree + 100));
  EXPECT_EQ(holder_->told, 1);
  EXPECT_EQ(other_->told, 0);
  EXPECT_EQ(budget_.held_bytes(), 500);
  EXPECT_FALSE(slow.Grow(kFree + 601));
  slow.Release();
  EXPECT_EQ(budget_.held_bytes(), 500);
}

TEST_F(BodyBudgetTest, BodyDoesNotMakeRoomForItself) {
  BodyBudget::Share share(budget_, holder_);
  ASSERT_TRUE(share.Grow(kFree + 600));
  clock_.Advance(absl::Hours(1));
  EXPECT_FALSE(share.Grow(kFree + kMax + 1));
  EXPECT_EQ(holder_->told, 0);
  BodyBudget::Share second(budget_, other_);
  ASSERT_TRUE(second.Grow(kFree + 300));
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(share.Grow(kFree + 900));
  EXPECT_EQ(other_->told, 1);
}

}  // namespace
}  // namespace hookgate
