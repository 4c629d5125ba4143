// P1 to P4 against a power cut, on a simulated disk that loses and tears what was not synced.
//
// One run of a seed: a log is filled through SqliteEventLog (groups of webhooks, repeats, large bodies that
// bring checkpoints about, quarantine, retention, an orderly end now and then), the power is cut in the
// middle of some write or sync, and the log is opened again; several times on one disk. Whatever was
// answered OK, or announced to the CommitListener, must be there, under its sequence, without a hole.
//
// The seed decides what is written, where the power is cut and what survives. The checkpointer is a
// thread of its own, so the moment of the cut can move a little where it was at work.
//
//   POWER_CUT_SEEDS  how many seeds; default 1000
//   POWER_CUT_SEED   the first seed; default 1. A failure names its own

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/base/logging.h"
#include "server/store/database.h"
#include "tests/crash/simulated_disk.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  uint64_t value = 0;
  const char* const text = std::getenv(name);
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// The receive time of webhook number `number`: one a second.
absl::Time TimeOf(int64_t number) { return absl::FromUnixSeconds(1'750'000'000 + number); }

struct Totals {
  int64_t cuts = 0;
  int64_t answered = 0;
  int64_t unanswered_but_stored = 0;
  int64_t trimmed = 0;
  int64_t refused_opens = 0;  // the power was cut while the log was being opened
};

// One seed.
class PowerCutRun final : private CommitListener {
 public:
  PowerCutRun(uint64_t seed, const std::string& folder, Totals& totals)
      : random_(seed), folder_(folder), totals_(totals) {}

  void Go() {
    const int64_t cuts = Pick(1, 3);
    for (int64_t i = 0; i < cuts && !testing::Test::HasFailure(); ++i) {
      LoadUntilPowerCut();
      disk_.Restart(random_);
      ++totals_.cuts;
      CheckAll();
    }
  }

 private:
  int64_t Pick(int64_t least, int64_t most) {
    return std::uniform_int_distribution<int64_t>(least, most)(random_);
  }

  void OnCommit(absl::Span<const LogEventPtr> events) override {
    for (const LogEventPtr& event : events) announced_[event->sequence] = event->webhook_id;
  }

  absl::StatusOr<std::unique_ptr<SqliteEventLog>> Open() {
    auto log = SqliteEventLog::Open({.data_dir = folder_}, this);
    if (log.ok()) {
      if (epoch_.empty()) epoch_ = (*log)->epoch();
      EXPECT_EQ((*log)->epoch(), epoch_);
    }
    return log;
  }

  void LoadUntilPowerCut() {
    // Small numbers are likelier: that is where logs are made and opened.
    disk_.CutPowerAt(Pick(1, Pick(1, 10) <= 3 ? 40 : 1500));
    const int64_t steps = Pick(1, 25);
    large_bodies_ = Pick(1, 2) == 1;
    auto log = Open();
    for (int64_t i = 0; log.ok() && i < steps; ++i) {
      Step(**log);
      if (Pick(1, 20) == 1) {
        log->reset();  // An orderly end.
        log = Open();
      }
    }
    if (!log.ok()) ++totals_.refused_opens;
    // Ending in order would write; half of the cuts that are still due come before that.
    if (Pick(1, 2) == 1) disk_.CutPower();
    if (log.ok()) log->reset();
    disk_.CutPower();
  }

  void Step(SqliteEventLog& log) {
    switch (Pick(1, 10)) {
      case 1:
        return Trim(log);
      case 2:
        return Quarantine(log);
      case 3:
        return Repeat(log);
      case 4:
        // A reader of its own comes into being.
        log.Read(0, [](const LogEvent&) { return true; }, {}).status().IgnoreError();
        return;
      default:
        return AppendGroup(log);
    }
  }

  // Holds the writer back within an answer until the others are queued, so that they are one group.
  void AppendGroup(SqliteEventLog& log) {
    const int64_t size = Pick(1, 40);
    const std::thread::id this_thread = std::this_thread::get_id();
    absl::Notification queued;
    absl::BlockingCounter answered(static_cast<int>(size) + 1);
    for (int64_t i = 0; i <= size; ++i) {
      auto event = MakeEvent(++last_number_);
      const std::string webhook_id = event->webhook_id;
      attempted_.insert(webhook_id);
      const bool first = i == 0;
      log.Append(std::move(event), [&, first, webhook_id](absl::StatusOr<AppendResult> result) {
        if (first && std::this_thread::get_id() != this_thread) queued.WaitForNotification();
        absl::MutexLock lock(&mu_);
        if (result.ok()) {
          EXPECT_EQ(result->outcome, AppendResult::Outcome::kStored);
          EXPECT_TRUE(stored_.emplace(result->sequence, webhook_id).second);
          ++totals_.answered;
        }
        answered.DecrementCount();
      });
    }
    queued.Notify();
    answered.Wait();
  }

  std::unique_ptr<LogEvent> MakeEvent(int64_t number) {
    auto event = std::make_unique<LogEvent>();
    event->source = "openai";
    event->webhook_id = absl::StrCat("wh_", number);
    event->type = number % 3 == 0 ? "batch.failed" : "batch.completed";
    event->subject = "batch_1";
    event->failure = number % 3 == 0;
    event->receive_time = TimeOf(number);
    event->envelope = "envelope";
    const auto size = static_cast<size_t>(large_bodies_ ? Pick(0, 60'000) : Pick(0, 600));
    event->raw_body = std::string(size, static_cast<char>('a' + number % 26));
    return event;
  }

  // What is stored is known, with the sequence it was given.
  void Repeat(SqliteEventLog& log) {
    if (stored_.empty()) return;
    const auto [sequence, webhook_id] = *stored_.rbegin();
    auto event = std::make_unique<LogEvent>();
    event->source = "openai";
    event->webhook_id = webhook_id;
    absl::Notification done;
    absl::StatusOr<AppendResult> result;
    log.Append(std::move(event), [&](absl::StatusOr<AppendResult> outcome) {
      result = std::move(outcome);
      done.Notify();
    });
    done.WaitForNotification();
    if (!result.ok()) return;
    EXPECT_NE(result->outcome, AppendResult::Outcome::kStored) << webhook_id;
    EXPECT_EQ(result->sequence, sequence);
  }

  void Trim(SqliteEventLog& log) {
    const absl::Time cutoff = TimeOf(last_number_ - Pick(0, 60));
    latest_cutoff_ = std::max(latest_cutoff_, cutoff);
    const auto removed = log.Trim(cutoff);
    if (!removed.ok()) return;
    totals_.trimmed += *removed;
    earliest_ = log.Position().earliest;
    ForgetTrimmed(earliest_);
  }

  void ForgetTrimmed(Sequence earliest) {
    stored_.erase(stored_.begin(), stored_.lower_bound(earliest));
    announced_.erase(announced_.begin(), announced_.lower_bound(earliest));
  }

  void Quarantine(SqliteEventLog& log) {
    auto webhook = std::make_unique<QuarantinedWebhook>();
    webhook->source = "openai";
    webhook->webhook_id = absl::StrCat("q_", ++last_number_);
    webhook->raw_body = "?";
    const std::string webhook_id = webhook->webhook_id;
    absl::Notification done;
    absl::Status result;
    log.Quarantine(std::move(webhook), [&](absl::Status outcome) {
      result = std::move(outcome);
      done.Notify();
    });
    done.WaitForNotification();
    if (result.ok()) quarantined_.insert(webhook_id);
  }

  void CheckAll() {
    auto opened = Open();
    ASSERT_TRUE(opened.ok()) << opened.status();
    SqliteEventLog& log = **opened;
    const LogPosition position = log.Position();
    CheckEarliest(position);
    for (const auto& [sequence, webhook_id] : announced_) {
      EXPECT_EQ(stored_.emplace(sequence, webhook_id).first->second, webhook_id);
    }
    const std::map<Sequence, std::string> found = ReadAll(log, position);
    for (const auto& [sequence, webhook_id] : stored_) {
      const auto event = found.find(sequence);
      ASSERT_NE(event, found.end()) << webhook_id << " was promised as " << sequence
                                    << " and is lost; the log ends at " << position.head;
      EXPECT_EQ(event->second, webhook_id);
    }
    totals_.unanswered_but_stored += static_cast<int64_t>(found.size() - stored_.size());
    stored_ = found;
    announced_.clear();
    CheckQuarantine(log);
    CheckIntegrity();
    CheckGoesOn(log, position);
  }

  // Retention that was not answered may have happened or not, but not beyond what was asked.
  void CheckEarliest(const LogPosition& position) {
    EXPECT_GE(position.earliest, earliest_);
    for (const auto& [sequence, webhook_id] : stored_) {
      if (sequence >= position.earliest) break;
      int64_t number = 0;
      EXPECT_TRUE(absl::SimpleAtoi(webhook_id.substr(3), &number));
      EXPECT_LT(TimeOf(number), latest_cutoff_) << webhook_id << " is gone, and was not old";
    }
    earliest_ = position.earliest;
    ForgetTrimmed(earliest_);
  }

  std::map<Sequence, std::string> ReadAll(SqliteEventLog& log, const LogPosition& position) {
    std::map<Sequence, std::string> found;
    Sequence after = position.earliest - 1;
    while (after < position.head) {
      const auto page = log.Read(after, [](const LogEvent&) { return true; },
                                 {.max_bytes = 1 << 30, .include_raw_body = true});
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || page->events.empty()) break;
      for (const LogEventPtr& event : page->events) {
        EXPECT_EQ(event->sequence, ++after) << "a hole";
        EXPECT_EQ(attempted_.count(event->webhook_id), 1u) << event->webhook_id;
        EXPECT_TRUE(std::all_of(event->raw_body.begin(), event->raw_body.end(),
                                [&](char c) { return c == event->raw_body[0]; }));
        found[event->sequence] = event->webhook_id;
      }
    }
    EXPECT_EQ(after, position.head);
    return found;
  }

  void CheckQuarantine(SqliteEventLog& log) {
    const auto entries = log.ListQuarantined("openai", INT64_MAX, 10'000);
    ASSERT_TRUE(entries.ok()) << entries.status();
    std::set<std::string> found;
    for (const QuarantineEntry& entry : *entries) found.insert(entry.webhook.webhook_id);
    for (const std::string& webhook_id : quarantined_) {
      EXPECT_EQ(found.count(webhook_id), 1u) << webhook_id << " was in quarantine, and is lost";
    }
  }

  void CheckIntegrity() {
    auto database = Database::Open(folder_ + "/events.db", Database::Mode::kReadOnly);
    ASSERT_TRUE(database.ok()) << database.status();
    auto check = (*database)->Prepare("PRAGMA integrity_check");
    ASSERT_TRUE(check.ok()) << check.status();
    ASSERT_TRUE(check->Step().ok());
    EXPECT_EQ(check->ColumnText(0), "ok");
  }

  // No sequence is given twice, and the log can be written.
  void CheckGoesOn(SqliteEventLog& log, const LogPosition& position) {
    const std::string webhook_id = absl::StrCat("wh_", ++last_number_);
    attempted_.insert(webhook_id);
    const Sequence sequence =
        AppendEvent(log, {.webhook_id = webhook_id,
                          .receive_time = TimeOf(last_number_),
                          .raw_body = "x"});
    EXPECT_EQ(sequence, position.head + 1);
    stored_[sequence] = webhook_id;
  }

  std::mt19937_64 random_;
  const std::string folder_;
  Totals& totals_;
  SimulatedDisk disk_;

  int64_t last_number_ = 0;
  bool large_bodies_ = false;
  // What the outside knows.
  std::string epoch_;
  absl::Mutex mu_;                              // held while answers come
  std::map<Sequence, std::string> stored_;      // answered OK, or found after a crash; not yet trimmed
  std::map<Sequence, std::string> announced_;   // OnCommit
  std::set<std::string> attempted_;
  std::set<std::string> quarantined_;
  Sequence earliest_ = 1;
  absl::Time latest_cutoff_ = absl::InfinitePast();
};

TEST(PowerCutTest, NothingAnsweredIsLost) {
  const uint64_t first = FromEnvironment("POWER_CUT_SEED", 1);
  const uint64_t seeds = FromEnvironment("POWER_CUT_SEEDS", 1000);
  const std::string folder = FreshTestFolder();
  SetLeastSeverity(Severity::kError);  // One line a cut is enough.
  Totals totals;
  for (uint64_t seed = first; seed < first + seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("POWER_CUT_SEED=", seed));
    PowerCutRun(seed, folder, totals).Go();
  }
  std::cout << "POWER_CUT_SEED=" << first << ": " << seeds << " seeds, " << totals.cuts
            << " power cuts (" << totals.refused_opens << " while opening); " << totals.answered
            << " webhooks answered, all found or removed by retention (" << totals.trimmed
            << "); " << totals.unanswered_but_stored << " more were stored\n";
  EXPECT_GT(totals.answered, 0);
}

}  // namespace
}  // namespace hookgate
