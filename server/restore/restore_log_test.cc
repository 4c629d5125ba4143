#include "server/restore/restore_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/cursor.h"
#include "server/store/database.h"
#include "server/verify/verify_event_log.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

void Append(EventLog& log, int count) {
  for (int i = 0; i < count; ++i) AppendSoundEvent(log);
}

std::string Content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// All that is in a folder, but for the lock and what SQLite's readers leave: an index, and a
// write-ahead log that is empty.
std::map<std::string, std::string> FilesIn(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    std::string content = Content(entry.path());
    if (name == "lock" || name == "events.db-shm") continue;
    if (name == "events.db-wal" && content.empty()) continue;
    files[name] = std::move(content);
  }
  return files;
}

// A log of 6 events, and a backup that was taken when it had 3.
class RestoreLogTest : public testing::Test {
 protected:
  RestoreLogTest() {
    auto log = OpenTemporaryLog(nullptr, folder_);
    Append(*log, 3);
    epoch_ = log->epoch();
    shared_ = FormatCursor(log->history(), 3);
    backup_ = BackUpLog(folder_) + "/events.db";
    Append(*log, 3);
    lost_ = FormatCursor(log->history(), 6);
  }

  absl::StatusOr<RestoreReport> Restore(const std::string& file, bool force = false) const {
    return RestoreLog({.file = file,
                       .data_dir = folder_,
                       .force = force,
                       .now = absl::FromUnixSeconds(1'750'000'000)});
  }
  Sequence Head() const { return OpenTemporaryLog(nullptr, folder_)->Position().head; }
  // Fails the test if the restore does anything.
  absl::Status Refusal(const std::string& file, bool force = true) const {
    const auto before = FilesIn(folder_);
    const absl::StatusOr<RestoreReport> report = Restore(file, force);
    EXPECT_FALSE(report.ok()) << file;
    EXPECT_TRUE(before == FilesIn(folder_)) << file;
    return report.status();
  }
  std::string Damaged(const std::function<void(std::string&)>& damage) const {
    std::string bytes = Content(backup_);
    damage(bytes);
    const std::string path = backup_ + ".damaged";
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return path;
  }

  const std::string folder_ = FreshTestFolder();
  std::string epoch_;
  std::string backup_;
  std::string shared_;  // the cursor of event 3
  std::string lost_;    // of event 6, which the backup does not have
};

// P4: who had seen more than the backup holds is refused by name, before and after the log has
// grown beyond the cursor; and so is everybody else, who is told where to go on.
TEST_F(RestoreLogTest, CursorsOfBeforeAreRefusedByName) {
  const auto report = Restore(backup_, /*force=*/true);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->former_epoch, epoch_);
  auto log = OpenTemporaryLog(nullptr, folder_);
  EXPECT_EQ(log->epoch(), report->log.epoch);
  EXPECT_NE(log->epoch(), epoch_);
  EXPECT_EQ(log->Position().head, 3);
  for (int grown = 0; grown < 2; ++grown) {
    for (const std::string& cursor : {lost_, shared_}) {
      const absl::Status refusal = ResolveCursor(cursor, "after_cursor", *log).status();
      EXPECT_EQ(ReasonOf(refusal), reason::kCursorOfAnotherHistory);
      EXPECT_THAT(std::string(refusal.message()), HasSubstr("restored from a backup"));
      auto metadata = MetadataOf(refusal);
      EXPECT_EQ(metadata["earliest_cursor"], FormatCursor(log->history(), 0));
      EXPECT_EQ(metadata["common_cursor"], FormatCursor(log->history(), 3));
    }
    Append(*log, 5);
  }
}

TEST_F(RestoreLogTest, TheReportSaysWhatSubscribersWillSee) {
  const auto report = Restore(backup_, /*force=*/true);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(ReportText(*report),
              AllOf(HasSubstr(backup_), HasSubstr("sequences 1 to 3"), HasSubstr(epoch_),
                    HasSubstr(report->log.epoch), HasSubstr("events 1 to 6"),
                    HasSubstr("CURSOR_OF_ANOTHER_HISTORY"), HasSubstr("Durable subscriptions")));
}

TEST_F(RestoreLogTest, NewerLogIsReplacedOnlyWithForce) {
  EXPECT_THAT(
      std::string(Refusal(backup_, /*force=*/false).message()),
      AllOf(HasSubstr("events 1 to 6"), HasSubstr("ends at event 3"), HasSubstr("--force")));
  EXPECT_EQ(Head(), 6);
  EXPECT_TRUE(Restore(backup_, /*force=*/true).ok());
  EXPECT_EQ(Head(), 3);
}

TEST_F(RestoreLogTest, OlderLogOrNoneIsReplacedWithoutForce) {
  const std::string newest = BackUpLog(folder_) + "/events.db";
  ASSERT_TRUE(Restore(backup_, /*force=*/true).ok());
  // Restored, it has another epoch.
  EXPECT_TRUE(absl::IsFailedPrecondition(Restore(newest).status()));
  fs::remove_all(folder_);
  const auto into_nothing = Restore(backup_);
  ASSERT_TRUE(into_nothing.ok()) << into_nothing.status();
  EXPECT_THAT(into_nothing->replaced, IsEmpty());
  fs::copy_file(backup_, folder_ + "/events.db", fs::copy_options::overwrite_existing);
  EXPECT_TRUE(Restore(newest).ok());  // It goes on from what is there.
  EXPECT_EQ(Head(), 6);
}

TEST_F(RestoreLogTest, LogThatWentItsOwnWayIsReplacedOnlyWithForce) {
  fs::remove_all(folder_);
  fs::create_directories(folder_);
  fs::copy_file(backup_, folder_ + "/events.db");
  Append(*OpenTemporaryLog(nullptr, folder_), 1);  // Sequence 4.
  const std::string other = FreshTestFolder();
  fs::create_directories(other);
  fs::copy_file(backup_, other + "/events.db");
  Append(*OpenTemporaryLog(nullptr, other), 2);  // Sequences 4 and 5.
  EXPECT_THAT(std::string(Refusal(other + "/events.db", /*force=*/false).message()),
              HasSubstr("--force"));
}

TEST_F(RestoreLogTest, FileThatIsNotABackupChangesNothing) {
  const std::string nowhere = folder_ + "/nowhere.db";
  EXPECT_TRUE(absl::IsNotFound(Refusal(nowhere)));
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal(fs::path(backup_).parent_path())));
  EXPECT_TRUE(absl::IsInvalidArgument(Refusal("/dev/null")));
  const std::string link = backup_ + ".link";
  fs::create_symlink(backup_, link);
  EXPECT_THAT(std::string(Refusal(link).message()), HasSubstr("symbolic link"));
  fs::remove(link);
  fs::create_symlink(nowhere, link);
  EXPECT_THAT(std::string(Refusal(link).message()), HasSubstr("symbolic link"));
  EXPECT_THAT(std::string(Refusal(Damaged([](std::string& bytes) { bytes.clear(); })).message()),
              HasSubstr("empty"));
  EXPECT_THAT(std::string(Refusal(folder_ + "/events.db").message()), HasSubstr("itself"));
  fs::create_hard_link(folder_ + "/events.db", backup_ + ".same");
  EXPECT_THAT(std::string(Refusal(backup_ + ".same").message()), HasSubstr("itself"));
  EXPECT_TRUE(absl::IsDataLoss(
      Refusal(Damaged([](std::string& bytes) { bytes = "not a database, and long enough"; }))));
  const std::string foreign = FreshTestFolder();
  {
    (*Database::Open(foreign, Database::Mode::kCreate))
        ->Execute("CREATE TABLE t (a)")
        .IgnoreError();
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(Refusal(foreign)));
  {
    (*Database::Open(foreign, Database::Mode::kCreate))
        ->Execute("PRAGMA user_version = 2")
        .IgnoreError();
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(Refusal(foreign)));
}

