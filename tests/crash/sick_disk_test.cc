// A real hookgated on a disk that is full, that fails, that may not be written, or that somebody
// tampers with. Each webhook is stored and answered 200, or answered 503 and the log says why; what
// was answered 200 is there afterwards, in a log that is sound.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/verify/verify_event_log.h"
#include "tests/support/event_stream.h"
#include "tests/support/faulty_machine.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr int64_t kPage = 4096;

class SickDiskTest : public testing::Test {
 protected:
  SickDiskTest() { Start(); }

  void TearDown() override {
    if (HasFailure() && gateway_ != nullptr) std::cerr << gateway_->log();
  }

  void Start() {
    gateway_.reset();
    gateway_ = HookgatedProcess::Start(folder_, {}, machine_.environment());
  }

  // Expects that it does not start, and says both what it is about and `part`.
  void ExpectNoStart(const std::string& part) {
    gateway_.reset();
    std::vector<std::string> environment = machine_.environment();
    environment.push_back(absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret));
    const ProgramOutcome outcome =
        RunProgram(kHookgated,
                   {"--http_address=127.0.0.1:0", "--grpc_address=127.0.0.1:0",
                    "--admin_address=127.0.0.1:0", absl::StrCat("--data_dir=", folder_)},
                   environment);
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(folder_));
    EXPECT_THAT(outcome.err, HasSubstr(part));
  }

  // Sends a new webhook, and notes it if it is answered 200.
  HttpReply Send(const std::string& body = BatchFailedBody()) {
    SignedWebhook webhook{.body = body};
    const std::string request = webhook.Request();
    HttpReply reply = Exchange(gateway_->http(), request).value_or(HttpReply());
    if (reply.status == 200) answered_.push_back(webhook.webhook_id);
    return reply;
  }
  void ExpectStored() {
    const HttpReply reply = Send();
    EXPECT_EQ(reply.status, 200) << reply.body;
  }
  void ExpectRefused(const std::string& body = BatchFailedBody()) {
    const HttpReply reply = Send(body);
    EXPECT_EQ(reply.status, 503) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr("store_unavailable"));
    EXPECT_NE(reply.field("retry-after"), "");
  }
  HttpReply Ready() {
    return Exchange(gateway_->admin(), "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        .value_or(HttpReply());
  }
  void ExpectNotReadyBecause(const std::string& part) {
    const HttpReply ready = Ready();
    EXPECT_EQ(ready.status, 503);
    EXPECT_THAT(ready.body, HasSubstr(part));
    EXPECT_THAT(gateway_->log(), HasSubstr(part));
  }

  // Everything that was answered 200 is there, once, and nothing is wrong with the log.
  void ExpectAllThere() {
    std::map<std::string, int> stored;
    {
      EventStream stream(gateway_->grpc(), "start_position: START_POSITION_EARLIEST");
      for (const v1::Event& event : stream.EventsUntilCaughtUp()) ++stored[event.webhook_id()];
    }
    for (const std::string& id : answered_) EXPECT_EQ(stored[id], 1) << id;
    gateway_->Kill();
    const auto report = VerifyEventLog({.data_dir = folder_});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->total_findings, 0) << ReportText(*report);
  }

  // Overwrites the pages of the table or index `name`, as far as the database file holds them.
  void CorruptPagesOf(const std::string& name) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open_v2(path().c_str(), &database, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    ASSERT_EQ(sqlite3_prepare_v2(database, "SELECT rootpage FROM sqlite_schema WHERE name = ?", -1,
                                 &statement, nullptr),
              SQLITE_OK);
    sqlite3_bind_text(statement, 1, name.c_str(), -1, SQLITE_STATIC);
    ASSERT_EQ(sqlite3_step(statement), SQLITE_ROW);
    const int64_t page = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    CorruptPage(page);
  }
  void CorruptPage(int64_t page) {
    const int file = open(path().c_str(), O_WRONLY | O_CLOEXEC);
    const std::string garbage(kPage, '\x5a');
    EXPECT_EQ(pwrite(file, garbage.data(), garbage.size(), (page - 1) * kPage), kPage);
    close(file);
  }

  std::string path() const { return folder_ + "/events.db"; }

  FaultyMachine machine_;
  const std::string folder_ = FreshTestFolder();
  std::unique_ptr<HookgatedProcess> gateway_;
  std::vector<std::string> answered_;  // webhook-ids
};

TEST_F(SickDiskTest, FullDiskRefusesUntilThereIsRoomAgain) {
  ExpectStored();
  machine_.FailWrites(ENOSPC);
  for (int i = 0; i < 3; ++i) ExpectRefused();
  EXPECT_GT(machine_.faults(), 0);
  ExpectNotReadyBecause("disk is full");
  machine_.FailWrites(0);
  ExpectStored();
  EXPECT_EQ(Ready().status, 200);
  EXPECT_THAT(gateway_->log(), HasSubstr("can be written again"));
  ExpectAllThere();
}

// A quota, or a limit of the file's size, was taken for a disk that fails: webhooks were refused
// until a restart, also once there was room again.
TEST_F(SickDiskTest, QuotaThatIsUsedUpIsAFullDisk) {
  ExpectStored();
  for (const int error : {EDQUOT, EFBIG}) {
    machine_.FailWrites(error);
    ExpectRefused();
    ExpectNotReadyBecause(std::strerror(error));
    machine_.FailWrites(0);
    ExpectStored();
  }
  EXPECT_EQ(Ready().status, 200);
  ExpectAllThere();
}

TEST_F(SickDiskTest, FailedWriteRefusesUntilARestart) {
  ExpectStored();
  machine_.FailWrites(EIO);
  ExpectRefused();
  machine_.FailWrites(0);
  ExpectRefused();
  ExpectNotReadyBecause("restart hookgated");
  Start();
  ExpectStored();
  ExpectAllThere();
}

