// P1 to P4 against power cuts, on a simulated disk that keeps, loses and tears what was not synced.
//
//   POWER_CUT_SEEDS  how many runs; default 300
//   POWER_CUT_SEED   the first run's seed, printed when one fails

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <random>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/eventlog/sqlite_event_log.h"
#include "server/store/wal_check.h"
#include "tests/crash/simulated_disk.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

constexpr int kCutsPerRun = 4;
// So few that power is cut while runs are written, and between them.
constexpr int64_t kWebhooksPerRun = 24;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  uint64_t value = 0;
  const char* const text = std::getenv(name);
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// What senders were answered and subscribers were sent: sequence to webhook-id. Thread-safe.
class Promises final : public CommitListener {
 public:
  void OnCommit(absl::Span<const StoredEventPtr> events) override {
    absl::MutexLock lock(&mu_);
    for (const StoredEventPtr& event : events) promised_[event->sequence] = event->webhook_id;
  }
  void Answered(Sequence sequence, const std::string& webhook_id) {
    absl::MutexLock lock(&mu_);
    promised_[sequence] = webhook_id;
  }
  std::map<Sequence, std::string> promised() {
    absl::MutexLock lock(&mu_);
    return promised_;
  }

 private:
  absl::Mutex mu_;
  std::map<Sequence, std::string> promised_ ABSL_GUARDED_BY(mu_);
};

// One log through several power cuts.
class LogUnderPowerCuts {
 public:
  explicit LogUnderPowerCuts(uint64_t seed) : random_(seed) {}

