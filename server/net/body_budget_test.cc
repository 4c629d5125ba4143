#include "server/net/body_budget.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

constexpr int64_t kFree = BodyBudget::kFreeBytes;
constexpr int64_t kMax = 1000;
constexpr BodyOrigin kHere = {.network = {1}};
constexpr BodyOrigin kThere = {.network = {2}};
constexpr BodyOrigin kElsewhere = {.network = {3}};

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
  BodyBudget::Share share(budget_, kHere, holder_);
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
  BodyBudget::Share first(budget_, kHere, holder_);
  EXPECT_TRUE(first.Grow(kFree + 600));
  {
    BodyBudget::Share second(budget_, kHere, other_);
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
  EXPECT_TRUE(budget_.HasRoomFor(kFree + kMax, kHere));
  EXPECT_FALSE(budget_.HasRoomFor(kFree + kMax + 1, kHere));
  BodyBudget::Share share(budget_, kHere, holder_);
  ASSERT_TRUE(share.Grow(kFree + kMax));
  EXPECT_TRUE(budget_.HasRoomFor(kFree, kHere));
  EXPECT_FALSE(budget_.HasRoomFor(kFree + 1, kHere));
}

// Strangers who fill the budget and then stop would keep large webhooks out until their bodies time
// out, which is 30 s.
TEST_F(BodyBudgetTest, OldestGivesUpOnceItHasHadItsTime) {
  BodyBudget::Share slow(budget_, kHere, holder_);
  ASSERT_TRUE(slow.Grow(kFree + 600));
  clock_.Advance(absl::Seconds(1));
  BodyBudget::Share young(budget_, kHere, other_);
  ASSERT_TRUE(young.Grow(kFree + 400));
  clock_.Advance(BodyBudget::kPatience - absl::Seconds(1));
  EXPECT_FALSE(budget_.HasRoomFor(kFree + 100, kHere));
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(budget_.HasRoomFor(kFree + 100, kHere));
  EXPECT_EQ(holder_->told, 0);  // Not for what is only announced.
  BodyBudget::Share next(budget_, kHere, other_);
  ASSERT_TRUE(next.Grow(kFree + 100));
  EXPECT_EQ(holder_->told, 1);
  EXPECT_EQ(other_->told, 0);
  EXPECT_EQ(budget_.held_bytes(), 500);
  EXPECT_FALSE(slow.Grow(kFree + 601));
  slow.Release();
  EXPECT_EQ(budget_.held_bytes(), 500);
}

TEST_F(BodyBudgetTest, BodyDoesNotMakeRoomForItself) {
  BodyBudget::Share share(budget_, kHere, holder_);
  ASSERT_TRUE(share.Grow(kFree + 600));
  clock_.Advance(absl::Hours(1));
  EXPECT_FALSE(share.Grow(kFree + kMax + 1));
  EXPECT_EQ(holder_->told, 0);
  BodyBudget::Share second(budget_, kHere, other_);
  ASSERT_TRUE(second.Grow(kFree + 300));
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(share.Grow(kFree + 900));
  EXPECT_EQ(other_->told, 1);
}

// One address filled the budget, renewed its bodies before their time, and kept all others out.
TEST_F(BodyBudgetTest, WhoHoldsMostGivesWayAtOnce) {
  BodyBudget::Share oldest(budget_, kHere, holder_);
  BodyBudget::Share younger(budget_, kHere, other_);
  ASSERT_TRUE(oldest.Grow(kFree + 400));
  ASSERT_TRUE(younger.Grow(kFree + 600));
  EXPECT_FALSE(budget_.HasRoomFor(kFree + 100, kHere));
  EXPECT_TRUE(budget_.HasRoomFor(kFree + 100, kThere));
  const auto asks = std::make_shared<Holder>();
  BodyBudget::Share honest(budget_, kThere, asks);
  EXPECT_TRUE(honest.Grow(kFree + 100));
  EXPECT_EQ(holder_->told, 1);
  EXPECT_TRUE(oldest.has_given_up());
  EXPECT_FALSE(younger.has_given_up());
  EXPECT_FALSE(BodyBudget::Share(budget_, kHere, holder_).has_given_up());
  EXPECT_EQ(other_->told, 0);
  EXPECT_EQ(budget_.held_bytes(), 700);
  // What is free is everybody's, but the one that holds most pushes nobody out.
  BodyBudget::Share again(budget_, kHere, holder_);
  EXPECT_TRUE(again.Grow(kFree + 300));
  EXPECT_FALSE(again.Grow(kFree + 301));
  EXPECT_EQ(asks->told, 0);
}