TEST_F(SickDiskTest, FailedSyncRefusesUntilARestart) {
  ExpectStored();
  machine_.FailSyncs(EIO);
  ExpectRefused();
  machine_.FailSyncs(0);
  ExpectRefused();
  ExpectNotReadyBecause("restart hookgated");
  Start();
  ExpectStored();
  ExpectAllThere();
}

// What the process before has left must be written again before anything is added to it, which a
// full disk refuses.
TEST_F(SickDiskTest, StartOnAFullDiskServesReadersAndRefusesWebhooksUntilThereIsRoom) {
  ExpectStored();
  gateway_->Kill();
  machine_.FailWrites(ENOSPC);
  Start();
  ExpectNotReadyBecause("disk is full");
  ExpectRefused();
  EventStream stream(gateway_->grpc(), "start_position: START_POSITION_EARLIEST");
  EXPECT_EQ(stream.NextEvents(1).size(), 1);
  machine_.FailWrites(0);
  ExpectStored();
  EXPECT_EQ(Ready().status, 200);
  ExpectAllThere();
}

TEST_F(SickDiskTest, StartOnAFailingDiskIsRefused) {
  ExpectStored();
  gateway_->Kill();
  machine_.FailSyncs(EIO);
  ExpectNoStart("disk I/O error");
  machine_.FailSyncs(0);
  Start();
  ExpectAllThere();
}

TEST_F(SickDiskTest, FirstStartOnAFullDiskIsRefused) {
  gateway_.reset();
  std::filesystem::remove_all(folder_);
  machine_.FailWrites(ENOSPC);
  ExpectNoStart("disk is full");
}

TEST_F(SickDiskTest, FolderThatMayNotBeWrittenIsRefused) {
  ExpectStored();
  machine_.FailOpens(EROFS);
  ExpectNoStart("cannot be written: Read-only file system");
}

TEST_F(SickDiskTest, DeletedDatabaseIsNoticedBeforeAnythingIsAnswered) {
  ExpectStored();
  std::filesystem::remove(path());
  ExpectRefused();
  ExpectNotReadyBecause("events.db has been removed or replaced");
}

TEST_F(SickDiskTest, DeletedWriteAheadLogIsNoticedBeforeAnythingIsAnswered) {
  ExpectStored();
  std::filesystem::remove(path() + "-wal");
  ExpectRefused();
  ExpectNotReadyBecause("events.db-wal has been removed or replaced");
}

TEST_F(SickDiskTest, ReplacedDatabaseIsNoticedBeforeAnythingIsAnswered) {
  ExpectStored();
  std::filesystem::copy_file(path(), path() + ".copy");
  std::filesystem::rename(path() + ".copy", path());
  ExpectRefused();
  ExpectNotReadyBecause("events.db has been removed or replaced");
}

TEST_F(SickDiskTest, DamagedHeaderRefusesTheStart) {
  ExpectStored();
  gateway_->Signal(SIGTERM);
  gateway_->WaitForExit();
  CorruptPage(1);
  ExpectNoStart("not a database");
}

// What a start has to know: the row of the log, and the newest event.
TEST_F(SickDiskTest, DamagedTablesRefuseTheStart) {
  ExpectStored();
  gateway_->Signal(SIGTERM);
  gateway_->WaitForExit();
  const std::string sound = ReadTestFile(path());
  for (const char* table : {"log", "events"}) {
    SCOPED_TRACE(table);
    CorruptPagesOf(table);
    ExpectNoStart("malformed");
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << sound;
  }
  Start();
  ExpectAllThere();
}

// An index is read by who adds an event. Nothing is answered 200 that cannot be stored, and the
// check finds the damage.
TEST_F(SickDiskTest, DamagedIndexesAreNoticedWhenTheyAreNeeded) {
  const std::string completed =
      absl::StrReplaceAll(BatchFailedBody(), {{"batch.failed", "batch.completed"}});
  for (const auto& [index, body] : {std::pair("failures_by_time", BatchFailedBody()),
                                    std::pair("other_events_by_time", completed)}) {
    SCOPED_TRACE(index);
    Start();
    ExpectStored();
    gateway_->Signal(SIGTERM);
    gateway_->WaitForExit();
    const std::string sound = ReadTestFile(path());
    CorruptPagesOf(index);
    Start();
    ExpectRefused(body);
    ExpectNotReadyBecause("malformed");
    gateway_->Kill();
    const auto report = VerifyEventLog({.data_dir = folder_});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_GT(report->total_findings, 0);
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << sound;
    std::filesystem::remove(path() + "-wal");
  }
  Start();
  ExpectAllThere();
}

// What a running gateway has read it may keep in memory; it never answers 200 to what it then
// cannot store.
TEST_F(SickDiskTest, PagesDamagedWhileItRunsAreNoticed) {
  for (int i = 0; i < 20; ++i) ExpectStored();
  gateway_->Signal(SIGTERM);
  gateway_->WaitForExit();
  const std::string sound = ReadTestFile(path());
  Start();
  CorruptPagesOf("failures_by_time");
  std::vector<int> statuses;
  for (int i = 0; i < 5; ++i) statuses.push_back(Send().status);
  EXPECT_THAT(statuses, testing::Each(AnyOf(200, 503)));
  gateway_->Kill();
  // What came since the damage is in the write-ahead log, so that a copy of before, as from a
  // backup, makes it whole.
  std::ofstream(path(), std::ios::binary | std::ios::trunc) << sound;
  Start();
  ExpectAllThere();
}

}  // namespace
}  // namespace hookgate
