#include "server/cluster/log_trimmer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "server/replication/in_memory_log.h"
#include "server/replication/record.h"
#include "server/replication/record.pb.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

constexpr absl::Duration kRetention = absl::Hours(24);

class LogTrimmerTest : public testing::Test {
 protected:
  // A record of now, which this replica has applied.
  void Append() {
    replication::v1::Record record;
    BeginRecord(tail_, /*term=*/1, /*writer=*/7, record);
    record.set_time_us(absl::ToUnixMicros(clock_.WallNow()));
    const std::string bytes = BytesOf(record);
    ASSERT_EQ(log_.CompareAppend(tail_.index, bytes, absl::Seconds(1)).outcome,
              CompareAppendOutcome::kAppended);
    tail_ = TailOf(record, bytes);
  }
  void AppendEachHour(int hours) {
    for (int i = 0; i < hours; ++i) {
      Append();
      point_.NoteApplied(tail_.index, clock_.MonotonicNow());
      clock_.Advance(absl::Hours(1));
    }
  }
  LogIndex Find(LogIndex lowest_applied) {
    const absl::StatusOr<LogIndex> to =
        point_.Find(lowest_applied, clock_.WallNow(), clock_.MonotonicNow());
    EXPECT_TRUE(to.ok()) << to.status();
    return to.value_or(-1);
  }
  LogIndex Find() { return Find(tail_.index); }

  InMemoryEngine engine_;
  InMemoryLog log_{engine_, {.cluster = "hooks"}};
  FakeClock clock_;
  RecordTail tail_;
  TrimPoint point_{log_, kRetention};
};

TEST_F(LogTrimmerTest, WhatIsOlderThanTheRetentionGoes) {
  EXPECT_EQ(Find(), 0) << "there is no record";
  AppendEachHour(10);
  EXPECT_EQ(Find(), 0);
  AppendEachHour(15);
  // The first is 25 hours old, the second 24.
  EXPECT_EQ(Find(), 2);
  ASSERT_TRUE(log_.Trim(2).ok());
  EXPECT_EQ(Find(), 0) << "what is gone need not go again";
  AppendEachHour(1);
  EXPECT_EQ(Find(), 3);
}

TEST_F(LogTrimmerTest, WhatAKnownReplicaHasNotAppliedStays) {
  AppendEachHour(48);
  EXPECT_EQ(Find(), 25);
  EXPECT_EQ(Find(10), 10);
  EXPECT_EQ(Find(0), 0);
}

// A wall clock that jumps ahead must not take away what replicas that follow are about to read.
TEST_F(LogTrimmerTest, AWallClockAloneTakesNothingThatIsNew) {
  AppendEachHour(3);
  Append();
  point_.NoteApplied(tail_.index, clock_.MonotonicNow());
  clock_.SetWall(clock_.WallNow() + absl::Hours(24 * 365));
  EXPECT_EQ(Find(), 3) << "held for an hour; the fourth is not";
  // The other way round: nothing goes until it has been right again for long enough.
  clock_.SetWall(clock_.WallNow() - absl::Hours(2 * 24 * 365));
  EXPECT_EQ(Find(), 0);
}

// One that was just started knows only that it holds all of it now.
TEST_F(LogTrimmerTest, OneThatHasJustBegunWaits) {
  AppendEachHour(48);
  TrimPoint begun(log_, kRetention);
  begun.NoteApplied(tail_.index, clock_.MonotonicNow());
  EXPECT_EQ(*begun.Find(tail_.index, clock_.WallNow(), clock_.MonotonicNow()), 0);
  clock_.Advance(absl::Hours(1));
  begun.NoteApplied(tail_.index, clock_.MonotonicNow());
  EXPECT_EQ(*begun.Find(tail_.index, clock_.WallNow(), clock_.MonotonicNow()), 26);
}

TEST_F(LogTrimmerTest, AnErrorOfTheLogIsAnError) {
  AppendEachHour(48);
  log_.SetCutOff(true);
  EXPECT_TRUE(absl::IsUnavailable(
      point_.Find(tail_.index, clock_.WallNow(), clock_.MonotonicNow()).status()));
}

// With a retention so short that the thread trims within a test.
TEST_F(LogTrimmerTest, OnlyALeaderTrims) {
  AppendEachHour(4);
  const auto held = [this] { return engine_.Records("hooks").size(); };
  int asked = 0;
  absl::Notification seen;
  const LogTrimmer trimmer(log_, absl::Nanoseconds(1), clock_, [&] {
    clock_.Advance(absl::Seconds(1));
    ++asked;
    if (asked <= 3) {
      EXPECT_EQ(held(), 4u) << "it has not led yet";
    } else if (asked == 4) {
      EXPECT_EQ(held(), 1u) << "the last one tells where the log ends";
      seen.Notify();
    }
    return LogTrimmer::Applied{.here = 4, .everywhere = 4, .leads = asked >= 3};
  });
  seen.WaitForNotification();
}

}  // namespace
}  // namespace hookgate
