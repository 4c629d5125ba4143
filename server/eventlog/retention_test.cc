#include "server/eventlog/retention.h"

#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

TEST(RetentionTest, FirstTrimComesAtOnceAndCutsAtTheConfiguredAge) {
  FakeClock clock;
  absl::Notification called;
  absl::Time cutoff;
  Retention retention(
      absl::Hours(24), absl::Hours(1),
      [&](absl::Time before) -> absl::StatusOr<int64_t> {
        cutoff = before;
        called.Notify();
        return 0;
      },
      clock);
  ASSERT_TRUE(called.WaitForNotificationWithTimeout(absl::Seconds(20)));
  EXPECT_EQ(cutoff, clock.WallNow() - absl::Hours(24));
}

TEST(RetentionTest, FailedTrimIsTriedAgain) {
  FakeClock clock;
  absl::Notification called_twice;
  int calls = 0;
  Retention retention(
      absl::Hours(24), absl::Milliseconds(1),
      [&](absl::Time) -> absl::StatusOr<int64_t> {
        if (++calls == 2) called_twice.Notify();
        return absl::UnavailableError("disk full");
      },
      clock);
  EXPECT_TRUE(called_twice.WaitForNotificationWithTimeout(absl::Seconds(20)));
}

}  // namespace
}  // namespace hookgate