TEST_F(RestoreLogTest, DamagedBackupChangesNothing) {
  ASSERT_GT(Content(backup_).size(), 8 * 4096u);
  EXPECT_TRUE(absl::IsDataLoss(
      Refusal(Damaged([](std::string& bytes) { bytes.resize(bytes.size() / 2); }))));
  EXPECT_TRUE(absl::IsDataLoss(Refusal(Damaged([](std::string& bytes) { bytes.resize(50); }))));
  for (size_t page = 1; page < Content(backup_).size() / 4096; ++page) {
    const absl::StatusOr<RestoreReport> report = Restore(
        Damaged([page](std::string& bytes) { bytes.replace(page * 4096, 4096, 4096, '\x5a'); }));
    EXPECT_FALSE(report.ok()) << page;
    EXPECT_EQ(Head(), 6) << page;
  }
}

// An event is missing: SQLite sees nothing, the checks of --verify do.
TEST_F(RestoreLogTest, UnsoundBackupChangesNothing) {
  {
    ASSERT_TRUE((*Database::Open(backup_, Database::Mode::kReadWrite))
                    ->Execute("DELETE FROM events WHERE sequence = 2")
                    .ok());
  }
  EXPECT_THAT(std::string(Refusal(backup_).message()), HasSubstr("finding"));
}

