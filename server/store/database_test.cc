#include "server/store/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/data_directory.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;

std::string FreshPath() {
  static int count = 0;
  return testing::TempDir() + "/database_test_" + std::to_string(getpid()) + "_" +
         std::to_string(++count);
}

std::unique_ptr<Database> OpenOrDie(const std::string& path) {
  auto database = Database::Open(path, Database::Mode::kCreate);
  EXPECT_TRUE(database.ok()) << database.status();
  return *std::move(database);
}

int64_t CountRows(Database& database, const std::string& table) {
  auto statement = database.Prepare("SELECT COUNT(*) FROM " + table);
  EXPECT_TRUE(statement.ok()) << statement.status();
  EXPECT_TRUE(*statement->Step());
  return statement->ColumnInt(0);
}

TEST(DatabaseTest, TransactionThatIsNotCommittedLeavesNothing) {
  auto database = OpenOrDie(FreshPath());
  ASSERT_TRUE(database->Execute("CREATE TABLE t (x)").ok());
  {
    auto transaction = Transaction::Begin(*database, Transaction::Kind::kWrite);
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (1)").ok());
  }
  EXPECT_EQ(CountRows(*database, "t"), 0);
}

TEST(DatabaseTest, UsedBytesLeaveOutWhatIsFree) {
  auto database = OpenOrDie(FreshPath());
  ASSERT_TRUE(database->Execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)").ok());
  const int64_t empty = *database->UsedBytes();
  constexpr int64_t kBlob = 1 << 20;
  ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (1, randomblob(1048576))").ok());
  ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (2, randomblob(1048576))").ok());
  const int64_t full = *database->UsedBytes();
  EXPECT_GE(full - empty, 2 * kBlob);
  EXPECT_LT(full - empty, 2 * kBlob + 100'000);
  {
    auto transaction = Transaction::Begin(*database, Transaction::Kind::kWrite);
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(database->Execute("DELETE FROM t WHERE id = 1").ok());
    EXPECT_LE(*database->UsedBytes(), full - kBlob) << "what is not committed yet counts";
  }
  EXPECT_EQ(*database->UsedBytes(), full) << "it was rolled back";
}

TEST(DatabaseTest, EmptyTextAndBlobAreNotNull) {
  auto database = OpenOrDie(FreshPath());
  ASSERT_TRUE(database->Execute("CREATE TABLE t (a TEXT NOT NULL, b BLOB NOT NULL)").ok());
  auto statement = database->Prepare("INSERT INTO t VALUES (?, ?)");
  ASSERT_TRUE(statement.ok());
  statement->BindText(1, absl::string_view());
  statement->BindBlob(2, absl::string_view());
  EXPECT_TRUE(statement->Run().ok());
}

TEST(DatabaseTest, CommitsAreSyncedAndCheckpointsAreLeftToUs) {
  auto database = OpenOrDie(FreshPath());
  auto pragma = [&](const std::string& name) {
    auto statement = database->Prepare("PRAGMA " + name);
    EXPECT_TRUE(*statement->Step());
    return std::string(statement->ColumnText(0));
  };
  EXPECT_EQ(pragma("journal_mode"), "wal");
  EXPECT_EQ(pragma("synchronous"), "2");
  EXPECT_EQ(pragma("wal_autocheckpoint"), "0");
}

TEST(DatabaseTest, RestartedWriteAheadLogIsWrittenAnewInPlace) {
  const std::string path = FreshPath();
  auto database = OpenOrDie(path);
  int pages = 0;
  database->SetWalHook([&](int count) { pages = count; });
  ASSERT_TRUE(database->Execute("CREATE TABLE t (a BLOB)").ok());
  ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (zeroblob(100000))").ok());
  ASSERT_GT(pages, 20);
  const auto size = std::filesystem::file_size(path + "-wal");

  const absl::StatusOr<int> left = database->Checkpoint(Database::CheckpointMode::kRestart);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(*left, 0);
  ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (1)").ok());
  EXPECT_LT(pages, 5);
  EXPECT_EQ(std::filesystem::file_size(path + "-wal"), size);
  EXPECT_EQ(CountRows(*database, "t"), 2);
}

TEST(DatabaseTest, ReservedWriteAheadLogKeepsItsLengthAndWhatIsCommitted) {
  constexpr uintmax_t kReserved = 3'000'000;
  const std::string path = FreshPath();
  {
    auto database = OpenOrDie(path);
    ASSERT_TRUE(database->Execute("CREATE TABLE t (x)").ok());
    const auto before = std::filesystem::file_size(path + "-wal");
    ASSERT_GT(before, 0);
    EXPECT_EQ(database->ReserveWal(1), absl::OkStatus());
    EXPECT_EQ(std::filesystem::file_size(path + "-wal"), before) << "it is longer than that";
    ASSERT_EQ(database->ReserveWal(kReserved), absl::OkStatus());
    EXPECT_EQ(std::filesystem::file_size(path + "-wal"), kReserved);
    ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (1), (2)").ok());
    EXPECT_EQ(std::filesystem::file_size(path + "-wal"), kReserved);
    // As a crash would leave them.
    std::filesystem::copy_file(path, path + "_crashed");
    std::filesystem::copy_file(path + "-wal", path + "_crashed-wal");
  }
  EXPECT_EQ(CountRows(*OpenOrDie(path + "_crashed"), "t"), 2);
  EXPECT_EQ(CountRows(*OpenOrDie(path), "t"), 2);
}

TEST(DatabaseTest, ReaderMakesARestartUnavailableAndCommitsGoOn) {
  const std::string path = FreshPath();
  auto database = OpenOrDie(path);
  ASSERT_TRUE(database->Execute("CREATE TABLE t (a)").ok());
  auto reader = Database::Open(path, Database::Mode::kReadOnly);
  ASSERT_TRUE(reader.ok());
  auto snapshot = Transaction::Begin(**reader, Transaction::Kind::kRead);
  ASSERT_TRUE(snapshot.ok());
  EXPECT_EQ(CountRows(**reader, "t"), 0);
  ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (1)").ok());

  EXPECT_EQ(database->Checkpoint(Database::CheckpointMode::kRestart).status().code(),
            absl::StatusCode::kUnavailable);
  ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (2)").ok());
  EXPECT_EQ(CountRows(**reader, "t"), 0);
}

TEST(DatabaseTest, FileThatIsNoDatabaseIsDataLoss) {
  const std::string path = FreshPath();
  std::ofstream(path) << std::string(4096, 'x');
  EXPECT_EQ(Database::Open(path, Database::Mode::kCreate).status().code(),
            absl::StatusCode::kDataLoss);
}

// A start ended with a statement and "unsupported file format".
TEST(DatabaseTest, HeaderOfANewerFormatIsDamage) {
  constexpr std::pair<int, char> kBytes[] = {{18, 3}, {47, 5}, {47, 12}};
  for (const auto& [at, value] : kBytes) {
    const std::string path = FreshPath();
    ASSERT_TRUE(OpenOrDie(path)->Execute("CREATE TABLE t (x)").ok());
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(at);
    file.put(value);
    file.close();
    for (const auto mode : {Database::Mode::kReadWrite, Database::Mode::kReadOnly}) {
      if (at == 18 && mode == Database::Mode::kReadOnly) continue;  // That one is for writing.
      const absl::Status status = Database::Open(path, mode).status();
      EXPECT_TRUE(absl::IsDataLoss(status)) << at << ": " << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr("header asks for a newer version"));
    }
  }
}

