#include "client/cursor_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;

class FileCursorStoreTest : public testing::Test {
 protected:
  FileCursorStoreTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  void Write(const std::string& content) { std::ofstream(path_, std::ios::binary) << content; }

  const std::string folder_ =
      testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
  const std::string path_ = folder_ + "/cursor";
  FileCursorStore store_{path_};
};

TEST_F(FileCursorStoreTest, LoadsNothingWhenThereIsNoFile) {
  const auto cursor = store_.Load();
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  EXPECT_FALSE(cursor->has_value());
}

TEST_F(FileCursorStoreTest, LoadsTheCursorSavedLast) {
  ASSERT_TRUE(store_.Save("first").ok());
  ASSERT_TRUE(store_.Save("second").ok());
  const auto cursor = FileCursorStore(path_).Load();
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  EXPECT_EQ(cursor->value_or("none"), "second");
}

TEST_F(FileCursorStoreTest, SavingLeavesNoOtherFileBehind) {
  ASSERT_TRUE(store_.Save("cursor").ok());
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    EXPECT_EQ(entry.path().string(), path_);
    ++files;
  }
  EXPECT_EQ(files, 1);
}

TEST_F(FileCursorStoreTest, OverwritesWhatACrashLeftWhileSaving) {
  std::ofstream(path_ + ".tmp") << "half a cur";
  ASSERT_TRUE(store_.Save("cursor").ok());
  EXPECT_EQ(store_.Load()->value_or("none"), "cursor");
}

// The link was replaced by a file, and the one that it led to, on the disk that is kept, stayed as
// it was.
TEST_F(FileCursorStoreTest, ALinkIsFollowedAndStays) {
  namespace fs = std::filesystem;
  fs::create_directories(folder_ + "/kept");
  const std::string kept = folder_ + "/kept/cursor";
  fs::create_symlink("kept/second", path_);  // Relative, to another one, to what is not there yet.
  fs::create_symlink(kept, folder_ + "/kept/second");
  EXPECT_FALSE(store_.Load()->has_value());
  for (const char* cursor : {"first", "second"}) {
    ASSERT_TRUE(store_.Save(cursor).ok());
    EXPECT_TRUE(fs::is_symlink(path_));
    EXPECT_TRUE(fs::is_symlink(folder_ + "/kept/second"));
    EXPECT_EQ(FileCursorStore(kept).Load()->value_or("none"), cursor);
    EXPECT_EQ(store_.Load()->value_or("none"), cursor);
  }
}

TEST_F(FileCursorStoreTest, LinksInACircleAreAnError) {
  std::filesystem::create_symlink("cursor", path_);
  EXPECT_THAT(std::string(store_.Save("cursor").message()), HasSubstr(path_));
}

TEST_F(FileCursorStoreTest, ALinkInPlaceOfTheTemporaryFileIsNotFollowed) {
  Write("old\n");
  std::ofstream(folder_ + "/precious") << "precious";
  std::filesystem::create_symlink("precious", path_ + ".tmp");
  EXPECT_FALSE(store_.Save("new").ok());
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/precious"), 8u);
  EXPECT_EQ(store_.Load()->value_or("none"), "old");
}

// A named pipe in the place of the file was waited for, by a process that SIGTERM did not end.
TEST_F(FileCursorStoreTest, OnlyAPlainFileIsRead) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  for (const std::string& path : {folder_, std::string("/dev/null"), path_}) {
    const auto cursor = FileCursorStore(path).Load();
    EXPECT_EQ(cursor.status().code(), absl::StatusCode::kFailedPrecondition) << path;
    EXPECT_THAT(std::string(cursor.status().message()), HasSubstr(path));
  }
}

TEST_F(FileCursorStoreTest, EmptyFileIsAnErrorThatSaysSo) {
  Write("");
  const auto cursor = store_.Load();
  EXPECT_EQ(cursor.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(cursor.status().message()), HasSubstr(path_ + " is empty"));
}

TEST_F(FileCursorStoreTest, DamagedFileIsAnErrorThatSaysSo) {
  for (const std::string& content :
       {std::string("cut-off"), std::string("two\nlines\n"), std::string("\0\0\0\n", 4),
        std::string("a b\n"), std::string(5000, 'x') + "\n"}) {
    Write(content);
    const auto cursor = store_.Load();
    EXPECT_EQ(cursor.status().code(), absl::StatusCode::kDataLoss) << content;
    EXPECT_THAT(std::string(cursor.status().message()), HasSubstr("is damaged")) << content;
  }
}

TEST_F(FileCursorStoreTest, RefusesToSaveWhatItCouldNotLoad) {
  EXPECT_EQ(store_.Save("").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_.Save("a\nb").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(FileCursorStoreTest, SavingIntoAMissingFolderNamesTheFile) {
  const absl::Status status = FileCursorStore(folder_ + "/none/cursor").Save("cursor");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/none/cursor"));
}

}  // namespace
}  // namespace hookgate