TEST_F(RestoreLogTest, BackupOfANewerSchemaIsRefused) {
  {
    ASSERT_TRUE(
        (*Database::Open(backup_, Database::Mode::kReadWrite))
            ->Execute("UPDATE compatibility SET oldest_schema = 999; PRAGMA user_version = 999")
            .ok());
  }
  EXPECT_THAT(std::string(Refusal(backup_).message()), HasSubstr("999"));
}

TEST_F(RestoreLogTest, UnfinishedBackupIsRefused) {
  std::ofstream(backup_ + "-journal") << "a page";
  EXPECT_THAT(std::string(Refusal(backup_).message()), HasSubstr("not finished"));
}

// What a copy of a folder has beside events.db is part of it, also if the gateway was killed.
TEST_F(RestoreLogTest, WriteAheadLogBesideTheBackupIsPartOfIt) {
  const std::string copy = FreshTestFolder();
  {
    auto log = OpenTemporaryLog(nullptr, folder_);
    Append(*log, 4);
    fs::create_directories(copy);
    for (const char* const name : {"events.db", "events.db-wal"}) {
      fs::copy_file(absl::StrCat(folder_, "/", name), absl::StrCat(copy, "/", name));
    }
  }
  ASSERT_GT(fs::file_size(copy + "/events.db-wal"), 0u);
  const auto before = FilesIn(copy);
  const auto report = Restore(copy + "/events.db", /*force=*/true);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->log.head_sequence, 10);
  EXPECT_GT(report->wal_bytes, 0);
  EXPECT_GT(report->used_wal_bytes, 0);
  EXPECT_LE(report->used_wal_bytes, report->wal_bytes);
  EXPECT_TRUE(before == FilesIn(copy));
  EXPECT_EQ(Head(), 10);
}

// A gateway was killed, and a backup put in place: what its write-ahead log held came back into it.
TEST_F(RestoreLogTest, LeftWriteAheadLogDoesNotComeBack) {
  const std::string killed = FreshTestFolder();
  {
    auto log = OpenTemporaryLog(nullptr, folder_);
    Append(*log, 4);
    fs::create_directories(killed);
    for (const char* const name : {"events.db", "events.db-wal"}) {
      fs::copy_file(absl::StrCat(folder_, "/", name), absl::StrCat(killed, "/", name));
    }
  }
  for (const bool has_database : {true, false}) {
    const std::string place = FreshTestFolder();
    fs::copy(killed, place);
    if (!has_database) fs::remove(place + "/events.db");
    const auto report = RestoreLog({.file = backup_, .data_dir = place, .force = true});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(OpenTemporaryLog(nullptr, place)->Position().head, 3);
  }
}

