#include "server/eventlog/retention.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

// Notes what it is asked to remove.
class FakeLog final : public RetentionTarget {
 public:
  absl::StatusOr<int64_t> Trim(const TrimCutoffs& cutoffs,
                               absl::FunctionRef<bool()> go_on) override {
    Note(cutoffs);
    while (endless() && go_on()) {
    }
    absl::MutexLock lock(&mu_);
    return outcome_;
  }
  absl::StatusOr<int64_t> UsedBytes() override {
    absl::MutexLock lock(&mu_);
    return used_bytes_;
  }
  absl::StatusOr<int64_t> TrimQuarantine(const QuarantineCutoffs& cutoffs,
                                         absl::FunctionRef<bool()> go_on) override {
    bool more = true;
    while (more) {
      {
        absl::MutexLock lock(&mu_);
        quarantine_cutoffs_ = cutoffs;
        ++quarantine_steps_;
        more = quarantine_steps_ <= steps_wanted_;
      }
      more = more && go_on();
    }
    absl::MutexLock lock(&mu_);
    ++quarantine_trims_;
    return outcome_;
  }
  absl::StatusOr<int64_t> TrimHistory(const HistoryCutoffs& cutoffs,
                                      absl::FunctionRef<bool()>) override {
    absl::MutexLock lock(&mu_);
    history_cutoffs_ = cutoffs;
    ++history_trims_;
    return outcome_;
  }
  absl::StatusOr<int64_t> TrimConflicts(const ConflictCutoffs& cutoffs,
                                        absl::FunctionRef<bool()>) override {
    absl::MutexLock lock(&mu_);
    conflict_cutoffs_ = cutoffs;
    ++conflict_trims_;
    return 0;
  }
  absl::StatusOr<StoredAges> LoadAges(absl::Time) override {
    absl::MutexLock lock(&mu_);
    if (!ages_.ok()) return std::exchange(ages_, StoredAges());
    return ages_;
  }
  absl::Status StoreAges(const AgeChanges& changes) override {
    absl::MutexLock lock(&mu_);
    if (changes.clock.has_value()) stored_running_ = changes.clock->running;
    return absl::OkStatus();
  }
  EventLogEnds Ends() override {
    absl::MutexLock lock(&mu_);
    return ends_;
  }

  // Marks of events and quarantine entries so many hours old: 1 of the oldest, and so on.
  void Hold(const std::vector<int>& hours) {
    absl::MutexLock lock(&mu_);
    ages_->clock = AgeClock();
    for (const int age : hours) {
      ++ends_.sequence;
      ++ends_.touch;
      ages_->marks.push_back({.running = -absl::Hours(age), .ends = ends_});
    }
  }
  // The wall clock was known to be right when the log was closed.
  void TrustWall(absl::Time wall) {
    absl::MutexLock lock(&mu_);
    ages_->clock->trusted = AgeClock::Trusted{.wall = wall};
  }
  void FailToLoadOnce() {
    absl::MutexLock lock(&mu_);
    ages_ = absl::UnavailableError("no file descriptor is left");
  }
  absl::Duration stored_running() {
    absl::MutexLock lock(&mu_);
    return stored_running_;
  }
  void WantQuarantineSteps(int steps) {
    absl::MutexLock lock(&mu_);
    steps_wanted_ = steps;
  }
  int quarantine_steps() {
    absl::MutexLock lock(&mu_);
    return quarantine_steps_;
  }