TEST(SchemaTest, MigrationIsDoneOnceAndKeepsTheEpoch) {
  const std::string path = FreshPath();
  ASSERT_TRUE(MigrateSchema(*OpenOrDie(path), "00000000000000aa").ok());
  auto database = OpenOrDie(path);
  ASSERT_TRUE(MigrateSchema(*database, "00000000000000bb").ok());
  auto statement = database->Prepare("SELECT epoch FROM log");
  ASSERT_TRUE(*statement->Step());
  EXPECT_EQ(statement->ColumnText(0), "00000000000000aa");
}

TEST(SchemaTest, NewerFileIsRefusedUntouched) {
  auto database = OpenOrDie(FreshPath());
  ASSERT_TRUE(MigrateSchema(*database, "e").ok());
  ASSERT_TRUE(
      database->Execute("UPDATE compatibility SET oldest_schema = 999; PRAGMA user_version = 999")
          .ok());
  const absl::Status status = MigrateSchema(*database, "e");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer hookgated"));
}

// Most databases of others have no version, and became a log beside what they held.
TEST(SchemaTest, ForeignDatabaseWithoutAVersionIsRefusedUntouched) {
  auto database = OpenOrDie(FreshPath());
  ASSERT_TRUE(database->Execute("CREATE TABLE mine (id)").ok());
  for (const auto& check : {MigrateSchema(*database, "e"), CheckIsLog(*database)}) {
    EXPECT_EQ(check.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(check.message()), HasSubstr("not one of Hookgate's"));
  }
  auto count = database->Prepare("SELECT count(*) FROM sqlite_schema");
  ASSERT_TRUE(*count->Step());
  EXPECT_EQ(count->ColumnInt(0), 1);
}

