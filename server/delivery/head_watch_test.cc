#include "server/delivery/head_watch.h"

#include <gtest/gtest.h>

#include "absl/synchronization/mutex.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

class CountingWaiter : public HeadWatch::Waiter {
 public:
  void Wake() override {
    absl::MutexLock lock(&mu_);
    ++wakes_;
  }
  // Waits for the wake-up number `count`; false if it does not come.
  bool WasWoken(int count) {
    const auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return wakes_ >= count; };
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&reached), absl::Seconds(20));
  }
  int wakes() {
    absl::MutexLock lock(&mu_);
    return wakes_;
  }

 private:
  absl::Mutex mu_;
  int wakes_ ABSL_GUARDED_BY(mu_) = 0;
};

TEST(HeadWatchTest, GrowthWakesEveryoneOnce) {
  FakeClock clock;
  HeadWatch watch(clock);
  auto first = std::make_shared<CountingWaiter>();
  auto second = std::make_shared<CountingWaiter>();
  const absl::Duration far = clock.MonotonicNow() + absl::Hours(1);
  EXPECT_TRUE(watch.Await(0, far, first));
  EXPECT_TRUE(watch.Await(0, far, second));
  watch.Advance(1);
  EXPECT_TRUE(first->WasWoken(1));
  EXPECT_TRUE(second->WasWoken(1));
  // `first` waits again, `second` does not.
  EXPECT_TRUE(watch.Await(1, far, first));
  watch.Advance(2);
  EXPECT_TRUE(first->WasWoken(2));
  EXPECT_EQ(second->wakes(), 1);
}

TEST(HeadWatchTest, WhoWaitsForTheClockIsNotWokenByGrowth) {
  FakeClock clock;
  HeadWatch watch(clock);
  auto by_clock = std::make_shared<CountingWaiter>();
  auto by_head = std::make_shared<CountingWaiter>();
  const absl::Duration deadline = clock.MonotonicNow() + absl::Hours(1);
  EXPECT_TRUE(watch.Await(HeadWatch::kTimerOnly, deadline, by_clock));
  EXPECT_TRUE(watch.Await(0, absl::InfiniteDuration(), by_head));
  watch.Advance(1);
  EXPECT_TRUE(by_head->WasWoken(1));
  EXPECT_EQ(by_clock->wakes(), 0);
  clock.Advance(absl::Hours(1));
  watch.CheckDeadlines();
  EXPECT_TRUE(by_clock->WasWoken(1));
}

// Between looking and waiting the log may have grown: that wake-up must not be lost.
TEST(HeadWatchTest, WaitingForWhatIsThereAlreadyIsRefused) {
  FakeClock clock;
  HeadWatch watch(clock);
  watch.Advance(7);
  EXPECT_FALSE(watch.Await(6, absl::InfiniteDuration(), std::make_shared<CountingWaiter>()));
}

TEST(HeadWatchTest, NextRoundComesWithoutGrowth) {
  FakeClock clock;
  HeadWatch watch(clock);
  watch.Advance(7);
  auto waiter = std::make_shared<CountingWaiter>();
  watch.AwaitNextRound(6, absl::InfiniteDuration(), waiter);
  EXPECT_TRUE(waiter->WasWoken(1));
}

TEST(HeadWatchTest, NextRoundOfWhoHasSeenAllComesWithGrowth) {
  FakeClock clock;
  HeadWatch watch(clock);
  watch.Advance(7);
  auto waiter = std::make_shared<CountingWaiter>();
  watch.AwaitNextRound(7, absl::InfiniteDuration(), waiter);
  // A round of others is none of its.
  auto other = std::make_shared<CountingWaiter>();
  watch.Await(HeadWatch::kTimerOnly, clock.MonotonicNow(), other);
  EXPECT_TRUE(other->WasWoken(1));
  EXPECT_EQ(waiter->wakes(), 0);
  watch.Advance(8);
  EXPECT_TRUE(waiter->WasWoken(1));
}

TEST(HeadWatchTest, WhatComesInARestGoesOutTogether) {
  FakeClock clock;  // Stands still, so that a rest takes as long as it can.
  HeadWatch watch(clock);
  auto waiter = std::make_shared<CountingWaiter>();
  watch.Await(0, absl::InfiniteDuration(), waiter);
  watch.Advance(100);
  ASSERT_TRUE(waiter->WasWoken(1));
  watch.Await(100, absl::InfiniteDuration(), waiter);
  for (Sequence head = 101; head <= 200; ++head) watch.Advance(head);
  EXPECT_TRUE(waiter->WasWoken(2));
  EXPECT_EQ(waiter->wakes(), 2);
}

TEST(HeadWatchTest, DeadlineWakesItsWaiterAndNoOther) {
  FakeClock clock;
  HeadWatch watch(clock);
  auto soon = std::make_shared<CountingWaiter>();
  auto late = std::make_shared<CountingWaiter>();
  watch.Await(0, clock.MonotonicNow() + absl::Minutes(10), late);
  watch.Await(0, clock.MonotonicNow() + absl::Minutes(5), soon);
  clock.Advance(absl::Minutes(5));
  watch.CheckDeadlines();
  EXPECT_TRUE(soon->WasWoken(1));
  EXPECT_EQ(late->wakes(), 0);
}

