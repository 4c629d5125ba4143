#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "tests/support/temporary_log.h"

namespace hookgate::cli {
namespace {

using ::testing::HasSubstr;

class FsckCommandTest : public CliTest {
 protected:
  FsckCommandTest() { OpenTemporaryLog(nullptr, folder_).reset(); }

  void Damage() {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open((folder_ + "/events.db").c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, "DROP INDEX other_events_by_time", nullptr, nullptr, nullptr),
              SQLITE_OK);
    sqlite3_close(database);
  }

  const std::string folder_ = FreshTestFolder();
};

TEST_F(FsckCommandTest, SoundLog) {
  const Outcome outcome = Run({"fsck", folder_});
  EXPECT_EQ(outcome.exit_code, kSuccess) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("events         0"));
  EXPECT_THAT(outcome.out, HasSubstr("sound"));
  EXPECT_EQ(outcome.err, "");
}

TEST_F(FsckCommandTest, DamagedLog) {
  Damage();
  const Outcome outcome = Run({"fsck", folder_});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out,
              HasSubstr("FOUND          events.db: the table or index other_events_by_time "
                        "is missing"));
}

TEST_F(FsckCommandTest, DamagedLogAsJson) {
  Damage();
  const Outcome outcome = Run({"fsck", folder_, "--output", "json"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out, HasSubstr(R"("sound":false)"));
  EXPECT_THAT(outcome.out, HasSubstr(R"("findings":[{"where":"events.db","what":)"));
}

TEST_F(FsckCommandTest, LogInUseIsNotChecked) {
  const auto log = OpenTemporaryLog(nullptr, folder_);
  const Outcome outcome = Run({"fsck", folder_});
  EXPECT_EQ(outcome.exit_code, kNotChecked);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("is in use by another hookgated"));
}

TEST_F(FsckCommandTest, FolderWithoutALogIsNotChecked) {
  const std::string folder = FreshTestFolder();
  const Outcome missing = Run({"fsck", folder});
  EXPECT_EQ(missing.exit_code, kNotChecked);
  EXPECT_THAT(missing.err, HasSubstr("there is no file or folder"));
  std::filesystem::create_directory(folder);
  const Outcome outcome = Run({"fsck", folder});
  EXPECT_EQ(outcome.exit_code, kNotChecked);
  EXPECT_THAT(outcome.err, HasSubstr("there is no log in"));
  EXPECT_TRUE(std::filesystem::is_empty(folder)) << "a lock was left in it";
}

TEST_F(FsckCommandTest, FolderMustBeNamed) { EXPECT_EQ(Run({"fsck"}).exit_code, kWrongUsage); }

TEST_F(FsckCommandTest, FolderIsTakenFromWhereTheCommandWasTyped) {
  const size_t slash = folder_.rfind('/');
  variables_["BUILD_WORKING_DIRECTORY"] = folder_.substr(0, slash);
  EXPECT_EQ(Run({"fsck", folder_.substr(slash + 1)}).exit_code, kSuccess);
}

}  // namespace
}  // namespace hookgate::cli
