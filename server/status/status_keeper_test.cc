#include "server/status/status_keeper.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "server/eventlog/sqlite_event_log.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

// A log that cannot write; until Refuse, it does not even say so.
class FakeStatusLog final : public StatusLog {
 public:
  absl::StatusOr<StoredStatus> LoadStatus() override { return StoredStatus(); }
  void CommitStatus(StatusDone done) override {
    absl::MutexLock lock(&mu_);
    waiting_.push_back(std::move(done));
    if (refuses_) AnswerAll();
  }
  void Refuse() {
    absl::MutexLock lock(&mu_);
    refuses_ = true;
    AnswerAll();
  }

 private:
  void AnswerAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (StatusDone& done : waiting_) std::move(done)(absl::UnavailableError("the disk is full"));
    waiting_.clear();
  }

  absl::Mutex mu_;
  bool refuses_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<StatusDone> waiting_ ABSL_GUARDED_BY(mu_);
};

std::unique_ptr<SqliteEventLog> OpenLog(const std::string& folder, StatusBook& book) {
  auto log = SqliteEventLog::Open({.data_dir = folder, .reserved_wal_bytes = 0}, nullptr, &book);
  EXPECT_TRUE(log.ok()) << log.status();
  book.Restore(*(*log)->LoadStatus());
  return *std::move(log);
}

// Refusals are never committed by themselves: nobody else would store them.
TEST(StatusKeeperTest, WhatNoCommitCarriesIsStoredAfterAMoment) {
  const std::string folder = FreshTestFolder();
  StatusBook book(SystemClock());
  const auto log = OpenLog(folder, book);
  StatusKeeper keeper(book, *log);
  book.counters().CountRefused("not_found");
  ASSERT_TRUE(Eventually("the count is stored", [&] {
    return log->LoadStatus()->counters.count("refused/not_found") > 0;
  }));
  EXPECT_EQ(log->LoadStatus()->head.since, book.since());
}

TEST(StatusKeeperTest, TheEndStoresTheLastState) {
  const std::string folder = FreshTestFolder();
  FakeClock clock;
  {
    StatusBook book(clock);
    const auto log = OpenLog(folder, book);
    StatusKeeper keeper(book, *log);
    ++book.counters().stored;
    EXPECT_TRUE(keeper.StoreNow(absl::InfiniteDuration()));
    EXPECT_EQ(log->LoadStatus()->counters.at("stored"), 1);
    ++book.counters().stored;  // A moment later, by its clock none.
  }
  StatusBook book(clock);
  const auto log = OpenLog(folder, book);
  EXPECT_EQ(book.counters().stored, 2);
}

TEST(StatusKeeperTest, ADiskThatDoesNotAnswerHoldsADrainUpNoLongerThanItMay) {
  FakeClock clock;
  StatusBook book(clock);
  book.Restore({});
  FakeStatusLog log;
  StatusKeeper keeper(book, log);
  ++book.counters().stored;
  EXPECT_FALSE(keeper.StoreNow(absl::Milliseconds(1)));
  // Then one that takes nothing is waited for, and what it did not take is not lost sight of.
  log.Refuse();
  EXPECT_FALSE(keeper.StoreNow(absl::InfiniteDuration()));
  EXPECT_TRUE(book.HasChanges(/*all=*/false));
}

}  // namespace
}  // namespace hookgate
