// What the log does when its disk fails: nothing that was answered is lost, and what can't be
// stored is refused. On a simulated disk, but for what needs a real process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/eventlog/sqlite_event_log.h"
#include "tests/crash/simulated_disk.h"
#include "tests/support/program.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

class DiskFaultTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteEventLog> Open() { return OpenTemporaryLog(nullptr, folder_); }

  static absl::StatusOr<AppendResult> Append(EventLog& log, const std::string& webhook_id) {
    return TryAppend(log, {.webhook_id = webhook_id});
  }
  void ExpectStored(EventLog& log, const std::vector<std::string>& webhook_ids) {
    EXPECT_EQ(log.Position().head, static_cast<Sequence>(webhook_ids.size()));
    for (const std::string& id : webhook_ids) EXPECT_TRUE(log.Find("openai", id).ok()) << id;
  }

  SimulatedDisk disk_;
  const std::string folder_ = FreshTestFolder();
  std::mt19937_64 random_{1};
};

TEST_F(DiskFaultTest, FullDiskRefusesUntilThereIsRoomAgain) {
  auto log = Open();
  ASSERT_TRUE(Append(*log, "before").ok());
  disk_.Break(SimulatedDisk::Operation::kWrite, "-wal", SQLITE_FULL);
  for (int i = 0; i < 3; ++i) {
    const auto refused = Append(*log, "during");
    EXPECT_EQ(ReasonOf(refused.status()), reason::kStoreUnavailable) << refused.status();
  }
  EXPECT_FALSE(log->Health().ok());
  EXPECT_TRUE(log->Find("openai", "before").ok()) << "reading goes on";
  disk_.Repair();
  EXPECT_TRUE(Append(*log, "after").ok());
  EXPECT_TRUE(log->Health().ok());
  log.reset();
  ExpectStored(*Open(), {"before", "after"});
}

TEST_F(DiskFaultTest, DiskThatFillsInTheMiddleOfACommitStoresNoneOfIt) {
  auto log = Open();
  ASSERT_TRUE(Append(*log, "before").ok());
  disk_.Break(SimulatedDisk::Operation::kWrite, "-wal", SQLITE_FULL, /*good=*/3);
  EXPECT_FALSE(Append(*log, "during").ok());
  EXPECT_GT(disk_.broken_operations(), 0);
  disk_.Repair();
  EXPECT_EQ(Append(*log, "during")->outcome, AppendResult::Outcome::kStored);
  log.reset();
  ExpectStored(*Open(), {"before", "during"});
}

// After a failed sync nobody knows what is on the disk, and the next sync may succeed without
// having written it.
TEST_F(DiskFaultTest, FailedSyncRefusesUntilARestartWhateverTheNextOneSays) {
  auto log = Open();
  ASSERT_TRUE(Append(*log, "before").ok());
  disk_.Break(SimulatedDisk::Operation::kSync, "-wal", SQLITE_IOERR_FSYNC);
  EXPECT_EQ(ReasonOf(Append(*log, "during").status()), reason::kStoreUnavailable);
  disk_.Repair();
  const auto refused = Append(*log, "later");
  EXPECT_EQ(ReasonOf(refused.status()), reason::kStoreUnavailable);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("restart"));
  disk_.CutPower();
  log.reset();
  disk_.Restart(random_);
  log = Open();
  EXPECT_TRUE(log->Find("openai", "before").ok());
  EXPECT_TRUE(Append(*log, "after").ok());
}

TEST_F(DiskFaultTest, FailedWriteIsNotAnsweredOk) {
  auto log = Open();
  ASSERT_TRUE(Append(*log, "before").ok());
  disk_.Break(SimulatedDisk::Operation::kWrite, "-wal", SQLITE_IOERR_WRITE);
  EXPECT_EQ(ReasonOf(Append(*log, "during").status()), reason::kStoreUnavailable);
  EXPECT_FALSE(log->Health().ok());
  disk_.Repair();
  log.reset();
  log = Open();
  EXPECT_TRUE(log->Find("openai", "before").ok());
  EXPECT_TRUE(log->Health().ok());
}

TEST_F(DiskFaultTest, UnreadableDiskIsAnErrorOfTheQueryAlone) {
  {
    auto log = Open();
    ASSERT_TRUE(Append(*log, "before").ok());
  }
  auto log = Open();
  disk_.Break(SimulatedDisk::Operation::kRead, "events.db", SQLITE_IOERR_READ);
  EXPECT_FALSE(log->Find("openai", "before").ok());
  disk_.Repair();
  EXPECT_TRUE(log->Find("openai", "before").ok());
}

TEST_F(DiskFaultTest, DamagedHeaderIsRefusedAtTheStart) {
  {
    auto log = Open();
    ASSERT_TRUE(Append(*log, "before").ok());
  }
  ASSERT_TRUE(disk_.Damage("events.db", 3));
  const auto log = SqliteEventLog::Open({.data_dir = folder_}, nullptr);
  EXPECT_TRUE(absl::IsDataLoss(log.status())) << log.status();
}

// With the real disk and a real process.
class StartOnTest : public testing::Test {
 protected:
  ProgramOutcome Start() {
    return RunProgram(kHookgated,
                      {"--http_address=127.0.0.1:0", "--grpc_address=127.0.0.1:0",
                       "--admin_address=127.0.0.1:0", absl::StrCat("--data_dir=", folder_)},
                      {absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)});
  }
  void ExpectRefused(const std::string& part, int exit_code = 1) {
    const ProgramOutcome outcome = Start();
    EXPECT_EQ(outcome.exit_code, exit_code);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(folder_));
    EXPECT_THAT(outcome.err, HasSubstr(part));
  }
  void WriteDatabase(const std::string& content) {
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/events.db") << content;
  }

  const std::string folder_ = FreshTestFolder();
};

TEST_F(StartOnTest, FileThatIsNoDatabaseIsRefused) {
  WriteDatabase(std::string(10'000, 'x'));
  ExpectRefused("not a database");
}

TEST_F(StartOnTest, DatabaseOfAnotherApplicationIsRefused) {
  std::filesystem::create_directories(folder_);
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ + "/events.db").c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "CREATE TABLE t (x); PRAGMA user_version = 1", nullptr, nullptr,
                         nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  ExpectRefused("another data folder");
}

TEST_F(StartOnTest, LogOfANewerHookgatedIsRefused) {
  OpenTemporaryLog(nullptr, folder_).reset();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((folder_ + "/events.db").c_str(), &database), SQLITE_OK);
  ASSERT_EQ(
      sqlite3_exec(database,
                   "UPDATE compatibility SET oldest_schema = 1000; PRAGMA user_version = 1000",
                   nullptr, nullptr, nullptr),
      SQLITE_OK);
  sqlite3_close(database);
  ExpectRefused("newer hookgated");
}

TEST_F(StartOnTest, FolderThatIsAFileIsRefused) {
  std::ofstream(folder_) << "a file";
  ExpectRefused("is a file; name a folder", /*exit_code=*/2);
}

}  // namespace
}  // namespace hookgate
