#include "server/grpc_server/frame_limiter.h"

#include <gtest/gtest.h>

namespace hookgate {
namespace {

constexpr absl::Duration kStart = absl::Hours(5);

// How often it can be done at `now`.
int TakeAll(FrameLimiter& limiter, absl::Duration now) {
  int taken = 0;
  while (taken < 1'000'000 && limiter.Take(now)) ++taken;
  return taken;
}

TEST(FrameLimiterTest, ABurstAndThenTheRate) {
  FrameLimiter limiter(/*burst=*/10, /*per_second=*/2, kStart);
  EXPECT_EQ(TakeAll(limiter, kStart), 10);
  EXPECT_EQ(TakeAll(limiter, kStart + absl::Milliseconds(499)), 0);
  EXPECT_EQ(TakeAll(limiter, kStart + absl::Milliseconds(500)), 1);
  EXPECT_EQ(TakeAll(limiter, kStart + absl::Seconds(2)), 3);
}

TEST(FrameLimiterTest, RestGivesABurstAtMost) {
  FrameLimiter limiter(10, 2, kStart);
  EXPECT_EQ(TakeAll(limiter, kStart), 10);
  EXPECT_EQ(TakeAll(limiter, kStart + absl::Hours(1)), 10);
  EXPECT_EQ(TakeAll(limiter, kStart + absl::Hours(1)), 0);
}

// A client that is served may answer each frame; one that is served nothing may not.
TEST(FrameLimiterTest, WhatIsEarnedComesOnTop) {
  FrameLimiter limiter(10, 2, kStart);
  EXPECT_EQ(TakeAll(limiter, kStart), 10);
  for (int i = 0; i < 1000; ++i) {
    limiter.Earn(2);
    EXPECT_TRUE(limiter.Take(kStart));
    EXPECT_TRUE(limiter.Take(kStart));
  }
  EXPECT_FALSE(limiter.Take(kStart));
}

TEST(FrameLimiterTest, IsNearlyFullUntilATenthIsTakenAndAgainOnceItIsBack) {
  FrameLimiter limiter(/*burst=*/100, /*per_second=*/2, kStart);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limiter.Take(kStart));
  EXPECT_TRUE(limiter.IsNearlyFull(kStart));
  EXPECT_TRUE(limiter.Take(kStart));
  EXPECT_FALSE(limiter.IsNearlyFull(kStart));
  EXPECT_FALSE(limiter.IsNearlyFull(kStart + absl::Milliseconds(499)));
  EXPECT_TRUE(limiter.IsNearlyFull(kStart + absl::Milliseconds(500)));
  EXPECT_TRUE(limiter.Take(kStart + absl::Milliseconds(500)));
  EXPECT_FALSE(limiter.IsNearlyFull(kStart + absl::Milliseconds(500)));
  limiter.Earn(1);
  EXPECT_TRUE(limiter.IsNearlyFull(kStart + absl::Milliseconds(500))) << "it was served";
  // It was looked at again and again, and has no more for that.
  EXPECT_EQ(TakeAll(limiter, kStart + absl::Milliseconds(500)), 90);
  EXPECT_EQ(TakeAll(limiter, kStart + absl::Hours(1)), 100);
}

TEST(FrameLimiterTest, IsHalfFullUntilMoreThanHalfIsTaken) {
  FrameLimiter limiter(/*burst=*/100, /*per_second=*/2, kStart);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(limiter.Take(kStart));
  EXPECT_TRUE(limiter.IsHalfFull(kStart));
  EXPECT_TRUE(limiter.Take(kStart));
  EXPECT_FALSE(limiter.IsHalfFull(kStart));
  EXPECT_TRUE(limiter.IsHalfFull(kStart + absl::Milliseconds(500)));
}

TEST(FrameLimiterTest, WhatIsSavedHasABound) {
  FrameLimiter limiter(10, 2, kStart);
  for (int i = 0; i < 1000; ++i) limiter.Earn(100);
  EXPECT_EQ(TakeAll(limiter, kStart), 20);
}

}  // namespace
}  // namespace hookgate