// A version below zero ended the process, with a step that does not exist.
TEST(SchemaTest, VersionThatNoLogCanHaveIsRefusedUntouched) {
  for (const int64_t version : {int64_t{-1}, int64_t{-2}, int64_t{INT32_MIN}, int64_t{0}}) {
    auto database = OpenOrDie(FreshPath());
    ASSERT_TRUE(MigrateSchema(*database, "e").ok());
    ASSERT_TRUE(database->Execute(absl::StrCat("PRAGMA user_version = ", version)).ok());
    for (const auto& check :
         {MigrateSchema(*database, "e"), CheckIsLog(*database), CheckSchema(*database)}) {
      EXPECT_EQ(check.code(), absl::StatusCode::kDataLoss) << version;
      EXPECT_THAT(std::string(check.message()),
                  HasSubstr(absl::StrCat("schema version ", version, ",")));
    }
  }
}

// Each was answered with a statement of SQL that had failed.
TEST(SchemaTest, LogThatDoesNotHoldWhatItsVersionHasIsRefusedUntouched) {
  struct Case {
    const char* sql;
    const char* says;
  };
  const Case kCases[] = {
      {"PRAGMA user_version = 1", "but it has age_clock of a newer one"},
      {"PRAGMA user_version = 4", "but it has age_clock of a newer one"},
      {"DROP TABLE subscription_moves", "which has subscription_moves, but it has none"},
      {"DROP TABLE log", "which has log, but it has none"},
      {"ALTER TABLE compatibility RENAME COLUMN oldest_schema TO oldest",
       "which has compatibility.oldest_schema, but it has none"},
      {"ALTER TABLE events DROP COLUMN secrets", "which has events.secrets, but it has none"},
  };
  for (const auto& [sql, says] : kCases) {
    auto database = OpenOrDie(FreshPath());
    ASSERT_TRUE(MigrateSchema(*database, "e").ok());
    ASSERT_TRUE(database->Execute(sql).ok()) << sql;
    for (const auto& check :
         {MigrateSchema(*database, "e"), CheckIsLog(*database), CheckSchema(*database)}) {
      EXPECT_EQ(check.code(), absl::StatusCode::kDataLoss) << sql;
      EXPECT_THAT(std::string(check.message()), HasSubstr(says)) << sql;
    }
  }
  // One wrong bit of the header's mark had people begin with an empty folder.
  auto unmarked = OpenOrDie(FreshPath());
  ASSERT_TRUE(MigrateSchema(*unmarked, "e").ok());
  ASSERT_TRUE(unmarked->Execute("PRAGMA application_id = 1214990197").ok());
  EXPECT_EQ(CheckIsLog(*unmarked).code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(CheckIsLog(*unmarked).message()), HasSubstr("restore a backup"));
  // Without an index all can be read, so that fsck goes on; a gateway that is started cannot.
  auto without = OpenOrDie(FreshPath());
  ASSERT_TRUE(MigrateSchema(*without, "e").ok());
  ASSERT_TRUE(without->Execute("DROP INDEX failures_by_time").ok());
  EXPECT_EQ(CheckSchema(*without), absl::OkStatus());
  const absl::Status refused = MigrateSchema(*without, "e");
  EXPECT_EQ(refused.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("lost its index failures_by_time"));
  // What people add is theirs, also what only another program can read.
  auto more = OpenOrDie(FreshPath());
  ASSERT_TRUE(MigrateSchema(*more, "e").ok());
  ASSERT_TRUE(more->Execute("CREATE TABLE mine (id); CREATE VIEW ours AS SELECT * FROM events;"
                            "PRAGMA writable_schema = ON;"
                            "INSERT INTO sqlite_schema VALUES ('table', 'vectors', 'vectors', 0, "
                            "'CREATE VIRTUAL TABLE vectors USING no_such_module(x)');"
                            "PRAGMA writable_schema = RESET")
                  .ok());
  EXPECT_EQ(MigrateSchema(*more, "e"), absl::OkStatus());
  auto newer = OpenOrDie(FreshPath());
  ASSERT_TRUE(MigrateSchema(*newer, "e").ok());
  ASSERT_TRUE(newer
                  ->Execute("ALTER TABLE compatibility RENAME COLUMN oldest_schema TO oldest;"
                            "PRAGMA user_version = 999")
                  .ok());
  EXPECT_THAT(std::string(MigrateSchema(*newer, "e").message()), HasSubstr("newer hookgated"));
}

