#include "server/config/file_permissions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FilePermissionsTest : public testing::Test {
 protected:
  std::vector<std::string> WarningsOf(mode_t mode, FileUse use) {
    EXPECT_EQ(chmod(path_.c_str(), mode), 0);
    Problems problems;
    CheckPermissions(path_, use, "key", problems);
    EXPECT_TRUE(problems.ok());
    return problems.warnings();
  }

  const std::string folder_ = [] {
    std::string folder = FreshTestFolder();
    std::filesystem::create_directories(folder);
    return folder;
  }();
  const std::string path_ = [this] {
    std::string path = folder_ + "/file";
    std::ofstream(path) << "x";
    return path;
  }();
};

TEST_F(FilePermissionsTest, SecretIsItsOwnersAlone) {
  EXPECT_THAT(WarningsOf(0600, FileUse::kSecret), IsEmpty());
  EXPECT_THAT(WarningsOf(0400, FileUse::kSecret), IsEmpty());
  EXPECT_THAT(WarningsOf(0644, FileUse::kSecret),
              ElementsAre(absl::StrCat("key: ", path_, " has the mode 0644: every user of this ",
                                       "machine may read it; chmod 600 ", path_)));
  EXPECT_THAT(WarningsOf(0640, FileUse::kSecret), ElementsAre(HasSubstr("its group may read it")));
  EXPECT_THAT(WarningsOf(0660, FileUse::kSecret), ElementsAre(HasSubstr("group may change")));
  EXPECT_THAT(WarningsOf(0602, FileUse::kSecret), ElementsAre(HasSubstr("user of this machine")));
}

TEST_F(FilePermissionsTest, WhatIsTrustedMayBeReadAndNotChanged) {
  EXPECT_THAT(WarningsOf(0644, FileUse::kTrust), IsEmpty());
  EXPECT_THAT(WarningsOf(0664, FileUse::kTrust), ElementsAre(HasSubstr("chmod go-w")));
  EXPECT_THAT(WarningsOf(0646, FileUse::kTrust), ElementsAre(HasSubstr("may change it")));
}

TEST_F(FilePermissionsTest, DataFolderAndWhatIsInItAreLookedAt) {
  std::ofstream(folder_ + "/events.db") << "x";
  chmod((folder_ + "/events.db").c_str(), 0644);
  chmod(folder_.c_str(), 0755);
  Problems problems;
  CheckDataFolderPermissions(folder_, problems);
  EXPECT_THAT(problems.warnings(), ElementsAre(HasSubstr("chmod 700 " + folder_),
                                               HasSubstr("events.db has the mode 0644")));
  chmod((folder_ + "/events.db").c_str(), 0600);
  chmod(folder_.c_str(), 0750);
  Problems none;
  CheckDataFolderPermissions(folder_, none);
  EXPECT_THAT(none.warnings(), IsEmpty());
}

TEST_F(FilePermissionsTest, WhatIsNotThereIsNotWarnedOf) {
  Problems problems;
  CheckPermissions(folder_ + "/none", FileUse::kSecret, "key", problems);
  CheckPermissions("", FileUse::kSecret, "key", problems);
  CheckPermissions("/dev/null", FileUse::kSecret, "key", problems);
  CheckDataFolderPermissions(folder_ + "/none", problems);
  EXPECT_THAT(problems.warnings(), IsEmpty());
}

}  // namespace
}  // namespace hookgate