  void CutAgainAndAgain() {
    for (int cut = 0; cut < kCutsPerRun && !testing::Test::HasFailure(); ++cut) {
      SCOPED_TRACE(absl::StrCat("cut ", cut));
      disk_.CutPowerAt(Choose(1, Choose(0, 1) == 0 ? 60 : 1500));
      if (auto log = SqliteEventLog::Open({.data_dir = folder_,
                                           .webhooks_per_run = kWebhooksPerRun,
                                           .reserved_wal_bytes = Choose(0, 1) * Choose(1, 400'000)},
                                          &promises_);
          log.ok()) {
        Load(**log);
      }
      disk_.CutPower();
      disk_.Restart(random_);
      CheckIsNotCalledDamaged();
      Check();
    }
  }
  size_t promised() { return promises_.promised().size(); }

 private:
  // The check of a start looks at files, which those of the simulated disk are not.
  void CheckIsNotCalledDamaged() {
    const std::string path = absl::StrCat(testing::TempDir(), "/after_cut_", getpid());
    for (const char* const suffix : {"", "-wal"}) {
      std::ofstream(path + suffix, std::ios::binary | std::ios::trunc)
          << disk_.Content(absl::StrCat("events.db", suffix));
    }
    const absl::Status checked = CheckWriteAheadLog(path).status();
    EXPECT_TRUE(checked.ok()) << checked;
  }
  int64_t Choose(int64_t from, int64_t to) {
    return std::uniform_int_distribution<int64_t>(from, to)(random_);
  }

  // Uses the log until the power is cut, or for a while, and then ends politely.
  void Load(SqliteEventLog& log) {
    for (int64_t bursts = Choose(1, 120); bursts > 0 && log.Health().ok(); --bursts) {
      for (int64_t i = Choose(1, 8); i > 1; --i) AppendLater(log);
      AppendAndWait(log);
      if (Choose(0, 19) == 0) Trim(log);
    }
  }
  std::unique_ptr<StoredEvent> NewEvent() {
    auto event = std::make_unique<StoredEvent>();
    event->source = "openai";
    event->webhook_id = absl::StrCat("wh_", ++last_id_);
    event->type = "batch.failed";
    event->receive_time = absl::FromUnixSeconds(last_id_);
    event->envelope = "envelope";
    // Large ones fill the write-ahead log, so that checkpoints come.
    event->raw_body.assign(static_cast<size_t>(Choose(0, 9) == 0 ? Choose(0, 100'000) : 50), 'x');
    return event;
  }
  void AppendLater(SqliteEventLog& log, absl::Notification* done = nullptr) {
    std::unique_ptr<StoredEvent> event = NewEvent();
    log.Append(std::move(event),
               [this, id = event_id(), done](const absl::StatusOr<AppendResult>& result) {
                 if (result.ok()) promises_.Answered(result->sequence, id);
                 if (done != nullptr) done->Notify();
               });
  }
  void AppendAndWait(SqliteEventLog& log) {
    absl::Notification done;
    AppendLater(log, &done);
    done.WaitForNotification();
  }
  std::string event_id() const { return absl::StrCat("wh_", last_id_); }
  // Some of the oldest go, as by retention.
  void Trim(SqliteEventLog& log) {
    const EventLogPosition position = log.Position();
    if (position.head < position.earliest) return;
    const Sequence last = Choose(position.earliest, position.head);
    may_be_gone_ = std::max(may_be_gone_, last);
    log.Trim({last, last}).status().IgnoreError();
  }

  void Check() {
    auto opened = SqliteEventLog::Open(
        {.data_dir = folder_, .webhooks_per_run = kWebhooksPerRun, .reserved_wal_bytes = 0},
        nullptr);
    ASSERT_TRUE(opened.ok()) << "the log does not open: " << opened.status();
    SqliteEventLog& log = **opened;
    const auto promised = promises_.promised();
    if (!promised.empty()) {
      if (epoch_.empty()) epoch_ = log.epoch();
      EXPECT_EQ(log.epoch(), epoch_) << "cursors that were given are worth nothing";
    }
    const EventLogPosition position = log.Position();
    EXPECT_LE(position.earliest, may_be_gone_ + 1) << "more was trimmed than was asked for";
    for (const auto& [sequence, webhook_id] : promised) {
      if (sequence < position.earliest) continue;
      const auto event = log.Get(sequence);
      ASSERT_TRUE(event.ok()) << webhook_id << " was promised, and is lost: " << event.status();
      ASSERT_EQ((*event)->webhook_id, webhook_id);
    }
    Sequence expected = position.earliest;
    while (expected <= position.head) {
      const auto page =
          log.Read(expected - 1, [](const StoredEvent&) { return true; }, {.max_bytes = 1 << 30});
      ASSERT_TRUE(page.ok()) << page.status();
      ASSERT_FALSE(page->events.empty()) << "a hole at " << expected;
      for (const StoredEventPtr& event : page->events) {
        ASSERT_EQ(event->sequence, expected++);
        const auto found = log.Find(event->source, event->webhook_id);
        ASSERT_TRUE(found.ok()) << "a repeat would be stored again: " << found.status();
        ASSERT_EQ((*found)->sequence, event->sequence);
      }
    }
    // What was not promised, but is there, counts from now on: somebody may have seen it.
    for (Sequence sequence = position.earliest; sequence <= position.head; ++sequence) {
      if (promised.count(sequence) == 0) {
        promises_.Answered(sequence, (*log.Get(sequence))->webhook_id);
      }
    }
    ASSERT_EQ(AppendEvent(log, {.webhook_id = absl::StrCat("after_", ++checks_),
                                .receive_time = absl::FromUnixSeconds(last_id_)}),
              position.head + 1);
    promises_.Answered(position.head + 1, absl::StrCat("after_", checks_));
  }

  std::mt19937_64 random_;
  SimulatedDisk disk_;
  const std::string folder_ = FreshTestFolder();
  Promises promises_;
  std::string epoch_;  // once there were promises
  int64_t last_id_ = 0;
  int checks_ = 0;
  Sequence may_be_gone_ = 0;
};

TEST(PowerCutTest, NothingPromisedIsLost) {
  const uint64_t first = FromEnvironment("POWER_CUT_SEED", std::random_device{}());
  const uint64_t seeds = FromEnvironment("POWER_CUT_SEEDS", 300);
  size_t promised = 0;
  for (uint64_t seed = first; seed < first + seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("POWER_CUT_SEED=", seed, " POWER_CUT_SEEDS=1"));
    LogUnderPowerCuts log(seed);
    log.CutAgainAndAgain();
    promised += log.promised();
  }
  std::cout << "POWER_CUT_SEED=" << first << ": " << seeds * kCutsPerRun << " power cuts, "
            << promised << " events promised, all found\n";
  EXPECT_GT(promised, seeds);
}

}  // namespace
}  // namespace hookgate
