#include "server/store/wal_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/store/database.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr size_t kHeader = 32;
constexpr size_t kFrame = 24 + 4096;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::unique_ptr<Database> OpenOrDie(const std::string& path) {
  auto database = Database::Open(path, Database::Mode::kCreate);
  EXPECT_TRUE(database.ok()) << database.status();
  return *std::move(database);
}

// A database of which somebody took a copy while it was open: as a power cut leaves it.
class WalCheckTest : public testing::Test {
 protected:
  WalCheckTest()
      : path_(absl::StrCat(testing::TempDir(), "/wal_check_", getpid(), "_", ++count_)),
        copy_(path_ + "_copy"),
        database_(OpenOrDie(path_)) {
    Run("CREATE TABLE t (id INTEGER PRIMARY KEY, x)");
  }

  void Run(const std::string& sql) {
    const absl::Status status = database_->Execute(sql);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Insert(int rows) {
    for (int i = 0; i < rows; ++i) Run("INSERT INTO t (x) VALUES (randomblob(3000))");
  }
  std::string Wal() { return ReadFile(path_ + "-wal"); }

  absl::StatusOr<int64_t> CheckWith(const std::string& wal) {
    for (const char* const suffix : {"", "-wal", "-shm"}) fs::remove(copy_ + suffix);
    fs::copy_file(path_, copy_);
    WriteFile(copy_ + "-wal", wal);
    return CheckWriteAheadLog(copy_);
  }
  // Rows that are found with what CheckWith() has written; -1: it cannot be opened.
  int64_t Rows() {
    const auto database = Database::Open(copy_, Database::Mode::kReadWrite);
    if (!database.ok()) return -1;
    auto statement = (*database)->Prepare("SELECT count(*) FROM t");
    if (!statement.ok() || !statement->Step().value_or(false)) return -1;
    return statement->ColumnInt(0);
  }

  // What is found with it, and whether it is sound.
  std::string Content() {
    const auto database = Database::Open(copy_, Database::Mode::kReadWrite);
    if (!database.ok()) return "";
    std::string content;
    for (const char* const sql :
         {"PRAGMA quick_check", "SELECT count(*) FROM t", "SELECT x FROM one"}) {
      auto statement = (*database)->Prepare(sql);
      if (!statement.ok() || !statement->Step().value_or(false)) return "";
      absl::StrAppend(&content, statement->ColumnText(0), " ");
    }
    return content;
  }

  static int count_;
  const std::string path_;
  const std::string copy_;
  std::unique_ptr<Database> database_;
};

int WalCheckTest::count_ = 0;

// A young log, all of which was in its write-ahead log, was found empty after one damaged byte, and
// the next start wrote over what it had acknowledged.
TEST_F(WalCheckTest, NoDamagedByteTakesCommitsAwayInSilence) {
  constexpr int kRows = 8;
  Insert(kRows);
  const std::string wal = Wal();
  ASSERT_TRUE(CheckWith(wal).ok());
  ASSERT_EQ(Rows(), kRows);
  for (size_t at = 0; at < wal.size(); at += at < kHeader + 24 ? 1 : 61) {
    std::string damaged = wal;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    const absl::Status status = CheckWith(damaged).status();
    if (absl::IsDataLoss(status)) continue;
    ASSERT_TRUE(status.ok()) << status;
    // The last commit, which a power cut may have torn.
    EXPECT_GE(Rows(), kRows - 1) << "byte " << at << " of " << wal.size();
  }
  // Each byte of the heads of all frames.
  for (size_t frame = 0; kHeader + frame * kFrame < wal.size(); ++frame) {
    for (size_t at = 0; at < 24; ++at) {
      std::string damaged = wal;
      char& byte = damaged[kHeader + frame * kFrame + at];
      byte = static_cast<char>(byte ^ 0x80);
      const absl::Status status = CheckWith(damaged).status();
      if (absl::IsDataLoss(status)) continue;
      ASSERT_TRUE(status.ok()) << status;
      EXPECT_GE(Rows(), kRows - 1) << "byte " << at << " of frame " << frame;
    }
  }
}

TEST_F(WalCheckTest, DamageSaysWhereItIsAndHowToGoOnWithoutABackup) {
  Insert(6);
  const std::string wal = Wal();
  std::string damaged = wal;
  const size_t frame = (wal.size() - kHeader) / kFrame / 2;
  damaged[kHeader + frame * kFrame + 100] ^= 1;
  const std::string message(CheckWith(damaged).status().message());
  const size_t end = kHeader + frame * kFrame;
  EXPECT_THAT(message, HasSubstr(absl::StrCat("is damaged at byte ", end)));
  EXPECT_THAT(message, HasSubstr(absl::StrCat("(truncate -s ", end, " events.db-wal)")));
  // What it advises.
  EXPECT_TRUE(CheckWith(damaged.substr(0, end)).ok());
  EXPECT_GT(Rows(), 0);
}

// Only the commit that was being written may be missing parts, in any order.
TEST_F(WalCheckTest, ACommitThatAPowerCutHasTornIsNoDamage) {
  Insert(5);
  const std::string before = Wal();
  Run("INSERT INTO t (x) SELECT randomblob(3000) FROM t");
  const std::string wal = Wal();
  ASSERT_GT(wal.size(), before.size() + 3 * kFrame);
  constexpr size_t kSector = 512;
  for (size_t at = before.size(); at < wal.size(); at += kSector) {
    EXPECT_TRUE(CheckWith(wal.substr(0, at)).ok()) << "cut at " << at;
    EXPECT_EQ(Rows(), 5);
    std::string torn = wal;
    torn.replace(at, kSector, kSector, '\0');
    torn.resize(wal.size());
    EXPECT_TRUE(CheckWith(torn).ok()) << "not written at " << at;
  }
}

// What was lost of a torn commit is what an earlier round of the log had there: the beginning of a
// frame's head, with the mark of a commit, and the rest of it of the new one.
TEST_F(WalCheckTest, ATornCommitOverAnEarlierRoundIsNoDamage) {
  // A frame begins 8 bytes before the end of a page, and of a sector.
  constexpr size_t kPage = 4096;
  constexpr size_t kFrames = 169;
  static_assert((kHeader + kFrames * kFrame) % kPage == kPage - 8);
  Run("CREATE TABLE one (id INTEGER PRIMARY KEY, x); INSERT INTO one VALUES (1, 0)");
  const auto commit = [this] { Run("UPDATE one SET x = x + 1"); };  // a frame
  for (int i = 0; i < 400; ++i) commit();
  ASSERT_TRUE(database_->Checkpoint(Database::CheckpointMode::kRestart).ok());
  commit();
  int64_t used = *CheckWith(Wal());
  while (used < static_cast<int64_t>(kHeader + kFrames * kFrame)) {
    commit();
    used += kFrame;
  }
  const std::string before = Wal();
  ASSERT_EQ(*CheckWith(before), static_cast<int64_t>(kHeader + kFrames * kFrame));
  Run("INSERT INTO t (x) VALUES (randomblob(60000))");  // one commit of many frames
  const std::string wal = Wal();
  ASSERT_EQ(wal.size(), before.size());
  const auto end = static_cast<size_t>(*CheckWith(wal));
  ASSERT_GT(end, kHeader + (kFrames + 10) * kFrame);
  for (const size_t block : {size_t{512}, kPage}) {
    for (size_t at = (kHeader + kFrames * kFrame) / block * block; at < end; at += block) {
      std::string torn = wal;
      torn.replace(at, block, before, at, block);
      if (torn == wal) continue;
      EXPECT_TRUE(CheckWith(torn).ok()) << "not written: " << block << " bytes at " << at;
      EXPECT_EQ(Rows(), 0);
    }
  }
}

// Once commits had been moved, a damaged byte put the older pages in front of it over the newer
// ones: of one that stood last as well, and of a replica.
TEST_F(WalCheckTest, WhatTheDatabaseHasAlreadyIsNotPutBack) {
  Run("CREATE TABLE replica (id)");
  for (const bool is_replica : {false, true}) {
    if (is_replica) Run("INSERT INTO replica VALUES (1)");
    Insert(5);
    ASSERT_TRUE(database_->Checkpoint(Database::CheckpointMode::kTruncate).ok());
    Insert(5);
    const size_t last = Wal().size();
    Run("INSERT INTO t (x) SELECT randomblob(3000) FROM t LIMIT 4");
    ASSERT_TRUE(database_->Checkpoint(Database::CheckpointMode::kPassive).ok());
    std::string damaged = Wal();
    ASSERT_GE(damaged.size(), last + 3 * kFrame);
    ASSERT_TRUE(CheckWith(damaged).ok());
    damaged[last + 100] = static_cast<char>(damaged[last + 100] ^ 1);
    EXPECT_TRUE(absl::IsDataLoss(CheckWith(damaged).status())) << is_replica;
  }
}

// The same of the last frame of all, which nothing stands behind: of a commit of one frame, and of
// more.
TEST_F(WalCheckTest, WhatTheDatabaseHasAlreadyIsNotPutBackByItsLastFrame) {
  Run("CREATE TABLE one (id INTEGER PRIMARY KEY, x); INSERT INTO one VALUES (1, 0)");
  for (const bool is_one_frame : {true, false}) {
    ASSERT_TRUE(database_->Checkpoint(Database::CheckpointMode::kTruncate).ok());
    for (int i = 0; i < 3; ++i) Run("UPDATE one SET x = x + 1");
    Insert(3);
    if (is_one_frame) Run("UPDATE one SET x = x + 1");
    // As long as somebody reads, the log does not begin again.
    const auto reader = Database::Open(path_, Database::Mode::kReadWrite);
    ASSERT_TRUE(reader.ok()) << reader.status();
    ASSERT_TRUE((*reader)->Execute("BEGIN; SELECT * FROM one").ok());
    ASSERT_EQ(*database_->Checkpoint(Database::CheckpointMode::kPassive), 0);
    const std::string wal = Wal();
    const auto end = static_cast<size_t>(*CheckWith(wal));
    const std::string content = Content();
    const size_t begin = end - (is_one_frame ? 1 : 2) * kFrame;
    int found = 0;
    for (size_t at = begin; at < end; at += (at - begin) % kFrame < 24 ? 1 : 127) {
      for (const int bit : {0, 7}) {
        std::string damaged = wal;
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
        const absl::Status status = CheckWith(damaged).status();
        found += absl::IsDataLoss(status) ? 1 : 0;
        if (!status.ok()) continue;
        EXPECT_EQ(Content(), content) << "byte " << at << ", the frame begins at " << begin;
      }
    }
    EXPECT_GT(found, 0);
    std::string damaged = wal;
    damaged.replace(end - 4096, 4096, 4096, 'x');
    EXPECT_TRUE(absl::IsDataLoss(CheckWith(damaged).status())) << "the whole page";
    // What a power cut leaves of a commit that follows.
    Run("UPDATE one SET x = x + 1");
    const std::string next = Wal();
    ASSERT_EQ(*CheckWith(next), static_cast<int64_t>(end + kFrame));
    for (size_t at = end; at < end + kFrame; at += 512) {
      std::string torn = next;
      torn.replace(at, 512, 512, '\0');
      torn.resize(next.size());
      if (torn == next) continue;
      EXPECT_TRUE(CheckWith(torn).ok()) << at - end;
      EXPECT_EQ(Content(), content);
    }
  }
}

// Each round begins with the same page: what a power cut leaves of its frame behind the new head is
// what the database has.
TEST_F(WalCheckTest, ATornFrameOverThatOfTheSamePageIsNoDamage) {
  Run("CREATE TABLE one (id INTEGER PRIMARY KEY, x, y); INSERT INTO one VALUES (1, 0, "
      "zeroblob(3000))");
  for (const int last : {1, 6}) {
    ASSERT_TRUE(database_->Checkpoint(Database::CheckpointMode::kTruncate).ok());
    for (int i = 0; i < 6; ++i) Run("UPDATE one SET x = x + 1");
    ASSERT_EQ(*database_->Checkpoint(Database::CheckpointMode::kPassive), 0);
    const std::string moved = Wal();
    for (int i = 0; i < last; ++i) Run("UPDATE one SET x = x + 1");
    const std::string wal = Wal();
    ASSERT_EQ(wal.size(), moved.size());
    const size_t begin = kHeader + static_cast<size_t>(last - 1) * kFrame;
    for (size_t kept = begin / 512 * 512 + 512; kept < begin + kFrame; kept += 512) {
      std::string torn = wal;  // what is behind `kept` was not written
      torn.replace(kept, std::string::npos, moved, kept);
      EXPECT_TRUE(CheckWith(torn).ok()) << last << ": " << kept - begin;
    }
  }
}

// The same of a commit of more frames.
TEST_F(WalCheckTest, ATornCommitOverThatOfTheSamePagesIsNoDamage) {
  Run("CREATE TABLE one (id INTEGER PRIMARY KEY, x, y); INSERT INTO one VALUES (1, 0, "
      "zeroblob(3000))");
  Run("CREATE TABLE two (id INTEGER PRIMARY KEY, x, y); INSERT INTO two VALUES (1, 0, "
      "zeroblob(3000))");
  const auto commit = [this] {
    Run("BEGIN; UPDATE one SET x = x + 1; UPDATE two SET x = x + 1; COMMIT");
  };
  ASSERT_TRUE(database_->Checkpoint(Database::CheckpointMode::kTruncate).ok());
  for (int i = 0; i < 3; ++i) commit();
  ASSERT_EQ(*database_->Checkpoint(Database::CheckpointMode::kPassive), 0);
  const std::string moved = Wal();
  ASSERT_EQ(moved.size(), kHeader + 6 * kFrame);
  for (int i = 0; i < 3; ++i) commit();
  const std::string wal = Wal();
  const size_t begin = kHeader + 4 * kFrame;
  // Each of the two frames: nothing, its head, or all of it was written.
  const size_t kept[] = {0, 512, kFrame};
  for (const size_t first : kept) {
    for (const size_t second : kept) {
      if (first + second == 2 * kFrame) continue;
      std::string torn = wal;
      torn.replace(begin + first, kFrame - first, moved, begin + first, kFrame - first);
      torn.replace(begin + kFrame + second, kFrame - second, moved, begin + kFrame + second,
                   kFrame - second);
      EXPECT_TRUE(CheckWith(torn).ok()) << first << " and " << second;
    }
  }
}

// A replica applies what it has lost again; it would have been kept from starting after a power
// cut.
TEST_F(WalCheckTest, CommitsOfAReplicaMayBeTornAnywhere) {
  Run("CREATE TABLE replica (id)");
  ASSERT_EQ(*database_->Checkpoint(Database::CheckpointMode::kTruncate), 0);
  Insert(1);
  const size_t first = Wal().size();
  Insert(5);
  std::string torn = Wal();
  torn.replace(first, 512, 512, '\0');
  EXPECT_TRUE(absl::IsDataLoss(CheckWith(torn).status()));
  Run("INSERT INTO replica VALUES (1)");
  ASSERT_EQ(*database_->Checkpoint(Database::CheckpointMode::kTruncate), 0);
  Insert(1);
  const size_t second = Wal().size();
  Insert(5);
  torn = Wal();
  torn.replace(second, 512, 512, '\0');
  const absl::StatusOr<int64_t> used = CheckWith(torn);
  ASSERT_TRUE(used.ok()) << used.status();
  EXPECT_EQ(*used, static_cast<int64_t>(second));
  EXPECT_EQ(Rows(), 7);
  torn[20] = static_cast<char>(torn[20] ^ 1);
  EXPECT_TRUE(absl::IsDataLoss(CheckWith(torn).status())) << "its header is synced all the same";
}

// It begins again in place: what stands behind is of before.
TEST_F(WalCheckTest, WhatIsLeftOfAnEarlierRoundIsNoDamage) {
  Insert(20);
  ASSERT_EQ(*database_->Checkpoint(Database::CheckpointMode::kRestart), 0);
  const std::string earlier = Wal();
  Insert(1);
  std::string wal = Wal();
  ASSERT_EQ(wal.size(), earlier.size());
  ASSERT_NE(wal, earlier);
  EXPECT_TRUE(CheckWith(wal).ok());
  EXPECT_EQ(Rows(), 21);
  // A power cut came after the header of the new round, and before its frames.
  EXPECT_TRUE(CheckWith(wal.substr(0, kHeader) + earlier.substr(kHeader)).ok());
  EXPECT_EQ(Rows(), 20);
}

// A transaction that does not fit into memory is written before it is committed.
TEST_F(WalCheckTest, WhatIsLeftOfATransactionThatWasRolledBackIsNoDamage) {
  Insert(3);
  const std::string before = Wal();
  Run("PRAGMA cache_size = 10");
  Run("BEGIN");
  for (int i = 0; i < 100; ++i) Run("INSERT INTO t (x) VALUES (randomblob(3000))");
  Run("ROLLBACK");
  ASSERT_GT(Wal().size(), before.size() + 20 * kFrame) << "it was not written";
  EXPECT_TRUE(CheckWith(Wal()).ok());
  EXPECT_EQ(Rows(), 3);
  Insert(1);
  std::string wal = Wal();
  EXPECT_TRUE(CheckWith(wal).ok());
  EXPECT_EQ(Rows(), 4);
  for (size_t at = before.size(); at < before.size() + 3 * kFrame; at += 512) {
    std::string torn = wal;
    torn.replace(at, 512, 512, '\0');
    EXPECT_TRUE(CheckWith(torn).ok()) << at;
  }
}

TEST_F(WalCheckTest, ReservedSpaceIsNoDamageAndAnErasedBeginningIs) {
  ASSERT_TRUE(CheckWith("").ok());
  EXPECT_TRUE(CheckWith(std::string(100'000, '\0')).ok());
  Insert(2);
  ASSERT_TRUE(database_->ReserveWal(1'000'000).ok());
  const std::string wal = Wal();
  const absl::StatusOr<int64_t> used = CheckWith(wal);
  ASSERT_TRUE(used.ok()) << used.status();
  EXPECT_GT(*used, 2 * static_cast<int64_t>(kFrame));
  EXPECT_LT(*used, 100'000) << "what is reserved is not in use";
  std::string erased = wal;
  erased.replace(0, 4096, 4096, '\0');
  const absl::Status status = CheckWith(erased).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("damaged in its first 32 bytes"));
}

// SQLite removes the log of a database that is empty or not there.
TEST_F(WalCheckTest, ALogWithoutItsDatabaseIsNotThrownAway) {
  Insert(2);
  const std::string wal = Wal();
  for (const bool is_empty : {true, false}) {
    ASSERT_TRUE(CheckWith(wal).ok());
    fs::remove(copy_);
    if (is_empty) WriteFile(copy_, "");
    const absl::Status status = CheckWriteAheadLog(copy_).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("is missing or empty, but"));
  }
  fs::remove(copy_ + "-wal");
  EXPECT_TRUE(CheckWriteAheadLog(copy_).ok()) << "a new folder";
}

}  // namespace
}  // namespace hookgate