TEST(SchemaTest, ForeignDatabaseIsRefused) {
  auto database = OpenOrDie(FreshPath());
  ASSERT_TRUE(database->Execute("PRAGMA user_version = 1").ok());
  EXPECT_THAT(std::string(MigrateSchema(*database, "e").message()),
              HasSubstr("not one of Hookgate's"));
}

TEST(DataDirectoryTest, SecondHolderIsRefusedUntilTheFirstLetsGo) {
  const std::string path = FreshPath() + "/deep/folder";
  auto first = DataDirectory::Open(path);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(std::string(DataDirectory::Open(path).status().message()),
              HasSubstr("another hookgated"));
  first->reset();
  EXPECT_TRUE(DataDirectory::Open(path).ok());
}

// A log whose file could not be written was opened all the same: hookgated said that it was ready,
// and answered 503 to every webhook.
TEST(DataDirectoryTest, WhatCannotBeWrittenIsNamed) {
  const auto directory = *DataDirectory::Open(FreshPath());
  EXPECT_TRUE(directory->CheckWritable().ok());
  std::ofstream(directory->database_path()) << "x";
  EXPECT_TRUE(directory->CheckWritable().ok());
  // Whoever runs the test may write any file, but not write into a folder.
  for (const char* const suffix : {"-wal", "-shm", ""}) {
    const std::string path = directory->database_path() + suffix;
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    const absl::Status status = directory->CheckWritable();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path + " cannot be written"));
    std::filesystem::remove(path);
  }
}

// Leaves the process no file descriptor while it lives.
class NoFileDescriptors {
 public:
  NoFileDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoFileDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

// Clients take FAILED_PRECONDITION for permanent, and gave up when the process was short of file
// descriptors for a moment.
TEST(DatabaseTest, ShortOfFileDescriptorsIsUnavailableAndAMissingFileIsNot) {
  const std::string path = FreshPath();
  auto database = OpenOrDie(path);
  ASSERT_TRUE(database->Execute("CREATE TABLE t (x)").ok());
  {
    const NoFileDescriptors none;
    EXPECT_EQ(Database::Open(path, Database::Mode::kReadOnly).status().code(),
              absl::StatusCode::kUnavailable);
  }
  EXPECT_TRUE(Database::Open(path, Database::Mode::kReadOnly).ok());
  EXPECT_EQ(Database::Open(path + "/none", Database::Mode::kReadOnly).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// The write-ahead log stayed at 1.2 GB until a restart.
TEST(DatabaseTest, LimitedWriteAheadLogIsCutWhenItBeginsAnew) {
  const std::string path = FreshPath();
  auto database = OpenOrDie(path);
  ASSERT_TRUE(database->LimitWal(100'000).ok());
  ASSERT_TRUE(database->Execute("CREATE TABLE t (a BLOB)").ok());
  ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (zeroblob(2000000))").ok());
  EXPECT_GT(std::filesystem::file_size(path + "-wal"), 2'000'000);
  ASSERT_TRUE(database->Checkpoint(Database::CheckpointMode::kRestart).ok());
  ASSERT_TRUE(database->Execute("INSERT INTO t VALUES (1)").ok());
  EXPECT_EQ(std::filesystem::file_size(path + "-wal"), 100'000);
  EXPECT_EQ(CountRows(*database, "t"), 2);
}

TEST(DataDirectoryTest, FileInTheWayIsNamed) {
  const std::string path = FreshPath();
  std::ofstream(path) << "x";
  EXPECT_THAT(std::string(DataDirectory::Open(path).status().message()), HasSubstr(path));
}

// The lock was opened through a link, so that a process of root made files wherever it pointed.
TEST(DataDirectoryTest, LinksInTheFolderAreNotFollowed) {
  for (const char* name : {"lock", "events.db", "events.db-wal", "events.db-shm"}) {
    const std::string path = FreshPath();
    std::filesystem::create_directories(path);
    const std::string target = FreshPath();
    std::filesystem::create_symlink(target, absl::StrCat(path, "/", name));
    const absl::Status status = DataDirectory::Open(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat(name, " is a symbolic link")));
    EXPECT_FALSE(std::filesystem::exists(target));
  }
}

// A folder may well be a link: its owner has put it there.
TEST(DataDirectoryTest, FolderItselfMayBeALink) {
  const std::string path = FreshPath();
  std::filesystem::create_directories(path);
  const std::string link = FreshPath();
  std::filesystem::create_directory_symlink(path, link);
  EXPECT_TRUE(DataDirectory::Open(link).ok());
}

}  // namespace
}  // namespace hookgate
