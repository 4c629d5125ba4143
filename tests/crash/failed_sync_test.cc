// A failed sync, then a restart without a power cut.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <random>

#include "absl/status/statusor.h"
#include "tests/crash/simulated_disk.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using Operation = SimulatedDisk::Operation;

absl::StatusOr<AppendResult> AppendLarge(EventLog& log, const std::string& webhook_id) {
  return TryAppend(log, {.webhook_id = webhook_id, .raw_body = std::string(10'000, 'x')});
}

class FailedSyncTest : public testing::Test {
 protected:
  SimulatedDisk disk_;
  const std::string folder_ = FreshTestFolder();
  std::mt19937_64 random_{1};
};

// After a failed sync the process was killed and started again, with the machine up all the time:
// the write-ahead log read well from the page cache, and had a hole on the disk. Whatever was
// appended behind the hole was synced, answered OK, and out of reach after the next power cut.
TEST_F(FailedSyncTest, WhatIsAnsweredAfterAFailedSyncAndARestartSurvivesAPowerCut) {
  auto log = OpenTemporaryLog(nullptr, folder_);
  ASSERT_TRUE(AppendLarge(*log, "before").ok());
  disk_.Break(Operation::kSync, "-wal", SQLITE_IOERR_FSYNC);
  EXPECT_FALSE(AppendLarge(*log, "failed").ok());
  disk_.Repair();
  // Killed: nothing is tidied up, which a failing disk ensures here.
  disk_.Break(Operation::kWrite, "", SQLITE_IOERR_WRITE);
  log.reset();
  disk_.Repair();
  log = OpenTemporaryLog(nullptr, folder_);
  ASSERT_TRUE(AppendLarge(*log, "after").ok());
  disk_.CutPower();
  log.reset();
  disk_.Restart(random_);
  log = OpenTemporaryLog(nullptr, folder_);
  EXPECT_TRUE(log->Find("openai", "before").ok());
  EXPECT_TRUE(log->Find("openai", "after").ok()) << "answered OK, and lost";
}

}  // namespace
}  // namespace hookgate
