#include "server/base/monotonic_mutex.h"

#include <gtest/gtest.h>

#include <thread>

namespace hookgate {
namespace {

class MonotonicMutexTest : public testing::Test {
 protected:
  MonotonicMutex mu_;
  int value_ ABSL_GUARDED_BY(mu_) = 0;
};

TEST_F(MonotonicMutexTest, WaitsUntilTheConditionHolds) {
  std::thread other([this] {
    for (int i = 0; i < 1000; ++i) {
      MonotonicMutexLock lock(&mu_);
      ++value_;
    }
  });
  {
    MonotonicMutexLock lock(&mu_);
    const auto reached = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return value_ == 1000; };
    EXPECT_TRUE(mu_.AwaitWithTimeout(reached, absl::InfiniteDuration()));
    EXPECT_EQ(value_, 1000);
  }
  other.join();
}

TEST_F(MonotonicMutexTest, GivesUpAfterTheTimeout) {
  MonotonicMutexLock lock(&mu_);
  EXPECT_FALSE(mu_.AwaitWithTimeout([] { return false; }, absl::Milliseconds(1)));
  EXPECT_FALSE(mu_.AwaitWithTimeout([] { return false; }, absl::ZeroDuration()));
  EXPECT_FALSE(mu_.AwaitWithTimeout([] { return false; }, -absl::Seconds(1)));
}

TEST_F(MonotonicMutexTest, DoesNotWaitForWhatHolds) {
  MonotonicMutexLock lock(&mu_);
  EXPECT_TRUE(mu_.AwaitWithTimeout([] { return true; }, absl::InfiniteDuration()));
  EXPECT_TRUE(mu_.AwaitWithTimeout([] { return true; }, absl::ZeroDuration()));
}

// A wait leaves nothing behind for the next one.
TEST_F(MonotonicMutexTest, WaitsAgainAndAgain) {
  std::thread other([this] {
    for (int i = 0; i < 100; ++i) {
      MonotonicMutexLock lock(&mu_);
      ++value_;
    }
  });
  for (int i = 1; i <= 100; ++i) {
    const auto reached = [this, i]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return value_ >= i; };
    MonotonicMutexLock lock(&mu_);
    EXPECT_TRUE(mu_.AwaitWithTimeout(reached, absl::InfiniteDuration()));
    EXPECT_FALSE(mu_.AwaitWithTimeout([] { return false; }, absl::Microseconds(1)));
  }
  other.join();
}

}  // namespace
}  // namespace hookgate
