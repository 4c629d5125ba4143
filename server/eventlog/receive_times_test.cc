// A start at a time began at the event with the earliest receive time, and skipped all that had a
// lower sequence and a later time: after one old webhook was released from quarantine, one of 991
// events came.

#include "server/eventlog/receive_times.h"

#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/store/database.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(1'750'000'000 + seconds); }

std::unique_ptr<Database> OpenDatabase(const std::string& folder) {
  return *Database::Open(folder + "/events.db", Database::Mode::kReadWrite);
}

int64_t Blocks(const std::string& folder) {
  const auto database = OpenDatabase(folder);
  auto row = database->Prepare("SELECT count(*) FROM receive_time_blocks");
  EXPECT_TRUE(row.ok() && *row->Step());
  return row->ColumnInt(0);
}

TEST(StartAtATimeTest, OldWebhookReleasedFromQuarantineHidesNothing) {
  auto log = OpenTemporaryLog();
  for (int second = 1; second <= 50; ++second) AppendEvent(*log, {.receive_time = At(second)});
  AppendEvent(*log, {.receive_time = At(11)});  // as a release stores it
  EXPECT_EQ(*log->FirstAtOrAfter(At(11)), absl::optional<Sequence>(11));
  EXPECT_EQ(*log->FirstAtOrAfter(At(50)), absl::optional<Sequence>(50));
  EXPECT_EQ(*log->FirstAtOrAfter(At(51)), absl::nullopt);
}

TEST(StartAtATimeTest, ClockThatWasSetBackHidesNothing) {
  auto log = OpenTemporaryLog();
  for (const int second : {100, 101, 40, 41, 102}) {
    AppendEvent(*log, {.receive_time = At(second)});
  }
  EXPECT_EQ(*log->FirstAtOrAfter(At(41)), absl::optional<Sequence>(1));
  EXPECT_EQ(*log->FirstAtOrAfter(At(102)), absl::optional<Sequence>(5));
}

// All at once, so that they share syncs.
void AppendAtOnce(SqliteEventLog& log, const std::vector<int64_t>& seconds,
                  std::map<Sequence, absl::Time>& events) {
  absl::Mutex mu;
  absl::BlockingCounter left(static_cast<int>(seconds.size()));
  for (const int64_t second : seconds) {
    static int last = 0;
    auto event = std::make_unique<StoredEvent>();
    event->source = "openai";
    event->webhook_id = absl::StrCat("at_once_", ++last);
    event->failure = last % 2 == 0;
    event->receive_time = At(second);
    log.Append(std::move(event), [&, second](const absl::StatusOr<AppendResult>& stored) {
      {
        absl::MutexLock lock(&mu);
        if (stored.ok()) events[stored->sequence] = At(second);
      }
      left.DecrementCount();
    });
  }
  left.Wait();
}

// The events that each of `times` has to lead to, by looking at all of them.
void ExpectLowest(SqliteEventLog& log, const std::map<Sequence, absl::Time>& events,
                  absl::Time time) {
  absl::optional<Sequence> expected;
  for (const auto& [sequence, received] : events) {
    if (received >= time && sequence >= log.Position().earliest) {
      expected = sequence;
      break;
    }
  }
  const auto found = log.FirstAtOrAfter(time);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(*found, expected) << time;
}

// Over several blocks of 1,024, clocks that jump both ways, retention, reopenings, and logs that an
// older version has left.
TEST(StartAtATimeTest, NothingReceivedAtOrAfterATimeIsSkipped) {
  const auto seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  const auto choose = [&](int64_t from, int64_t to) {
    return std::uniform_int_distribution<int64_t>(from, to)(random);
  };
  const std::string folder = FreshTestFolder();
  std::map<Sequence, absl::Time> events;
  int64_t now = 0;
  for (int opening = 0; opening < 6; ++opening) {
    if (opening > 0 && choose(0, 2) == 0) MakeVersion4(folder + "/events.db");
    auto log = OpenTemporaryLog(nullptr, folder);
    const int64_t count = choose(1, 1500);
    std::vector<int64_t> seconds;
    for (int64_t i = 0; i < count; ++i) {
      now += choose(0, 3);
      if (choose(0, 200) == 0) now += choose(-2000, 2000);
      seconds.push_back(choose(0, 50) == 0 ? now - choose(0, 3000) : now);
    }
    AppendAtOnce(*log, seconds, events);
    if (choose(0, 1) == 0) {
      const Sequence last = choose(log->Position().earliest, log->Position().head);
      ASSERT_TRUE(log->Trim({last, last}).ok());
    }
    for (int i = 0; i < 100; ++i) ExpectLowest(*log, events, At(choose(-3000, now + 100)));
  }
}

TEST(StartAtATimeTest, LogOfAnOlderVersionIsReadOnce) {
  const std::string folder = FreshTestFolder();
  {
    auto log = OpenTemporaryLog(nullptr, folder);
    std::map<Sequence, absl::Time> events;
    std::vector<int64_t> seconds(5000);
    std::iota(seconds.begin(), seconds.end(), 0);
    AppendAtOnce(*log, seconds, events);
    AppendEvent(*log, {.receive_time = At(7)});
  }
  EXPECT_EQ(Blocks(folder), 4);
  MakeVersion4(folder + "/events.db");
  auto log = OpenTemporaryLog(nullptr, folder);
  EXPECT_EQ(Blocks(folder), 4);
  EXPECT_EQ(*log->FirstAtOrAfter(At(7)), absl::optional<Sequence>(8));
  EXPECT_EQ(*log->FirstAtOrAfter(At(4321)), absl::optional<Sequence>(4322));
  ASSERT_TRUE(log->Trim({5000, 5000}).ok());
  EXPECT_EQ(Blocks(folder), 0);
  EXPECT_EQ(*log->FirstAtOrAfter(At(1)), absl::optional<Sequence>(5001));
  EXPECT_EQ(*log->FirstAtOrAfter(At(8)), absl::nullopt);
}

}  // namespace
}  // namespace hookgate