// The first bytes of the write-ahead log, or one behind them, were damaged: what was only in there
// was not found, fsck called the folder sound, and a restore replaced it without a question.
TEST_F(RestoreLogTest, LogThatIsDamagedInItsWriteAheadLogIsNotTakenForAnEmptyOne) {
  const std::string copied = FreshTestFolder();
  {
    const auto log = OpenTemporaryLog(nullptr, folder_);
    Append(*log, 3);
    fs::create_directories(copied);
    for (const char* const name : {"events.db", "events.db-wal"}) {
      fs::copy_file(folder_ + "/" + name, copied + "/" + name);
    }
  }
  const std::string wal = Content(copied + "/events.db-wal");
  for (const size_t at : {size_t{0}, size_t{17}, size_t{29}, size_t{32 + 5000}}) {
    std::string damaged = wal;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    std::ofstream(copied + "/events.db-wal", std::ios::binary | std::ios::trunc) << damaged;
    const auto report = VerifyEventLog({.data_dir = copied});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_GT(report->total_findings, 0) << at;
    EXPECT_THAT(report->findings[0].what, HasSubstr("events.db-wal is damaged"));
    EXPECT_TRUE(absl::IsDataLoss(SqliteEventLog::Open({.data_dir = copied}, nullptr).status()));
    const auto as_backup = Refusal(copied + "/events.db");
    EXPECT_THAT(std::string(as_backup.message()), HasSubstr("events.db-wal is damaged"));
    const auto refused =
        RestoreLog({.file = backup_, .data_dir = copied, .now = absl::FromUnixSeconds(1)});
    EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--force"));
    EXPECT_EQ(Content(copied + "/events.db-wal"), damaged) << "nobody has touched it";
  }
  EXPECT_TRUE(
      RestoreLog(
          {.file = backup_, .data_dir = copied, .force = true, .now = absl::FromUnixSeconds(1)})
          .ok());
  EXPECT_EQ(OpenTemporaryLog(nullptr, copied)->Position().head, 3);
}

TEST_F(RestoreLogTest, LogInUseIsRefused) {
  auto log = OpenTemporaryLog(nullptr, folder_);
  EXPECT_THAT(std::string(Restore(backup_, /*force=*/true).status().message()),
              HasSubstr("in use by another hookgated"));
  // Nor is the log of another folder copied while a gateway writes it.
  EXPECT_THAT(
      std::string(RestoreLog({.file = folder_ + "/events.db", .data_dir = FreshTestFolder()})
                      .status()
                      .message()),
      HasSubstr("in use by another hookgated"));
}

// Wherever it ends, the next one to lock the folder finds the one log or the other, whole.
TEST_F(RestoreLogTest, InterruptedRestoreLeavesTheOldLogOrTheNew) {
  const std::string restored = FreshTestFolder();
  ASSERT_TRUE(RestoreLog({.file = backup_, .data_dir = restored}).ok());
  const std::string killed = FreshTestFolder();
  {
    auto log = OpenTemporaryLog(nullptr, folder_);
    Append(*log, 4);
    fs::create_directories(killed);
    for (const char* const name : {"events.db", "events.db-wal"}) {
      fs::copy_file(absl::StrCat(folder_, "/", name), absl::StrCat(killed, "/", name));
    }
  }
  const auto head_in = [](const std::string& folder) {
    const Sequence head = OpenTemporaryLog(nullptr, folder)->Position().head;
    for (const auto& [name, content] : FilesIn(folder)) {
      EXPECT_THAT(name, AllOf(Not(HasSubstr("draft")), Not(HasSubstr("replacement"))));
    }
    return head;
  };
  // While the copy was made or checked.
  const std::string while_copying = FreshTestFolder();
  fs::copy(killed, while_copying);
  std::ofstream(while_copying + "/.hookgated-draft.db") << "half of a backup";
  std::ofstream(while_copying + "/.hookgated-draft.db-wal") << "half of a backup";
  EXPECT_EQ(head_in(while_copying), 10);
  // Once it was decided, with and without what was beside the log of before.
  for (const bool has_wal : {true, false}) {
    const std::string decided = FreshTestFolder();
    fs::copy(killed, decided);
    fs::copy_file(restored + "/events.db", decided + "/.hookgated-replacement.db");
    if (!has_wal) fs::remove(decided + "/events.db-wal");
    const auto checked = VerifyEventLog({.data_dir = decided});
    ASSERT_TRUE(checked.ok()) << checked.status();
    EXPECT_EQ(checked->head_sequence, 3);
    EXPECT_EQ(head_in(decided), 3);
  }
}

