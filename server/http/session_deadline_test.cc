#include "server/http/session_deadline.h"

#include <gtest/gtest.h>

namespace hookgate {
namespace {

constexpr absl::Duration kStart = absl::Hours(7);

TEST(SessionDeadlineTest, TimeIsUpOnceTheLimitIsOver) {
  SessionDeadline deadline;
  EXPECT_EQ(deadline.TimerMoment(), absl::nullopt);
  deadline.Begin(kStart, absl::Seconds(10));
  EXPECT_EQ(deadline.TimerMoment(), kStart + absl::Seconds(10));
  EXPECT_FALSE(deadline.OnTimer(kStart + absl::Milliseconds(9999)));
  EXPECT_FALSE(deadline.expired());
  EXPECT_EQ(deadline.TimerMoment(), kStart + absl::Seconds(10));
  EXPECT_TRUE(deadline.OnTimer(kStart + absl::Seconds(10)));
  EXPECT_TRUE(deadline.expired());
}

TEST(SessionDeadlineTest, LaterPhaseLeavesTheTimerAndAnEarlierOneMovesIt) {
  SessionDeadline deadline;
  deadline.Begin(kStart, absl::Seconds(10));
  EXPECT_TRUE(deadline.TimerMoment().has_value());
  deadline.Begin(kStart + absl::Seconds(1), absl::Seconds(30));
  EXPECT_EQ(deadline.TimerMoment(), absl::nullopt);
  // The old moment is too early by now, and the timer is set for the new one.
  EXPECT_FALSE(deadline.OnTimer(kStart + absl::Seconds(10)));
  EXPECT_EQ(deadline.TimerMoment(), kStart + absl::Seconds(31));
  deadline.Begin(kStart + absl::Seconds(11), absl::Seconds(2));
  EXPECT_EQ(deadline.TimerMoment(), kStart + absl::Seconds(13));
}

TEST(SessionDeadlineTest, PhaseWithoutLimitNeedsNoTimer) {
  SessionDeadline deadline;
  deadline.Begin(kStart, absl::InfiniteDuration());
  EXPECT_EQ(deadline.TimerMoment(), absl::nullopt);
  deadline.Shorten(kStart, absl::Seconds(1));
  EXPECT_EQ(deadline.TimerMoment(), kStart + absl::Seconds(1));
}

TEST(SessionDeadlineTest, ShorteningNeverLengthens) {
  SessionDeadline deadline;
  deadline.Begin(kStart, absl::Seconds(10));
  deadline.Shorten(kStart + absl::Seconds(9), absl::Seconds(5));
  EXPECT_EQ(deadline.TimerMoment(), kStart + absl::Seconds(10));
  deadline.Shorten(kStart, absl::Seconds(5));
  EXPECT_EQ(deadline.TimerMoment(), kStart + absl::Seconds(5));
}

// A time-out that came between two reads of one request was once lost, and with it the limit.
TEST(SessionDeadlineTest, TimeIsUpAgainAndAgainUntilTheNextPhase) {
  SessionDeadline deadline;
  deadline.Begin(kStart, absl::ZeroDuration());
  absl::Duration now = kStart;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(deadline.OnTimer(now));
    now += SessionDeadline::kAgain;
    EXPECT_EQ(deadline.TimerMoment(), now);
  }
  deadline.Begin(now, absl::Seconds(1));
  EXPECT_FALSE(deadline.expired());
  EXPECT_FALSE(deadline.OnTimer(now));
}

}  // namespace
}  // namespace hookgate
