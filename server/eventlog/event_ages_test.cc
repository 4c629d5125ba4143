// Retention went by one reading of the wall clock: a start with a clock that was ten years ahead
// removed all within a second, and one event stamped years ahead stopped retention until then.

#include "server/eventlog/event_ages.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <random>
#include <vector>

#include "absl/time/time.h"

namespace hookgate {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kMonth = absl::Hours(24 * 30);

// Another one each time; HOOKGATE_SEED has a run again.
unsigned Seed() {
  const char* const given = std::getenv("HOOKGATE_SEED");
  const auto seed =
      given == nullptr ? std::random_device()() : static_cast<unsigned>(std::atoll(given));
  std::cout << "seed " << seed << "\n";
  return seed;
}

// A log on a machine whose true time the test knows. Each event is stored at a true time.
class Machine {
 public:
  Machine() { Open(); }

  // The process ends, and what was not stored is lost; with `politely` all is stored before.
  void Close(bool politely) {
    if (politely) Store(/*all=*/true);
    ages_.reset();
  }
  void Open() {
    // A monotonic clock begins anywhere.
    monotonic_ += kDay * 1000;
    ages_.emplace(stored_, ends(), wall(), monotonic_);
    Tick(absl::ZeroDuration());
  }
  void Pass(absl::Duration duration) {
    now_ += duration;
    monotonic_ += duration;
  }
  absl::Duration Tick(absl::Duration duration) {
    Pass(duration);
    const absl::Duration jump = ages_->Advance(ends(), wall(), monotonic_);
    ages_->Forget(90 * kDay);
    Store(/*all=*/false);
    return jump;
  }
  // In ticks of a minute, as retention does.
  void Run(absl::Duration duration) {
    for (absl::Duration passed; passed < duration; passed += absl::Minutes(1)) {
      Tick(absl::Minutes(1));
    }
  }
  void Append() { events_.push_back(now_); }
  // Somebody sets the wall clock so far ahead of the true time.
  void SetWall(absl::Duration offset) { offset_ = offset; }
  void ReplaceStored(StoredAges stored) { stored_ = std::move(stored); }

  EventAges& ages() { return *ages_; }
  absl::Time wall() const { return now_ + offset_; }
  absl::Time now() const { return now_; }
  EventLogEnds ends() const { return {.sequence = static_cast<Sequence>(events_.size())}; }
  // How old the youngest of these events is.
  absl::Duration YoungestOf(const EventLogEnds& old) const {
    if (old.sequence == 0) return absl::InfiniteDuration();
    return now_ - events_[static_cast<size_t>(old.sequence - 1)];
  }
  int marks() const { return static_cast<int>(stored_.marks.size()); }

 private:
  void Store(bool all) {
    const AgeChanges changes = ages_->Changes(all);
    for (const AgeMark& mark : changes.marks) {
      auto at = stored_.marks.begin();
      while (at != stored_.marks.end() && at->running < mark.running) ++at;
      if (at != stored_.marks.end() && at->running == mark.running) {
        *at = mark;
      } else {
        stored_.marks.insert(at, mark);
      }
    }
    if (changes.clock.has_value()) stored_.clock = changes.clock;
    while (changes.first_mark.has_value() && !stored_.marks.empty() &&
           stored_.marks.front().running < *changes.first_mark) {
      stored_.marks.erase(stored_.marks.begin());
    }
    ages_->Stored(changes);
  }

