#include "server/restore/snapshot_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/restore/restore_log.h"
#include "server/store/database.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// A log that is open, as that of a replica which runs, with 3 events.
class SnapshotLogTest : public testing::Test {
 protected:
  SnapshotLogTest() : log_(OpenTemporaryLog(nullptr, folder_)) {
    for (int i = 0; i < 3; ++i) AppendSoundEvent(*log_);
    fs::create_directories(copies_);
  }

  void BecomeAReplica() {
    const auto database = *Database::Open(folder_ + "/events.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(database
                    ->Execute("INSERT INTO replica (id, cluster, genesis, applied, term, writer, "
                              "hash) VALUES (1, 'hooks', 'g', 17, 2, 3, x'00')")
                    .ok());
  }
  absl::StatusOr<SnapshotReport> Snapshot() const {
    return SnapshotLog({.data_dir = folder_, .file = copy_});
  }

  const std::string folder_ = FreshTestFolder();
  const std::string copies_ = FreshTestFolder();
  const std::string copy_ = copies_ + "/copy.db";
  std::unique_ptr<EventLog> log_;
};

TEST_F(SnapshotLogTest, ACopyOfAReplicaThatRunsIsWhatAnotherOneBeginsWith) {
  BecomeAReplica();
  const auto snapshot = Snapshot();
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ(snapshot->cluster, "hooks");
  EXPECT_EQ(snapshot->head, 3);
  EXPECT_EQ(snapshot->applied, 17);
  EXPECT_EQ(snapshot->bytes, static_cast<int64_t>(fs::file_size(copy_)));
  EXPECT_THAT(ReportText(*snapshot), AllOf(HasSubstr("a replica of cluster hooks, epoch "),
                                           HasSubstr(": events up to 3, up to record 17")));
  struct stat file = {};
  ASSERT_EQ(stat(copy_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u) << "bodies of webhooks are in it";
  EXPECT_FALSE(fs::exists(copy_ + ".partial"));
  // What is stored meanwhile is not in it.
  AppendSoundEvent(*log_);

  const std::string other = FreshTestFolder();
  const auto report =
      RestoreLog({.file = copy_, .data_dir = other, .as_replica = true, .now = absl::Now()});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->cluster, "hooks");
  EXPECT_EQ(report->applied, 17);
  EXPECT_EQ(report->log.head_sequence, 3);
  EXPECT_EQ(report->log.epoch, snapshot->epoch);
}

TEST_F(SnapshotLogTest, WhatIsThereStaysAsItIs) {
  BecomeAReplica();
  std::ofstream(copy_) << "mine";
  EXPECT_TRUE(absl::IsAlreadyExists(Snapshot().status())) << Snapshot().status();
  EXPECT_EQ(fs::file_size(copy_), 4u);
  fs::remove(copy_);
  fs::create_symlink("/nowhere", copy_);
  EXPECT_TRUE(absl::IsAlreadyExists(Snapshot().status())) << Snapshot().status();
  fs::remove(copy_);
  std::ofstream(copy_ + ".partial") << "of another one";
  const absl::Status partial = Snapshot().status();
  EXPECT_TRUE(absl::IsAlreadyExists(partial)) << partial;
  EXPECT_THAT(std::string(partial.message()), HasSubstr("did not come to its end"));
  EXPECT_EQ(fs::file_size(copy_ + ".partial"), 14u);
  EXPECT_FALSE(fs::exists(copy_));
}

TEST_F(SnapshotLogTest, WhatCannotBeCopiedLeavesNothing) {
  const absl::Status own = Snapshot().status();
  EXPECT_TRUE(absl::IsInvalidArgument(own)) << own;
  EXPECT_THAT(std::string(own.message()), HasSubstr("an event log of its own"));
  EXPECT_TRUE(fs::is_empty(copies_));
  const absl::Status nowhere = SnapshotLog({.data_dir = copies_, .file = copy_}).status();
  EXPECT_TRUE(absl::IsNotFound(nowhere)) << nowhere;
  BecomeAReplica();
  const absl::Status no_folder =
      SnapshotLog({.data_dir = folder_, .file = copies_ + "/none/copy.db"}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(no_folder)) << no_folder;
  EXPECT_TRUE(fs::is_empty(copies_));
}

// Somebody has named a folder of something else, or the log in it is damaged.
TEST_F(SnapshotLogTest, WhatIsNotADatabaseIsNamedWithWhatWouldBeRight) {
  const std::string other = FreshTestFolder();
  fs::create_directories(other);
  const auto refusal = [&] { return SnapshotLog({.data_dir = other, .file = copy_}).status(); };
  std::ofstream(other + "/events.db") << "a text for people, however long one reads in it: no log";
  const absl::Status text = refusal();
  EXPECT_TRUE(absl::IsDataLoss(text)) << text;
  EXPECT_THAT(std::string(text.message()),
              AllOf(HasSubstr(other + "/events.db cannot be copied: "),
                    HasSubstr("DATA_DIR has to be the data folder of a replica"),
                    HasSubstr("hookgate fsck")));
  fs::remove(other + "/events.db");
  ASSERT_TRUE((*Database::Open(other + "/events.db", Database::Mode::kCreate))
                  ->Execute("CREATE TABLE mine (id); PRAGMA user_version = 1")
                  .ok());
  const absl::Status foreign = refusal();
  EXPECT_TRUE(absl::IsFailedPrecondition(foreign)) << foreign;
  EXPECT_THAT(
      std::string(foreign.message()),
      AllOf(HasSubstr(other + "/events.db cannot be copied: "), HasSubstr("not one of Hookgate's"),
            HasSubstr("DATA_DIR has to be the data folder of a replica")));
  EXPECT_TRUE(fs::is_empty(copies_));
}

// The folder of another cluster, or one that has more, is not replaced in passing; and a log that
// is no replica's is never made one.
TEST_F(SnapshotLogTest, AReseedRefusesWhatWouldLoseSomething) {
  const auto reseed = [&](bool force) {
    return RestoreLog({.file = copy_,
                       .data_dir = folder_,
                       .force = force,
                       .as_replica = true,
                       .now = absl::Now()})
        .status();
  };
  const absl::Status no_replica = RestoreLog({.file = BackUpLog(folder_) + "/events.db",
                                              .data_dir = FreshTestFolder(),
                                              .force = true,
                                              .as_replica = true,
                                              .now = absl::Now()})
                                      .status();
  EXPECT_TRUE(absl::IsInvalidArgument(no_replica)) << no_replica;
  EXPECT_THAT(std::string(no_replica.message()), HasSubstr("is not of a replica"));
  BecomeAReplica();
  ASSERT_TRUE(Snapshot().ok());
  AppendSoundEvent(*log_);
  EXPECT_THAT(std::string(reseed(false).message()), HasSubstr("is in use by another hookgated"));
  log_ = nullptr;
  EXPECT_THAT(std::string(reseed(false).message()),
              HasSubstr("which is newer than the backup, which ends at event 3"));
  EXPECT_TRUE(reseed(true).ok()) << "in so many words it may be";
}

}  // namespace
}  // namespace hookgate
