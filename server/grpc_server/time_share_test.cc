#include "server/grpc_server/time_share.h"

#include <gtest/gtest.h>

namespace hookgate {
namespace {

constexpr absl::Duration kBurst = absl::Milliseconds(1);

class TimeShareTest : public testing::Test {
 protected:
  absl::Duration now_ = absl::Seconds(1000);
  TimeShare share_{0.25, kBurst, now_};
};

TEST_F(TimeShareTest, WorkBeginsUntilTheBurstIsSpent) {
  EXPECT_TRUE(share_.MayBegin(now_));
  share_.Spend(absl::Microseconds(999));
  EXPECT_TRUE(share_.MayBegin(now_));
  share_.Spend(absl::Microseconds(1));
  EXPECT_FALSE(share_.MayBegin(now_));
}

TEST_F(TimeShareTest, InTheLongRunWorkGetsItsShare) {
  const absl::Duration begin = now_;
  absl::Duration worked;
  while (now_ < begin + absl::Seconds(10)) {
    if (!share_.MayBegin(now_)) {
      ASSERT_GT(share_.next(), now_);
      now_ = share_.next();
      ASSERT_TRUE(share_.MayBegin(now_)) << "it said so";
    }
    const absl::Duration work = absl::Microseconds(70);
    now_ += work;
    worked += work;
    share_.Spend(work);
  }
  EXPECT_NEAR(absl::ToDoubleSeconds(worked), 2.5, 0.01);
}

TEST_F(TimeShareTest, APauseIsMadeUpForByOneBurst) {
  now_ += absl::Hours(1);
  EXPECT_TRUE(share_.MayBegin(now_));
  share_.Spend(kBurst);
  EXPECT_FALSE(share_.MayBegin(now_));
}

TEST_F(TimeShareTest, WorkThatTookLongerPostponesTheNext) {
  share_.Spend(3 * kBurst);
  EXPECT_FALSE(share_.MayBegin(now_ + absl::Milliseconds(7)));
  EXPECT_TRUE(share_.MayBegin(now_ + absl::Milliseconds(9)));
}

// A thread that was stopped in the middle of its work for an hour has not worked for an hour.
TEST_F(TimeShareTest, AnInterruptionPostponesTheNextForMoments) {
  share_.Spend(absl::Hours(1));
  EXPECT_LE(share_.next() - now_, absl::Milliseconds(41));
  EXPECT_TRUE(share_.MayBegin(share_.next()));
}

TEST_F(TimeShareTest, AllOfTheTimeIsNeverUsedUpForLong) {
  TimeShare all(1, kBurst, now_);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(all.MayBegin(now_));
    now_ += absl::Microseconds(500);
    all.Spend(absl::Microseconds(500));
  }
}

// Clocks of different cores may differ by a little.
TEST_F(TimeShareTest, ATimeBeforeChangesNothing) {
  share_.Spend(kBurst);
  EXPECT_FALSE(share_.MayBegin(now_ - absl::Seconds(1)));
  EXPECT_TRUE(share_.MayBegin(now_ + absl::Milliseconds(1)));
}

}  // namespace
}  // namespace hookgate