// A file that an operator had called events.db.restored or events.db.draft, beside the log, was put
// in the log's place by the next start, or removed.
TEST_F(RestoreLogTest, BackupsBesideTheLogAreNobodysBusiness) {
  for (const char* const name : {"/events.db.restored", "/events.db.draft", "/events.db.backup"}) {
    fs::copy_file(backup_, folder_ + name);
  }
  EXPECT_EQ(Head(), 6);
  for (const char* const name : {"/events.db.restored", "/events.db.draft", "/events.db.backup"}) {
    EXPECT_TRUE(fs::exists(folder_ + name)) << name;
    const auto report = Restore(folder_ + name, /*force=*/true);
    EXPECT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(Head(), 3);
  }
}

TEST_F(RestoreLogTest, FolderThatWasMadeForAFailedRestoreIsNotLeftBehind) {
  const std::string place = FreshTestFolder();
  std::ofstream(backup_ + ".text") << "not a database, and long enough to be read as one";
  EXPECT_FALSE(RestoreLog({.file = backup_ + ".text", .data_dir = place}).ok());
  EXPECT_FALSE(fs::exists(place));
}

TEST_F(RestoreLogTest, RestoredLogIsItsOwnersAlone) {
  ::chmod(backup_.c_str(), 0644);
  ASSERT_TRUE(Restore(backup_, /*force=*/true).ok());
  EXPECT_EQ(fs::status(folder_ + "/events.db").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

// Backups outlive upgrades.
// A replica that is to go on with its cluster's log needs a copy that is a replica itself.
TEST_F(RestoreLogTest, OnlyABackupOfTheClusterBecomesAReplica) {
  const auto refused =
      RestoreLog({.file = backup_, .data_dir = folder_, .force = true, .cluster = "hooks"});
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("not of a replica of cluster hooks, but of a log of its own"),
                    HasSubstr("--found_cluster")));
  {
    const auto database = *Database::Open(backup_, Database::Mode::kReadWrite);
    ASSERT_TRUE(database
                    ->Execute("INSERT INTO replica (id, cluster, genesis, applied, term, writer, "
                              "hash) VALUES (1, 'hooks', 'g', 17, 2, 3, x'00');"
                              "INSERT INTO status_counters VALUES ('of the other one', 4)")
                    .ok());
  }
  const auto of_others =
      RestoreLog({.file = backup_, .data_dir = folder_, .force = true, .cluster = "others"});
  EXPECT_THAT(std::string(of_others.status().message()), HasSubstr("but of one of cluster hooks"));

  const auto report =
      RestoreLog({.file = backup_, .data_dir = folder_, .force = true, .cluster = "hooks"});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(ReportText(*report), AllOf(HasSubstr("a replica of cluster hooks, up to record 17"),
                                         Not(HasSubstr("new epoch"))));
  {
    const auto database = *Database::Open(folder_ + "/events.db", Database::Mode::kReadOnly);
    auto kept = *database->Prepare(
        "SELECT (SELECT epoch FROM log), (SELECT count(*) FROM replica WHERE applied = 17), "
        "(SELECT count(*) FROM status_counters), (SELECT count(*) FROM former_epochs)");
    ASSERT_TRUE(*kept.Step());
    EXPECT_EQ(kept.ColumnText(0), epoch_);
    EXPECT_EQ(kept.ColumnInt(1), 1);
    EXPECT_EQ(kept.ColumnInt(2), 0);
    EXPECT_EQ(kept.ColumnInt(3), 0);
  }
  // Without a cluster, what is put in place is no replica.
  ASSERT_TRUE(Restore(backup_, /*force=*/true).ok());
  EXPECT_EQ(Head(), 3);
}

TEST_F(RestoreLogTest, BackupOfAnOlderSchemaIsMigrated) {
  MakeVersion4(backup_);
  const std::string before = Content(backup_);
  const auto report = Restore(backup_, /*force=*/true);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->log.total_findings, 0);
  EXPECT_EQ(Head(), 3);
  EXPECT_EQ(Content(backup_), before);
}

}  // namespace
}  // namespace hookgate
