#include "server/base/rate_limiter.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

TEST(RateLimiterTest, BurstPassesAndTheNextIsToldHowLongToWait) {
  FakeClock clock;
  RateLimiter limiter({.per_second = 2, .burst = 3}, clock);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter.Take(), absl::ZeroDuration());
  EXPECT_EQ(limiter.Take(), absl::Milliseconds(500));
  clock.Advance(absl::Milliseconds(500));
  EXPECT_EQ(limiter.Take(), absl::ZeroDuration());
  EXPECT_GT(limiter.Take(), absl::ZeroDuration());
}

TEST(RateLimiterTest, RestFillsTheBucketNoFurtherThanTheBurst) {
  FakeClock clock;
  RateLimiter limiter({.per_second = 1, .burst = 2}, clock);
  clock.Advance(absl::Hours(1));
  EXPECT_EQ(limiter.Take(), absl::ZeroDuration());
  EXPECT_EQ(limiter.Take(), absl::ZeroDuration());
  EXPECT_GT(limiter.Take(), absl::ZeroDuration());
}

}  // namespace
}  // namespace hookgate