  void FailWith(absl::Status status) {
    absl::MutexLock lock(&mu_);
    outcome_ = std::move(status);
  }
  void Remove(int64_t count) {
    absl::MutexLock lock(&mu_);
    outcome_ = count;
  }
  // From now on there is always more to remove.
  void NeverEnd() {
    absl::MutexLock lock(&mu_);
    endless_ = true;
  }
  void Use(int64_t bytes) {
    absl::MutexLock lock(&mu_);
    used_bytes_ = bytes;
  }
  // Waits until all have been trimmed `count` times.
  bool WaitForTrims(int count) {
    const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
      return trims_ >= count && quarantine_trims_ >= count && history_trims_ >= count &&
             conflict_trims_ >= count;
    };
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&enough), kPatience);
  }
  TrimCutoffs event_cutoffs() {
    absl::MutexLock lock(&mu_);
    return event_cutoffs_;
  }
  ConflictCutoffs conflict_cutoffs() {
    absl::MutexLock lock(&mu_);
    return conflict_cutoffs_;
  }
  QuarantineCutoffs quarantine_cutoffs() {
    absl::MutexLock lock(&mu_);
    return quarantine_cutoffs_;
  }
  HistoryCutoffs history_cutoffs() {
    absl::MutexLock lock(&mu_);
    return history_cutoffs_;
  }

 private:
  void Note(const TrimCutoffs& cutoffs) {
    absl::MutexLock lock(&mu_);
    event_cutoffs_ = cutoffs;
    ++trims_;
  }
  bool endless() {
    absl::MutexLock lock(&mu_);
    return endless_;
  }

  absl::Mutex mu_;
  bool endless_ ABSL_GUARDED_BY(mu_) = false;
  absl::StatusOr<int64_t> outcome_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t used_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  TrimCutoffs event_cutoffs_ ABSL_GUARDED_BY(mu_);
  QuarantineCutoffs quarantine_cutoffs_ ABSL_GUARDED_BY(mu_);
  ConflictCutoffs conflict_cutoffs_ ABSL_GUARDED_BY(mu_);
  int conflict_trims_ ABSL_GUARDED_BY(mu_) = 0;
  int quarantine_steps_ ABSL_GUARDED_BY(mu_) = 0;
  int steps_wanted_ ABSL_GUARDED_BY(mu_) = 0;
  absl::StatusOr<StoredAges> ages_ ABSL_GUARDED_BY(mu_) = StoredAges();
  EventLogEnds ends_ ABSL_GUARDED_BY(mu_);
  absl::Duration stored_running_ ABSL_GUARDED_BY(mu_);
  int trims_ ABSL_GUARDED_BY(mu_) = 0;
  int quarantine_trims_ ABSL_GUARDED_BY(mu_) = 0;
  HistoryCutoffs history_cutoffs_ ABSL_GUARDED_BY(mu_);
  int history_trims_ ABSL_GUARDED_BY(mu_) = 0;
};

TEST(RetentionTest, FirstTrimComesAtOnceAndCutsAtTheLimits) {
  FakeClock clock;
  FakeLog log;
  log.Hold({300, 250, 210, 150, 120, 97, 95, 1});
  Retention retention({.max_event_age = absl::Hours(140),
                       .max_unsettled_age = absl::Hours(240),
                       .max_quarantine_age = absl::Hours(48),
                       .max_quarantine_entries = 7,
                       .max_history_age = absl::Hours(96),
                       .max_history_rows = 9,
                       .max_conflict_age = absl::Hours(96),
                       .max_conflict_entries = 8,
                       .max_conflict_bytes = 9},
                      absl::Hours(1), log, clock);
  ASSERT_TRUE(log.WaitForTrims(1));
  EXPECT_EQ(log.history_cutoffs().head, 6);
  EXPECT_EQ(log.history_cutoffs().max_rows, 9);
  EXPECT_EQ(log.event_cutoffs().settled, 4);
  EXPECT_EQ(log.event_cutoffs().unsettled, 2);
  EXPECT_EQ(log.quarantine_cutoffs().touch, 7);
  EXPECT_EQ(log.quarantine_cutoffs().max_entries, 7);
  EXPECT_EQ(log.conflict_cutoffs().touch, 6);
  EXPECT_EQ(log.conflict_cutoffs().max_entries, 8);
  EXPECT_EQ(log.conflict_cutoffs().max_bytes, 9);
}

// P2: a repeat is known by its event for 4 days, however large the log is.
TEST(RetentionTest, ForTheSakeOfBytesNothingYoungGoes) {
  FakeClock clock;
  FakeLog log;
  log.Hold({300, 97, 95});
  Retention retention({.max_bytes = 1000}, absl::Hours(1), log, clock);
  ASSERT_TRUE(log.WaitForTrims(1));
  EXPECT_EQ(log.event_cutoffs().max_bytes, 1000);
  EXPECT_EQ(log.event_cutoffs().excess, 2);
  EXPECT_EQ(log.event_cutoffs().settled, 0);
}

