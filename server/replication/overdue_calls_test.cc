#include "server/replication/overdue_calls.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace hookgate {
namespace {

constexpr absl::Duration kLongEnough = absl::Seconds(60);

TEST(OverdueCallsTest, ACallThatLastsTooLongIsEnded) {
  OverdueCalls calls;
  absl::Notification ended;
  const OverdueCalls::Call call(calls, SteadyDeadline(absl::Milliseconds(20)),
                                [&ended] { ended.Notify(); });
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kLongEnough));
}

TEST(OverdueCallsTest, TheOneThatIsDueFirstIsEndedAlsoIfItBeganLater) {
  OverdueCalls calls;
  std::atomic<bool> early = false;
  absl::Notification ended;
  const OverdueCalls::Call longer(calls, SteadyDeadline(absl::Hours(1)),
                                  [&early] { early = true; });
  const OverdueCalls::Call call(calls, SteadyDeadline(absl::Milliseconds(20)),
                                [&ended] { ended.Notify(); });
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(kLongEnough));
  EXPECT_FALSE(early);
}

TEST(OverdueCallsTest, ACallThatIsOverIsLeftAlone) {
  std::atomic<int> ended = 0;
  {
    OverdueCalls calls;
    for (int i = 0; i < 1000; ++i) {
      const OverdueCalls::Call call(calls, SteadyDeadline(kLongEnough), [&ended] { ++ended; });
    }
    // After all of them.
    absl::Notification last;
    const OverdueCalls::Call call(calls, SteadyDeadline(absl::ZeroDuration()),
                                  [&last] { last.Notify(); });
    EXPECT_TRUE(last.WaitForNotificationWithTimeout(kLongEnough));
  }
  EXPECT_EQ(ended, 0);
}

}  // namespace
}  // namespace hookgate