TEST(HeadWatchTest, ForgottenWaiterIsNeitherWokenNorKept) {
  FakeClock clock;
  HeadWatch watch(clock);
  auto forgotten = std::make_shared<CountingWaiter>();
  auto other = std::make_shared<CountingWaiter>();
  watch.Await(0, absl::InfiniteDuration(), forgotten);
  watch.Await(0, absl::InfiniteDuration(), other);
  watch.Forget(forgotten.get());
  EXPECT_EQ(forgotten.use_count(), 1);
  watch.Advance(1);
  EXPECT_TRUE(other->WasWoken(1));
  EXPECT_EQ(forgotten->wakes(), 0);
}

TEST(HeadWatchTest, WaitingAgainReplacesTheWaitBefore) {
  FakeClock clock;
  HeadWatch watch(clock);
  auto waiter = std::make_shared<CountingWaiter>();
  watch.Await(0, clock.MonotonicNow() + absl::Minutes(1), waiter);
  watch.Await(0, clock.MonotonicNow() + absl::Minutes(3), waiter);
  auto witness = std::make_shared<CountingWaiter>();
  watch.Await(0, clock.MonotonicNow() + absl::Minutes(2), witness);
  clock.Advance(absl::Minutes(2));
  watch.CheckDeadlines();
  EXPECT_TRUE(witness->WasWoken(1));
  EXPECT_EQ(waiter->wakes(), 0);
}

// A stream that is served waits again and again, each time a little longer: it is woken at its last
// deadline and at none of those before.
TEST(HeadWatchTest, WhoIsServedIsNotWokenAtEarlierDeadlines) {
  FakeClock clock;
  HeadWatch watch(clock);
  auto served = std::make_shared<CountingWaiter>();
  for (Sequence head = 0; head < 3; ++head) {
    watch.Await(head, clock.MonotonicNow() + absl::Minutes(1), served);
    watch.Advance(head + 1);
    ASSERT_TRUE(served->WasWoken(static_cast<int>(head) + 1));
    clock.Advance(absl::Seconds(30));
  }
  watch.Await(3, clock.MonotonicNow() + absl::Minutes(1), served);
  auto witness = std::make_shared<CountingWaiter>();
  watch.Await(3, clock.MonotonicNow() + absl::Seconds(30), witness);
  clock.Advance(absl::Seconds(30));
  watch.CheckDeadlines();
  EXPECT_TRUE(witness->WasWoken(1));
  EXPECT_EQ(served->wakes(), 3);
  clock.Advance(absl::Seconds(30));
  watch.CheckDeadlines();
  EXPECT_TRUE(served->WasWoken(4));
}

TEST(HeadWatchTest, ClockWaitTakesThePlaceOfAWaitForTheHead) {
  FakeClock clock;
  HeadWatch watch(clock);
  auto waiter = std::make_shared<CountingWaiter>();
  watch.Await(0, absl::InfiniteDuration(), waiter);
  watch.Await(HeadWatch::kTimerOnly, clock.MonotonicNow() + absl::Minutes(1), waiter);
  auto witness = std::make_shared<CountingWaiter>();
  watch.Await(0, absl::InfiniteDuration(), witness);
  watch.Advance(1);
  EXPECT_TRUE(witness->WasWoken(1));
  EXPECT_EQ(waiter->wakes(), 0);
  clock.Advance(absl::Minutes(1));
  watch.CheckDeadlines();
  EXPECT_TRUE(waiter->WasWoken(1));
}

TEST(HeadWatchTest, NobodyIsKeptThatWaitsForNothing) {
  FakeClock clock;
  auto woken = std::make_shared<CountingWaiter>();
  auto waiting = std::make_shared<CountingWaiter>();
  auto for_ever = std::make_shared<CountingWaiter>();
  {
    HeadWatch watch(clock);
    watch.Await(HeadWatch::kTimerOnly, absl::InfiniteDuration(), for_ever);
    EXPECT_EQ(for_ever.use_count(), 1);
    watch.Await(0, clock.MonotonicNow() + absl::Minutes(1), woken);
    watch.Advance(1);
    ASSERT_TRUE(woken->WasWoken(1));
    watch.Await(1, absl::InfiniteDuration(), waiting);
    clock.Advance(absl::Minutes(2));
    watch.CheckDeadlines();
    auto witness = std::make_shared<CountingWaiter>();
    watch.AwaitNextRound(0, absl::InfiniteDuration(), witness);
    EXPECT_TRUE(witness->WasWoken(1));
  }
  EXPECT_EQ(woken->wakes(), 1);
  EXPECT_EQ(woken.use_count(), 1);
  EXPECT_EQ(waiting.use_count(), 1);
}

}  // namespace
}  // namespace hookgate
