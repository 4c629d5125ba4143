#include "server/base/log_limiter.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

TEST(LogLimiterTest, LinesAboveTheRateAreCountedInTheNextOne) {
  FakeClock clock;
  LogLimiter limiter(clock);
  for (int i = 0; i < LogLimiter::kBurst; ++i) EXPECT_EQ(limiter.Take(), 0);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limiter.Take(), absl::nullopt);
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(limiter.Take(), 1000);
  for (int i = 1; i < LogLimiter::kLinesPerSecond; ++i) EXPECT_EQ(limiter.Take(), 0);
  EXPECT_EQ(limiter.Take(), absl::nullopt);
}

}  // namespace
}  // namespace hookgate
