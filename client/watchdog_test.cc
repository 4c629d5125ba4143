#include "client/watchdog.h"

#include <atomic>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace hookgate {
namespace {

TEST(WatchdogTest, BarksWhenTheTimeIsOver) {
  absl::Notification barked;
  Watchdog watchdog([&barked] { barked.Notify(); });
  watchdog.Arm(absl::Milliseconds(1));
  barked.WaitForNotification();
}

TEST(WatchdogTest, IsSilentUnlessArmed) {
  std::atomic<bool> barked = false;
  {
    Watchdog watchdog([&barked] { barked = true; });
  }
  EXPECT_FALSE(barked);
}

TEST(WatchdogTest, IsSilentWhenItEndsBeforeTheTimeIsOver) {
  std::atomic<bool> barked = false;
  {
    Watchdog watchdog([&barked] { barked = true; });
    watchdog.Arm(absl::Hours(1));
  }
  EXPECT_FALSE(barked);
}

TEST(WatchdogTest, IsSilentOnceDisarmed) {
  std::atomic<bool> barked = false;
  {
    Watchdog watchdog([&barked] { barked = true; });
    watchdog.Arm(absl::Hours(1));
    watchdog.Disarm();
  }
  EXPECT_FALSE(barked);
}

TEST(WatchdogTest, TakesTheTimeItWasArmedWithLast) {
  absl::Notification barked;
  Watchdog watchdog([&barked] { barked.Notify(); });
  watchdog.Arm(absl::Hours(1));
  watchdog.Arm(absl::Milliseconds(1));
  barked.WaitForNotification();
}

}  // namespace
}  // namespace hookgate