// A history of a million rows would have filled a log of 64 MiB, and driven its events out.
TEST(RetentionTest, OfALogWithALimitTheHistoryTakesAQuarter) {
  FakeClock clock;
  FakeLog log;
  Retention retention({.max_bytes = 64 << 20}, absl::Hours(1), log, clock);
  ASSERT_TRUE(log.WaitForTrims(1));
  EXPECT_EQ(log.history_cutoffs().max_rows, (64 << 20) / 4 / 128);
}

// Has it trim once more, and waits for that.
void LetTrim(FakeLog& log, Retention& retention, const RetentionLimits& limits, int& trims) {
  retention.SetLimits(limits);
  ASSERT_TRUE(log.WaitForTrims(++trims));
}

int CountOf(absl::string_view text, absl::string_view part) {
  int count = 0;
  for (size_t at = text.find(part); at != absl::string_view::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(RetentionTest, ALogThatStaysAboveItsLimitSaysSoOnceAnHour) {
  FakeClock clock;
  FakeLog log;
  const RetentionLimits limits = {.max_bytes = 1000};
  testing::internal::CaptureStderr();
  {
    int trims = 1;
    log.Use(1001);
    Retention retention(limits, absl::Hours(24), log, clock);
    ASSERT_TRUE(log.WaitForTrims(trims));  // Warns.
    LetTrim(log, retention, limits, trims);
    clock.Advance(absl::Minutes(59));
    LetTrim(log, retention, limits, trims);
    clock.Advance(absl::Minutes(1));
    LetTrim(log, retention, limits, trims);  // Warns.
    log.Use(1000);
    LetTrim(log, retention, limits, trims);  // Is within the limit again.
    LetTrim(log, retention, limits, trims);
    log.Use(1001);
    LetTrim(log, retention, limits, trims);  // Warns.
    LetTrim(log, retention, {}, trims);      // No limit any more.
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(CountOf(said, "above storage.max_bytes"), 3) << said;
  EXPECT_EQ(CountOf(said, "within storage.max_bytes again"), 2) << said;
}

TEST(RetentionTest, NewLimitsAndTheEndDoNotWaitForALongTrim) {
  FakeClock clock;
  FakeLog log;
  log.NeverEnd();
  Retention retention({.max_bytes = 1000}, absl::Hours(1), log, clock);
  const auto trimmed_with = [&](int64_t max_bytes) {
    const absl::Time end = absl::Now() + kPatience;
    while (log.event_cutoffs().max_bytes != max_bytes && absl::Now() < end) {
      std::this_thread::yield();
    }
    return log.event_cutoffs().max_bytes == max_bytes;
  };
  EXPECT_TRUE(trimmed_with(1000));
  retention.SetLimits({.max_bytes = 2000});
  EXPECT_TRUE(trimmed_with(2000));
}

// Only a trim that came to its end knows that nothing more may go.
TEST(RetentionTest, ATrimThatWasCutShortDoesNotWarn) {
  FakeClock clock;
  FakeLog log;
  log.NeverEnd();
  log.Use(1001);
  testing::internal::CaptureStderr();
  { Retention retention({.max_bytes = 1000}, absl::Hours(1), log, clock); }
  EXPECT_EQ(CountOf(testing::internal::GetCapturedStderr(), "above storage.max_bytes"), 0);
}

TEST(RetentionTest, FailedTrimIsTriedAgain) {
  FakeClock clock;
  FakeLog log;
  log.FailWith(absl::UnavailableError("disk full"));
  Retention retention({}, absl::Milliseconds(1), log, clock);
  EXPECT_TRUE(log.WaitForTrims(3));
}

TEST(RetentionTest, TellsWhenEventsHaveBeenRemoved) {
  FakeClock clock;
  FakeLog log;
  log.Remove(3);
  absl::Notification told;
  Retention retention({}, absl::Hours(1), log, clock, [&] { told.Notify(); });
  EXPECT_TRUE(told.WaitForNotificationWithTimeout(kPatience));
}

TEST(RetentionTest, NewLimitsAreAppliedAtOnce) {
  FakeClock clock;
  FakeLog log;
  log.Hold({300, 200, 150});
  Retention retention({.max_event_age = absl::Hours(250)}, absl::Hours(1), log, clock);
  ASSERT_TRUE(log.WaitForTrims(1));
  EXPECT_EQ(log.event_cutoffs().settled, 1);
  retention.SetLimits({.max_event_age = absl::Hours(170)});
  ASSERT_TRUE(log.WaitForTrims(2));
  EXPECT_EQ(log.event_cutoffs().settled, 2);
}

// A wall clock that was ten years ahead for a moment removed the whole log.
TEST(RetentionTest, WallClockThatIsSetRemovesNothingAndAWarningSaysSo) {
  FakeClock clock;
  FakeLog log;
  log.Hold({300, 1});
  const RetentionLimits limits;
  testing::internal::CaptureStderr();
  {
    int trims = 1;
    Retention retention(limits, absl::Hours(24), log, clock);
    ASSERT_TRUE(log.WaitForTrims(trims));
    clock.SetWall(clock.WallNow() + absl::Hours(24 * 3650));
    LetTrim(log, retention, limits, trims);
    EXPECT_EQ(log.event_cutoffs().settled, 0);
    EXPECT_EQ(log.event_cutoffs().unsettled, 0);
    EXPECT_EQ(log.event_cutoffs().excess, 1) << "old by the monotonic clock";
    EXPECT_EQ(log.quarantine_cutoffs().touch, 0);
    clock.SetWall(clock.WallNow() - absl::Hours(24 * 7300));
    LetTrim(log, retention, limits, trims);
    EXPECT_EQ(log.event_cutoffs().settled, 0);
    // It goes on by the time that passes.
    clock.Advance(absl::Hours(24 * 30));
    LetTrim(log, retention, limits, trims);
    EXPECT_EQ(log.event_cutoffs().settled, 2);
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(CountOf(said, "the wall clock was set"), 2) << said;
  EXPECT_EQ(CountOf(said, "by=87600h"), 1) << said;
  EXPECT_EQ(CountOf(said, "by=175200h"), 1) << said;
}

TEST(RetentionTest, StartOnAClockThatIsAheadRemovesNothingAndAWarningSaysSo) {
  FakeClock clock;
  FakeLog log;
  log.Hold({300, 1});
  log.TrustWall(clock.WallNow() - absl::Hours(24 * 3650));
  testing::internal::CaptureStderr();
  {
    Retention retention({}, absl::Hours(24), log, clock);
    ASSERT_TRUE(log.WaitForTrims(1));
    EXPECT_EQ(log.event_cutoffs().settled, 0);
    EXPECT_EQ(log.quarantine_cutoffs().touch, 0);
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(CountOf(said, "closed_for=87600h"), 1) << said;
}

TEST(RetentionTest, LogThatDoesNotTellItsAgeIsAskedAgainAndNothingIsRemovedUntilThen) {
  FakeClock clock;
  FakeLog log;
  log.FailToLoadOnce();
  Retention retention({}, absl::Milliseconds(1), log, clock);
  EXPECT_TRUE(log.WaitForTrims(1));
}

TEST(RetentionTest, AgeIsStoredAtTheEnd) {
  FakeClock clock;
  FakeLog log;
  {
    Retention retention({}, absl::Hours(24), log, clock);
    ASSERT_TRUE(log.WaitForTrims(1));
    clock.Advance(absl::Minutes(3));
  }
  EXPECT_EQ(log.stored_running(), absl::Minutes(3));
}

// A quarantine that was far above its maximum was trimmed by one statement, and webhooks waited for
// seconds.
TEST(RetentionTest, QuarantineIsTrimmedInStepsWithRests) {
  FakeClock clock;
  FakeLog log;
  log.WantQuarantineSteps(5);
  Retention retention({}, absl::Hours(1), log, clock);
  ASSERT_TRUE(log.WaitForTrims(1));
  EXPECT_EQ(log.quarantine_steps(), 6);
}

}  // namespace
}  // namespace hookgate