TEST_F(BodyBudgetTest, NobodyGivesWayToWhoWouldHoldAsMuch) {
  BodyBudget::Share first(budget_, kHere, holder_);
  BodyBudget::Share second(budget_, kThere, other_);
  ASSERT_TRUE(first.Grow(kFree + 500));
  ASSERT_TRUE(second.Grow(kFree + 500));
  BodyBudget::Share third(budget_, kElsewhere, holder_);
  EXPECT_FALSE(budget_.HasRoomFor(kFree + 500, kElsewhere));
  EXPECT_FALSE(third.Grow(kFree + 500));
  EXPECT_EQ(holder_->told + other_->told, 0);
  EXPECT_TRUE(third.Grow(kFree + 499));
  EXPECT_EQ(holder_->told + other_->told, 1);
}

// It would have been refused all the same.
TEST_F(BodyBudgetTest, NobodyGivesWayInVain) {
  BodyBudget::Share small(budget_, kHere, holder_);
  BodyBudget::Share large(budget_, kHere, other_);
  BodyBudget::Share middle(budget_, kThere, other_);
  ASSERT_TRUE(small.Grow(kFree + 10));
  ASSERT_TRUE(large.Grow(kFree + 590));
  ASSERT_TRUE(middle.Grow(kFree + 400));
  // The first to go would make too little room, and the next one hold less than what is asked for.
  BodyBudget::Share asking(budget_, kElsewhere, holder_);
  EXPECT_FALSE(asking.Grow(kFree + 595));
  EXPECT_EQ(holder_->told + other_->told, 0);
  EXPECT_EQ(budget_.held_bytes(), kMax);
  EXPECT_TRUE(small.Grow(kFree + 10));
  EXPECT_TRUE(large.Grow(kFree + 590));
}

// Somebody who holds much would push out who is slow.
TEST_F(BodyBudgetTest, WhoWouldHoldMoreThanAQuarterPushesOutOnlyItsOwn) {
  BodyBudget::Share slow(budget_, kThere, other_);
  ASSERT_TRUE(slow.Grow(kFree + 100));
  clock_.Advance(absl::Milliseconds(1));
  BodyBudget::Share first(budget_, kHere, holder_);
  ASSERT_TRUE(first.Grow(kFree + 900));
  clock_.Advance(BodyBudget::kPatience);
  BodyBudget::Share second(budget_, kHere, std::make_shared<Holder>());
  EXPECT_FALSE(second.Grow(kFree + 100));
  EXPECT_EQ(other_->told, 0);
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_TRUE(second.Grow(kFree + 100));
  EXPECT_EQ(other_->told, 0);
  EXPECT_EQ(holder_->told, 1);
}

// Many senders come through a proxy, of whom one may fill the budget.
TEST_F(BodyBudgetTest, ConnectionsOfAProxyCountByThemselves) {
  BodyBudget::Share large(budget_, {.network = {1}, .connection = 7}, holder_);
  BodyBudget::Share small(budget_, {.network = {1}, .connection = 8}, other_);
  ASSERT_TRUE(large.Grow(kFree + kMax));
  EXPECT_TRUE(small.Grow(kFree + 100));
  EXPECT_EQ(holder_->told, 1);
}

}  // namespace
}  // namespace hookgate