  absl::Time now_ = absl::FromUnixSeconds(1'750'000'000);
  absl::Duration offset_;
  absl::Duration monotonic_;
  std::vector<absl::Time> events_;
  StoredAges stored_;
  std::optional<EventAges> ages_;
};

TEST(EventAgesTest, WhatIsOldIsOldWithinAnHour) {
  Machine machine;
  machine.Append();
  machine.Run(absl::Hours(2));
  machine.Append();
  machine.Run(kMonth - absl::Hours(3));
  EXPECT_EQ(machine.ages().OlderThan(kMonth).sequence, 0);
  machine.Run(absl::Hours(2) + absl::Minutes(5));
  EXPECT_EQ(machine.ages().OlderThan(kMonth).sequence, 1);
  machine.Run(absl::Hours(2));
  EXPECT_EQ(machine.ages().OlderThan(kMonth).sequence, 2);
  EXPECT_EQ(machine.ages().OpenFor(kMonth).sequence, 2);
}

TEST(EventAgesTest, JumpsOfTheWallClockAreToldAndAgeNothing) {
  Machine machine;
  machine.Append();
  machine.Run(absl::Hours(30));
  machine.SetWall(kDay * 3650);
  EXPECT_EQ(machine.Tick(absl::Minutes(1)), kDay * 3650);
  machine.Append();
  machine.Run(4 * kDay);
  EXPECT_EQ(machine.ages().OlderThan(6 * kDay).sequence, 0);
  machine.SetWall(-kDay * 3650);
  EXPECT_EQ(machine.Tick(absl::Minutes(1)), -kDay * 7300);
  machine.Run(kDay);
  EXPECT_EQ(machine.ages().OlderThan(6 * kDay).sequence, 1);
  EXPECT_EQ(machine.Tick(absl::Minutes(1)), absl::ZeroDuration());
}

TEST(EventAgesTest, StartOnAClockThatIsAheadAgesNothingUntilItIsCorrected) {
  Machine machine;
  machine.Append();
  machine.Run(5 * kDay);
  machine.Close(/*politely=*/true);
  machine.SetWall(kDay * 3650);
  machine.Open();
  machine.Run(absl::Hours(23));
  EXPECT_GT(machine.ages().uncredited(), kDay * 3000);
  EXPECT_EQ(machine.ages().OlderThan(kMonth).sequence, 0);
  machine.SetWall(absl::ZeroDuration());
  machine.Run(10 * kDay);
  EXPECT_LT(machine.ages().uncredited(), EventAges::kLeastCredit);
  EXPECT_EQ(machine.ages().OlderThan(kMonth).sequence, 0);
  EXPECT_EQ(machine.ages().OlderThan(10 * kDay).sequence, 1);
}

TEST(EventAgesTest, WhatWasStoredBeforeALongTimeOffGoesOnceTheClockHasHeld) {
  Machine machine;
  machine.Append();
  machine.Run(5 * kDay);
  machine.Append();
  machine.Close(/*politely=*/true);
  machine.Pass(40 * kDay);
  machine.Open();
  machine.Append();
  machine.Run(absl::Hours(23));
  EXPECT_EQ(machine.ages().OlderThan(kMonth).sequence, 0);
  machine.Run(absl::Hours(2));
  EXPECT_EQ(machine.ages().OlderThan(kMonth).sequence, 2) << "the third came afterwards";
  // A repeat is known for four days in which it can come, whatever was credited.
  EXPECT_EQ(machine.ages().OpenFor(4 * kDay).sequence, 1);
  // Once.
  machine.Run(10 * kDay);
  EXPECT_EQ(machine.ages().OlderThan(kMonth).sequence, 2);
  EXPECT_EQ(machine.ages().OlderThan(10 * kDay).sequence, 3);
}

// Each night it is down; by day it is never up for as long as the clock must have held.
TEST(EventAgesTest, TimeOpenAddsUpOverRestarts) {
  Machine machine;
  machine.Append();
  for (int day = 0; day < 50; ++day) {
    machine.Run(absl::Hours(16));
    machine.Close(/*politely=*/day % 2 == 0);
    machine.Pass(absl::Hours(8));
    machine.Open();
  }
  EXPECT_EQ(machine.ages().OlderThan(kMonth).sequence, 1);
  EXPECT_GE(machine.YoungestOf(machine.ages().OlderThan(kMonth)), kMonth);
}

TEST(EventAgesTest, MarksThatNobodyNeedsAreForgotten) {
  Machine machine;
  for (int hour = 0; hour < 24 * 120; ++hour) {
    machine.Append();
    machine.Tick(absl::Hours(1));
  }
  EXPECT_LE(machine.marks(), 24 * 92);
  EXPECT_GT(machine.ages().OlderThan(90 * kDay).sequence, 0);
}

TEST(EventAgesTest, StampsOfAnOlderLogDecideOnlyWhereTheyAreCertain) {
  const absl::Time newest = absl::FromUnixSeconds(1'750'000'000);
  const auto at = [&](int days_ago) { return newest - days_ago * kDay; };
  Machine machine;
  for (int i = 0; i < 6; ++i) machine.Append();
  machine.Close(/*politely=*/true);
  // The second is stamped years ahead; the fourth was in quarantine.
  machine.ReplaceStored(AgesFromStamps(
      {{1, at(40)}, {2, at(-3650)}, {3, at(35)}, {4, at(100)}, {5, at(5)}, {6, at(0)}}, newest));
  machine.Open();
  EXPECT_EQ(machine.ages().OpenFor(39 * kDay).sequence, 1);
  EXPECT_EQ(machine.ages().OpenFor(34 * kDay).sequence, 3);
  EXPECT_EQ(machine.ages().OpenFor(4 * kDay).sequence, 5);
  EXPECT_EQ(machine.ages().OpenFor(kDay).sequence, 5);
}

// Clocks that jump in both directions at any time, crashes, and times off: nothing counts as older
// than it is. Of a clock that is wrong when the log is opened, it is known only that somebody
// notices within a day; while the log is open, it may stay wrong for as long as it likes.
TEST(EventAgesTest, NothingCountsAsOlderThanItIs) {
  const unsigned seed = Seed();
  std::mt19937 random(seed);
  const auto choose = [&](int64_t from, int64_t to) {
    return std::uniform_int_distribution<int64_t>(from, to)(random);
  };
  const auto wrong = [&] { return absl::Minutes(choose(-5'000'000, 5'000'000)); };
  for (int life = 0; life < 20; ++life) {
    Machine machine;
    for (int session = 0; session < 8; ++session) {
      const bool wrong_at_start = session > 0 && choose(0, 3) == 0;
      if (session > 0) {
        machine.Close(/*politely=*/choose(0, 1) == 0);
        machine.Pass(absl::Minutes(choose(0, 1) == 0 ? choose(0, 5) : choose(0, 60'000)));
        machine.SetWall(wrong_at_start ? wrong() : absl::ZeroDuration());
        machine.Open();
      }
      const int64_t hours = choose(1, 24 * 20);
      for (int64_t hour = 0; hour < hours; ++hour) {
        if (wrong_at_start && hour == 15) machine.SetWall(absl::ZeroDuration());
        if (!wrong_at_start && choose(0, 60) == 0) machine.SetWall(wrong());
        if (choose(0, 2) == 0) machine.Append();
        machine.Tick(absl::Minutes(choose(30, 90)));
        for (const absl::Duration age : {4 * kDay, 15 * kDay, kMonth, 60 * kDay}) {
          ASSERT_GE(machine.YoungestOf(machine.ages().OlderThan(age)), age - absl::Seconds(1));
          ASSERT_GE(machine.YoungestOf(machine.ages().OpenFor(age)), age - absl::Seconds(1));
        }
      }
      // A clock that stays wrong for a day, and is corrected while the log is closed, looks the
      // same as one that is right and a log that was closed for long.
      machine.SetWall(absl::ZeroDuration());
      machine.Run(absl::Hours(1));
    }
  }
}

// However long a clock is wrong, at a start or not: for four days in which repeats can come they
// are known.
TEST(EventAgesTest, WhatWasOpenForFourDaysWasWhateverTheClockSays) {
  const unsigned seed = Seed();
  std::mt19937 random(seed);
  const auto choose = [&](int64_t from, int64_t to) {
    return std::uniform_int_distribution<int64_t>(from, to)(random);
  };
  Machine machine;
  for (int hour = 0; hour < 20'000; ++hour) {
    if (choose(0, 40) == 0) machine.SetWall(absl::Hours(choose(-100'000, 100'000)));
    if (choose(0, 100) == 0) {
      machine.Close(/*politely=*/choose(0, 1) == 0);
      machine.Open();
    }
    if (choose(0, 2) == 0) machine.Append();
    machine.Tick(absl::Hours(1));
    ASSERT_GE(machine.YoungestOf(machine.ages().OpenFor(4 * kDay)), 4 * kDay - absl::Seconds(1));
  }
}

}  // namespace
}  // namespace hookgate
