// Each kind of damage is done on purpose, and must be found and named; a sound log must not be
// accused of anything.

#include "server/verify/verify_event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/event/decode_event.h"
#include "server/event/event_schema.h"
#include "server/event/sample_event.h"
#include "server/eventlog/compose_event.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;

constexpr absl::Time kReceiveTime = absl::FromUnixSeconds(1'750'000'000);

auto About(const std::string& where, const std::string& what) {
  return AllOf(Field(&Finding::where, HasSubstr(where)), Field(&Finding::what, HasSubstr(what)));
}

std::unique_ptr<StoredEvent> EventOf(const std::string& webhook_id, const std::string& body) {
  absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  EXPECT_TRUE(decoded.ok()) << decoded.status();
  return ComposeEvent(*std::move(decoded),
                      {.source = "openai",
                       .webhook_id = webhook_id,
                       .webhook_time = kReceiveTime,
                       .receive_time = kReceiveTime},
                      body);
}

Sequence Append(EventLog& log, const std::string& webhook_id, const std::string& body) {
  absl::Notification done;
  Sequence sequence = 0;
  log.Append(EventOf(webhook_id, body), [&](absl::StatusOr<AppendResult> result) {
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) sequence = result->sequence;
    done.Notify();
  });
  done.WaitForNotification();
  return sequence;
}

// Before the next one that waits.
void AppendLater(EventLog& log, const std::string& webhook_id, const std::string& body) {
  log.Append(EventOf(webhook_id, body), [](const absl::StatusOr<AppendResult>& result) {
    EXPECT_TRUE(result.ok()) << result.status();
  });
}

std::string BodyOf(const std::string& type) {
  return SampleEventBody(*FindEventType(type), "", kReceiveTime);
}

// A log with events 1 to 5, another body of the first one, one webhook in quarantine, and a
// subscription that has taken events up to 4: 3 is leased, 2 is dead, the others are settled.
class VerifyEventLogTest : public testing::Test {
 protected:
  VerifyEventLogTest() {
    auto log = OpenTemporaryLog(nullptr, folder_);
    Append(*log, "wh_1", BodyOf("batch.failed"));
    Append(*log, "wh_2", BodyOf("response.completed"));
    Append(*log, "wh_3", R"({"type":"unknown.thing","data":{"id":"x"}})");
    Append(*log, "wh_4", BodyOf("batch.completed"));
    Append(*log, "wh_5", BodyOf("realtime.call.incoming"));
    PutIntoQuarantine(*log, {.source = "openai",
                             .webhook_id = "wh_6",
                             .webhook_time = kReceiveTime,
                             .receive_time = kReceiveTime,
                             .reason = "body_not_json",
                             .raw_body = "{"});
    EXPECT_EQ(TryAppend(*log, {.webhook_id = "wh_1", .raw_body = "other"})->outcome,
              AppendResult::Outcome::kConflict);
    const auto id = CreateSubscription(*log, "billing", "", kReceiveTime, 0);
    EXPECT_TRUE(id.ok()) << id.status();
    auto changes = std::make_unique<SubscriptionChanges>();
    changes->position = SubscriptionPosition{.position = 4, .last_delivery = 4};
    changes->unsettled.push_back({.sequence = 3,
                                  .receive_time = kReceiveTime,
                                  .delivery = 3,
                                  .leased = true,
                                  .due = kReceiveTime,
                                  .first_delivery_time = kReceiveTime,
                                  .last_delivery_time = kReceiveTime});
    changes->dead.push_back({.sequence = 2,
                             .delivery = 2,
                             .attempts = 1,
                             .receive_time = kReceiveTime,
                             .first_delivery_time = kReceiveTime,
                             .last_delivery_time = kReceiveTime,
                             .dead_letter_time = kReceiveTime});
    const DeliveryAttempt attempt = {
        .number = 1, .delivery = 2, .consumer = "a", .begin = kReceiveTime, .end = kReceiveTime};
    changes->history.push_back({.sequence = 1,
                                .time = kReceiveTime,
                                .attempt = attempt,
                                .outcome = DeliveryOutcome::kAcked});
    changes->history.push_back({.sequence = 2,
                                .time = kReceiveTime,
                                .attempt = attempt,
                                .outcome = DeliveryOutcome::kDead});
    absl::Notification done;
    log->WriteSubscription(*id, std::move(changes), [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      done.Notify();
    });
    done.WaitForNotification();
  }

  std::string database_path() const { return folder_ + "/events.db"; }

  void Damage(const std::string& sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(database_path().c_str(), &database), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(database);
  }

  VerifyReport Verify(size_t max_findings = 100) {
    const auto report = VerifyEventLog({.data_dir = folder_, .max_findings = max_findings});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(VerifyReport());
  }

  // What is found once `sql` has been done to the log.
  std::vector<Finding> FindingsAfter(const std::string& sql) {
    Damage(sql);
    return Verify().findings;
  }

  std::string folder_ = FreshTestFolder();
};

TEST_F(VerifyEventLogTest, SoundLogHasNoFindings) {
  const VerifyReport report = Verify();
  EXPECT_THAT(report.findings, IsEmpty()) << ReportText(report);
  EXPECT_EQ(report.earliest_sequence, 1);
  EXPECT_EQ(report.head_sequence, 5);
  EXPECT_EQ(report.events, 5);
  EXPECT_EQ(report.unrecognized, 1);
  EXPECT_EQ(report.older_schema + report.newer_schema, 0);
  EXPECT_EQ(report.quarantined, 1);
  EXPECT_EQ(report.conflicts, 1);
  EXPECT_EQ(report.subscriptions, 1);
  EXPECT_EQ(report.unsettled, 1);
  EXPECT_EQ(report.dead_letters, 1);
  EXPECT_THAT(ReportText(report), HasSubstr("sound: nothing is wrong"));
}

TEST_F(VerifyEventLogTest, EveryEventTypeIsSound) {
  {
    auto log = OpenTemporaryLog(nullptr, folder_);
    for (const EventType& type : KnownEventTypes()) Append(*log, type.name, BodyOf(type.name));
  }
  EXPECT_THAT(Verify().findings, IsEmpty());
}

TEST_F(VerifyEventLogTest, LogThatRetentionHasEmptiedIsSound) {
  {
    auto log = OpenTemporaryLog(nullptr, folder_);
    ASSERT_EQ(*log->Trim({5, 5}), 5);
  }
  const VerifyReport report = Verify();
  EXPECT_THAT(report.findings, IsEmpty()) << ReportText(report);
  EXPECT_EQ(report.events, 0);
  EXPECT_EQ(report.head_sequence, 5);
}

TEST_F(VerifyEventLogTest, ChangesNothing) {
  const auto content = [this] {
    std::ifstream file(database_path(), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string before = content();
  Verify();
  EXPECT_EQ(content(), before);
}

TEST_F(VerifyEventLogTest, WhatOnlyTheWriteAheadLogHoldsIsRead) {
  // Copied under a running log, as a crash would leave it.
  const std::string copy = FreshTestFolder();
  std::filesystem::create_directories(copy);
  auto log = OpenTemporaryLog(nullptr, folder_);
  Append(*log, "wh_7", BodyOf("batch.failed"));
  for (const char* file : {"/events.db", "/events.db-wal"}) {
    std::filesystem::copy_file(folder_ + file, copy + file);
  }
  const auto report = VerifyEventLog({.data_dir = copy});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->events, 6);
  EXPECT_THAT(report->findings, IsEmpty());
}

// A backup is one file, perhaps where nothing may be written, and of a folder that was copied a
// write-ahead log is beside it.
TEST_F(VerifyEventLogTest, BackupIsCheckedWithoutATraceBesideIt) {
  const std::string copy = FreshTestFolder();
  std::filesystem::create_directories(copy);
  const std::string backup = copy + "/a backup?#%41.db";
  {
    auto log = OpenTemporaryLog(nullptr, folder_);
    Append(*log, "wh_7", BodyOf("batch.failed"));
    std::filesystem::copy_file(folder_ + "/events.db", backup);
    std::filesystem::copy_file(folder_ + "/events.db-wal", backup + "-wal");
  }
  const auto content = [&] {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(copy)) {
      std::ifstream file(entry.path(), std::ios::binary);
      files[entry.path()] = std::string(std::istreambuf_iterator<char>(file), {});
    }
    return files;
  };
  for (const int events : {6, 5}) {
    const auto before = content();
    const auto report = VerifyEventLog({.data_dir = backup});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->events, events);
    EXPECT_THAT(report->findings, IsEmpty()) << ReportText(*report);
    EXPECT_TRUE(content() == before);
    std::filesystem::remove(backup + "-wal");  // It is whole without it, and has less.
  }
}

TEST_F(VerifyEventLogTest, FileOfAFolderIsTheFolders) {
  EXPECT_EQ(VerifyEventLog({.data_dir = database_path()})->events, 5);
  const auto log = OpenTemporaryLog(nullptr, folder_);
  EXPECT_TRUE(absl::IsFailedPrecondition(VerifyEventLog({.data_dir = database_path()}).status()));
}

TEST_F(VerifyEventLogTest, FileThatIsNotALogIsRefused) {
  const std::string path = FreshTestFolder();
  std::ofstream(path) << "not a database, however long one reads in it: it is a text, for people";
  const auto text = VerifyEventLog({.data_dir = path});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(text->findings, ElementsAre(About("events.db", "not a database")));
  std::ofstream(path, std::ios::trunc) << "";
  EXPECT_TRUE(absl::IsFailedPrecondition(VerifyEventLog({.data_dir = path}).status()));
  std::ofstream(path + "-journal") << "a page of what was there before";
  EXPECT_THAT(std::string(VerifyEventLog({.data_dir = path}).status().message()),
              HasSubstr("was not finished"));
  EXPECT_TRUE(absl::IsFailedPrecondition(VerifyEventLog({.data_dir = "/dev/null"}).status()));
}

// By the stretches cursors of another history are told apart.
TEST_F(VerifyEventLogTest, StretchesThatCannotBeAreFound) {
  EXPECT_THAT(FindingsAfter("INSERT INTO stretches VALUES (6, 7)"),
              ElementsAre(About("stretch from event 6", "begins at an impossible")));
  EXPECT_THAT(FindingsAfter("DELETE FROM stretches WHERE first_sequence = 6;"
                            "UPDATE stretches SET mark = 0"),
              ElementsAre(About("stretch from event 1", "mark")));
}

TEST_F(VerifyEventLogTest, StatusThatCannotBeIsFound) {
  EXPECT_THAT(FindingsAfter("INSERT INTO status_counters VALUES ('stored', -1);"
                            "INSERT INTO status_counters VALUES ('refused/other', 1);"
                            "INSERT INTO source_status VALUES ('s', 0, -1, 0);"
                            "INSERT INTO secret_status VALUES ('s', 'a', 65536, 1, 1, 0, 0, 0, 0)"),
              ElementsAre(About("counter stored", "count or a time"), About("source s", "count"),
                          About("secret a of source s", "count")));
  EXPECT_THAT(FindingsAfter("INSERT INTO status VALUES (1, x'', 0, x'')"),
              Contains(About("the table status", "count")));
}

TEST_F(VerifyEventLogTest, LogInUseIsRefused) {
  const auto log = OpenTemporaryLog(nullptr, folder_);
  const auto report = VerifyEventLog({.data_dir = folder_});
  EXPECT_TRUE(absl::IsFailedPrecondition(report.status())) << report.status();
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("in use"));
}

TEST_F(VerifyEventLogTest, FolderWithoutALogIsRefusedAndNotMade) {
  const std::string nowhere = FreshTestFolder();
  EXPECT_TRUE(absl::IsNotFound(VerifyEventLog({.data_dir = nowhere}).status()));
  EXPECT_FALSE(std::filesystem::exists(nowhere));
}

TEST_F(VerifyEventLogTest, LogOfAnotherSchemaVersionIsRefused) {
  MakeVersion4(folder_ + "/events.db");
  const auto report = VerifyEventLog({.data_dir = folder_});
  EXPECT_TRUE(absl::IsFailedPrecondition(report.status())) << report.status();
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("schema version 4"));
}

TEST_F(VerifyEventLogTest, VersionThatIsNotTheLogsIsFound) {
  EXPECT_THAT(FindingsAfter("PRAGMA user_version = 1"),
              ElementsAre(About("events.db", "schema version 1, but it has")));
}

// By one bit of it, every event was years old, and retention removed them at the next start.
TEST_F(VerifyEventLogTest, AgesOfWhichABitIsWrongAreFound) {
  constexpr char kUnchecked[] = "PRAGMA ignore_check_constraints = ON;";
  EXPECT_THAT(FindingsAfter(absl::StrCat(
                  kUnchecked, "INSERT INTO age_clock VALUES (1, 17592186044416 + 5, 0, 0, 0, 5)")),
              ElementsAre(About("ages", "1 row(s)")));
  EXPECT_THAT(
      FindingsAfter(absl::StrCat(
          kUnchecked, "DELETE FROM age_clock; INSERT INTO age_marks VALUES (1, 3, 0, 0, 11)")),
      ElementsAre(About("ages", "1 row(s)")));
}

// One wrong bit of any of these, and every list that it is in was an answer that no client could
// read.
TEST_F(VerifyEventLogTest, TextsThatAreNotUtf8AreFound) {
  EXPECT_THAT(FindingsAfter("UPDATE subscriptions SET name = CAST(x'e2' AS TEXT)"),
              Contains(About("table subscriptions", "name of row 1 is not UTF-8")));
  EXPECT_THAT(FindingsAfter("UPDATE quarantine SET detail = CAST(x'ff41' AS TEXT)"),
              Contains(About("table quarantine", "detail of row 1")));
  EXPECT_THAT(FindingsAfter("UPDATE events SET secrets = CAST(x'c3' AS TEXT) WHERE sequence = 2"),
              Contains(About("table events", "secrets of row 2")));
  EXPECT_THAT(FindingsAfter("UPDATE log SET epoch = '00000000000000G1'"),
              Contains(About("events.db", "row of the table log is damaged")));
}

// It was sound, and could not be written, "to a readonly database".
TEST_F(VerifyEventLogTest, VersionsOfTheFormatThatThereAreNotAreFound) {
  for (const char version : {'\x03', '\x06', '\x82'}) {
    std::fstream file(database_path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(18);
    file.put(version);
    file.close();
    EXPECT_THAT(Verify().findings, Contains(About("events.db", "byte 18 of its header")));
    const absl::Status open = SqliteEventLog::Open({.data_dir = folder_}, nullptr).status();
    EXPECT_TRUE(absl::IsDataLoss(open)) << open;
  }
}

// A wrong bit made a webhook in quarantine, or a conflict, older than all others, and it was
// removed.
TEST_F(VerifyEventLogTest, PlacesInQuarantineThatCannotBeAreFound) {
  EXPECT_THAT(FindingsAfter("UPDATE quarantine SET touch = -127"),
              ElementsAre(About("quarantine entry 1", "its place")));
  EXPECT_THAT(FindingsAfter("UPDATE conflicts SET touch = 0"),
              Contains(About("conflict of event 1", "its place")));
}

// fsck waited for a pipe's writer for ever.
TEST_F(VerifyEventLogTest, WhatIsNoPlainFileIsNamed) {
  for (const char* const name : {"lock", "events.db-wal", "events.db"}) {
    const std::string path = absl::StrCat(folder_, "/", name);
    std::filesystem::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const absl::Status status = VerifyEventLog({.data_dir = folder_}).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path + " is not a plain file"));
    std::filesystem::remove(path);
  }
}

TEST_F(VerifyEventLogTest, MissingEventsAreFound) {
  EXPECT_THAT(FindingsAfter("DELETE FROM events WHERE sequence = 2"),
              Contains(About("events", "sequence 2 is missing")));
  EXPECT_THAT(FindingsAfter("DELETE FROM events WHERE sequence IN (1, 3)"),
              Contains(About("events", "sequences 1 to 3 are missing")));
}

TEST_F(VerifyEventLogTest, EventsBelowTheEarliestAreFound) {
  EXPECT_THAT(FindingsAfter("UPDATE log SET earliest_sequence = 2"),
              ElementsAre(About("event 1", "begins at sequence 2")));
}

TEST_F(VerifyEventLogTest, DamagedLogRowIsFound) {
  EXPECT_THAT(FindingsAfter("DELETE FROM log"), Contains(About("events.db", "log has no row")));
}

TEST_F(VerifyEventLogTest, DuplicatesAreFound) {
  const auto findings = FindingsAfter(
      "DROP INDEX other_events_by_time;"
      "INSERT INTO events SELECT 6, source, webhook_id, type, subject, failure, receive_time_us, "
      "envelope, raw_body, secrets FROM events WHERE sequence = 1");
  EXPECT_THAT(findings, Contains(About("event 1", "wh_1 of event 6")));
  EXPECT_THAT(findings, Contains(About("events.db", "other_events_by_time is missing")));
}

// Events 1 to 4 are in two runs of webhook ids, the fifth in none yet.
TEST_F(VerifyEventLogTest, EventsThatTheWebhookIndexHasLostAreFound) {
  folder_ = FreshTestFolder();
  {
    auto log = SqliteEventLog::Open({.data_dir = folder_, .webhooks_per_run = 2}, nullptr);
    ASSERT_TRUE(log.ok()) << log.status();
    for (int i = 1; i <= 5; ++i) Append(**log, absl::StrCat("wh_", i), BodyOf("batch.failed"));
  }
  EXPECT_THAT(Verify().findings, IsEmpty());
  EXPECT_THAT(FindingsAfter("UPDATE webhook_pages SET entries = zeroblob(length(entries)) "
                            "WHERE id < 3 * 1024"),
              ElementsAre(About("event 1", "not found by its webhook-id"),
                          About("event 2", "not found by its webhook-id")));
  EXPECT_THAT(FindingsAfter("UPDATE webhook_runs SET filter = zeroblob(length(filter))").size(), 4);
}

// What hookgate explain looks for events by was not looked at. Once the log is opened again, events
// 1 to 6 are in three runs of texts, the seventh in none yet.
TEST_F(VerifyEventLogTest, EventsThatTheTextIndexHasLostAreFound) {
  folder_ = FreshTestFolder();
  const SqliteEventLogOptions options = {.data_dir = folder_, .texts_per_run = 4};
  {
    auto log = SqliteEventLog::Open(options, nullptr);
    ASSERT_TRUE(log.ok()) << log.status();
    for (int i = 1; i <= 7; ++i) {
      Append(**log, absl::StrCat("wh_", i),
             absl::StrCat(R"({"id":"evt_)", i, R"(","type":"moon.landed","data":{"id":"moon"}})"));
    }
  }
  ASSERT_TRUE(SqliteEventLog::Open(options, nullptr).ok());
  EXPECT_THAT(Verify().findings, IsEmpty());
  EXPECT_THAT(FindingsAfter("INSERT INTO text_pieces VALUES (7, x'')"),
              ElementsAre(About("event 7", "cannot be found by its id")));
  EXPECT_THAT(FindingsAfter("DELETE FROM text_pieces; DELETE FROM text_runs "
                            "WHERE last_sequence = 2"),
              ElementsAre(About("event 1", "cannot be found by its id"),
                          About("event 2", "cannot be found by its id")));
  EXPECT_THAT(FindingsAfter("UPDATE text_pages SET entries = zeroblob(length(entries))"),
              ElementsAre(About("event 1", "cannot be found by its id"),
                          About("event 2", "cannot be found by its id"),
                          About("event 3", "cannot be found by its id"),
                          About("event 4", "cannot be found by its id"),
                          About("event 5", "cannot be found by its id"),
                          About("event 6", "cannot be found by its id")));
}

// Of very many events with one subject, a run keeps the newest: that is as it should be.
TEST_F(VerifyEventLogTest, RunThatLeavesOutOlderEventsOfOneSubjectIsSound) {
  folder_ = FreshTestFolder();
  const SqliteEventLogOptions options = {.data_dir = folder_, .texts_per_run = 1200};
  {
    auto log = SqliteEventLog::Open(options, nullptr);
    ASSERT_TRUE(log.ok()) << log.status();
    const std::string body = R"({"type":"moon.landed","data":{"id":"moon"}})";
    for (int i = 1; i <= 1500; ++i) AppendLater(**log, absl::StrCat("wh_", i), body);
    Append(**log, "the last", body);
  }
  ASSERT_TRUE(SqliteEventLog::Open(options, nullptr).ok());
  EXPECT_THAT(Verify().findings, IsEmpty());
}

TEST_F(VerifyEventLogTest, RepeatsThatCannotBeAreFound) {
  EXPECT_THAT(FindingsAfter("DELETE FROM repeats; INSERT INTO repeats VALUES (1, 2, 0, 5), "
                            "(2, 0, 0, 5), (3, -1, 2, 5), (4, 1, 0, -5), (9, 1, 0, 5)"),
              ElementsAre(About("repeats of event 2", "impossible"),
                          About("repeats of event 3", "impossible"),
                          About("repeats of event 4", "impossible"),
                          About("repeats of event 9", "does not exist")));
}

TEST_F(VerifyEventLogTest, EnvelopeThatDoesNotParseIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE events SET envelope = x'ffff' WHERE sequence = 4"),
              ElementsAre(About("event 4", "does not parse")));
}

TEST_F(VerifyEventLogTest, TraceThatIsNotValidIsFound) {
  // The field trace_parent (11) of the envelope, once more: "00".
  EXPECT_THAT(FindingsAfter("UPDATE events SET envelope = CAST(envelope || x'5a023030' AS BLOB) "
                            "WHERE sequence = 4"),
              ElementsAre(About("event 4", "trace that is not valid")));
}

TEST_F(VerifyEventLogTest, EnvelopeWithoutAPayloadIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE events SET envelope = x'' WHERE sequence = 4"),
              Contains(About("event 4", "no payload")));
}

TEST_F(VerifyEventLogTest, ColumnsThatDifferFromTheEnvelopeAreFound) {
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"source", "'other'"},  {"webhook_id", "'other'"},  {"type", "'batch.expired'"},
      {"subject", "'other'"}, {"receive_time_us", "123"},
  };
  for (const auto& [column, value] : changes) {
    EXPECT_THAT(FindingsAfter(absl::StrCat("UPDATE events SET ", column, " = ", value,
                                           " WHERE sequence = 4")),
                Contains(About("event 4", "column " + column)));
  }
  EXPECT_THAT(FindingsAfter("UPDATE events SET failure = 0 WHERE sequence = 1"),
              Contains(About("event 1", "failure")));
}

TEST_F(VerifyEventLogTest, BodyThatIsNotTheEventIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE events SET raw_body = x'7b7d' WHERE sequence = 1"),
              ElementsAre(About("event 1", "invalid_event")));
  EXPECT_THAT(FindingsAfter("UPDATE events SET raw_body = (SELECT raw_body FROM events WHERE "
                            "sequence = 4) WHERE sequence = 2"),
              Contains(About("event 2", "another type")));
  EXPECT_THAT(FindingsAfter("UPDATE events SET raw_body = x'7b7d' WHERE sequence = 3"),
              Contains(About("event 3", "payload is not its body")));
  EXPECT_THAT(FindingsAfter("UPDATE events SET raw_body = CAST(replace(CAST(raw_body AS TEXT), "
                            "'1750000000', '1750000001') AS BLOB) WHERE sequence = 5"),
              Contains(About("event 5", "another payload")));
}

TEST_F(VerifyEventLogTest, EventThatWasStoredWithFewerFieldsIsNoFinding) {
  // The field batch_completed (101) of the envelope, cut down to type: "batch.completed".
  auto log = OpenTemporaryLog(nullptr, folder_);
  absl::StatusOr<DecodedEvent> decoded = DecodeEvent(BodyOf("batch.completed"));
  decoded->event.mutable_batch_completed()->clear_id();
  absl::Notification done;
  log->Append(ComposeEvent(*std::move(decoded),
                           {.source = "openai",
                            .webhook_id = "older",
                            .webhook_time = kReceiveTime,
                            .receive_time = kReceiveTime},
                           BodyOf("batch.completed")),
              [&](const absl::StatusOr<AppendResult>&) { done.Notify(); });
  done.WaitForNotification();
  log.reset();
  const VerifyReport report = Verify();
  EXPECT_THAT(report.findings, IsEmpty()) << ReportText(report);
  EXPECT_EQ(report.older_schema, 1);
}

// Older versions took a subject of any length for a key, and kept a byte order mark.
TEST_F(VerifyEventLogTest, EventsThatWouldBeDecodedOtherwiseTodayAreNoFindings) {
  auto log = OpenTemporaryLog(nullptr, folder_);
  const auto append = [&log](const std::string& webhook_id, DecodedEvent decoded,
                             const std::string& body) {
    absl::Notification done;
    log->Append(ComposeEvent(std::move(decoded),
                             {.source = "openai",
                              .webhook_id = webhook_id,
                              .webhook_time = kReceiveTime,
                              .receive_time = kReceiveTime},
                             body),
                [&](const absl::StatusOr<AppendResult>&) { done.Notify(); });
    done.WaitForNotification();
  };
  const std::string subject(2 * kMaxKeyBytes, 's');
  DecodedEvent typed = *DecodeEvent(BodyOf("batch.failed"));
  typed.event.set_subject(subject);
  typed.event.mutable_batch_failed()->mutable_data()->set_id(subject);
  append("long", std::move(typed),
         SampleEventBody(*FindEventType("batch.failed"), subject, kReceiveTime));
  const std::string marked = "\xef\xbb\xbf{\"type\":\"unknown.thing\"}";
  DecodedEvent untyped = *DecodeEvent(marked);
  untyped.event.mutable_unrecognized()->set_raw_json(marked);
  append("marked", std::move(untyped), marked);
  append("unmarked", *DecodeEvent(marked), marked);
  log.reset();
  const VerifyReport report = Verify();
  EXPECT_THAT(report.findings, IsEmpty()) << ReportText(report);
  EXPECT_EQ(report.older_schema, 1);
}

TEST_F(VerifyEventLogTest, DamagedQuarantineIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE quarantine SET reason = ''"),
              ElementsAre(About("quarantine entry 1", "lacks")));
  EXPECT_THAT(FindingsAfter("DELETE FROM sqlite_sequence WHERE name = 'quarantine'"),
              Contains(About("quarantine entry 1", "never given")));
}

TEST_F(VerifyEventLogTest, DamagedConflictsAreFound) {
  EXPECT_THAT(FindingsAfter("UPDATE conflicts SET bytes = 7"),
              ElementsAre(About("conflict of event 1", "size")));
  EXPECT_THAT(FindingsAfter("UPDATE conflicts SET bytes = 5, source = '', receive_count = 0"),
              ElementsAre(About("conflict of event 1", "lacks"),
                          About("conflict of event 1", "never received")));
  EXPECT_THAT(FindingsAfter("UPDATE conflicts SET sequence = 6, source = 'a', receive_count = 1"),
              ElementsAre(About("conflict of event 6", "never existed")));
}

TEST_F(VerifyEventLogTest, DamagedSubscriptionsAreFound) {
  EXPECT_THAT(FindingsAfter("UPDATE subscriptions SET settings = x'ffff'"),
              ElementsAre(About("subscription billing", "settings do not parse")));
  EXPECT_THAT(FindingsAfter("UPDATE subscriptions SET position = 6"),
              Contains(About("subscription billing", "its position is 6; the newest event is 5")));
  EXPECT_THAT(FindingsAfter("UPDATE subscriptions SET void_delivery = 5"),
              Contains(About("subscription billing", "up to 5 are void")));
  EXPECT_THAT(FindingsAfter("INSERT INTO bulk_jobs VALUES (1, 7, x'ffff'), (99, 1, x'')"),
              IsSupersetOf({About("subscription billing", "its job 7: it cannot be read"),
                            About("subscription #99", "has job 1")}));
}

TEST_F(VerifyEventLogTest, UnsettledEventsThatCannotBeAreFound) {
  EXPECT_THAT(FindingsAfter("UPDATE subscriptions SET position = 2"),
              ElementsAre(About("subscription billing", "event 3 is after its position, 2")));
  EXPECT_THAT(FindingsAfter("UPDATE subscriptions SET position = 4, last_delivery = 2"),
              ElementsAre(About("subscription billing", "has delivery 3; the last one was 2")));
  EXPECT_THAT(FindingsAfter("UPDATE subscriptions SET last_delivery = 4, void_delivery = 3"),
              ElementsAre(About("subscription billing", "held by delivery 3, which is void")));
  EXPECT_THAT(FindingsAfter("UPDATE unsettled_events SET sequence = 7"),
              Contains(About("subscription billing", "event 7 is not in the log")));
}

TEST_F(VerifyEventLogTest, VoidDeliveriesOfOneEventThatCannotBeAreFound) {
  EXPECT_THAT(FindingsAfter("UPDATE unsettled_events SET void_delivery = 3"),
              ElementsAre(About("subscription billing", "held by delivery 3, which is void")));
  EXPECT_THAT(FindingsAfter("UPDATE unsettled_events SET void_delivery = 0;"
                            "UPDATE dead_letters SET void_delivery = 9"),
              ElementsAre(About("subscription billing",
                                "event 2 has void deliveries up to 9; the last one was 4")));
}

TEST_F(VerifyEventLogTest, HistoryThatCannotBeIsFound) {
  EXPECT_THAT(FindingsAfter("UPDATE delivery_history SET outcome = 99 WHERE sequence = 1"),
              ElementsAre(About("subscription billing", "event 1 has an unknown outcome")));
  EXPECT_THAT(FindingsAfter("UPDATE delivery_history SET outcome = 1, sequence = 99 "
                            "WHERE sequence = 1"),
              ElementsAre(About("subscription billing", "event 99 is of an event that never was")));
  EXPECT_THAT(FindingsAfter("UPDATE delivery_history SET sequence = 1, head = 6 "
                            "WHERE sequence = 99"),
              ElementsAre(About("subscription billing", "when event 6 was the newest")));
  EXPECT_THAT(FindingsAfter("UPDATE delivery_history SET head = 5; "
                            "UPDATE delivery_history SET attempts = x'ff' WHERE sequence = 2"),
              ElementsAre(About("subscription billing", "event 2 cannot be read")));
  EXPECT_THAT(FindingsAfter("UPDATE delivery_history SET attempts = x'', attempt_count = -1 "
                            "WHERE sequence = 2"),
              ElementsAre(About("subscription billing", "counts -1 attempts")));
}

TEST_F(VerifyEventLogTest, MovesThatCannotBeAreFound) {
  EXPECT_THAT(FindingsAfter("UPDATE subscription_moves SET kind = 99"),
              ElementsAre(About("subscription billing", "of an unknown kind")));
  EXPECT_THAT(FindingsAfter("UPDATE subscription_moves SET kind = 1, to_sequence = 99"),
              ElementsAre(About("subscription billing", "from 0 to 99")));
  EXPECT_THAT(FindingsAfter("UPDATE subscription_moves SET to_sequence = 0, settings = x'ff'"),
              ElementsAre(About("subscription billing", "settings do not parse")));
  EXPECT_THAT(FindingsAfter("UPDATE subscription_moves SET settings = x'', subscription = 99"),
              ElementsAre(About("#99", "does not exist")));
}

TEST_F(VerifyEventLogTest, DeliveryThatHoldsTwoEventsIsFound) {
  Damage(
      "CREATE TEMP TABLE t AS SELECT * FROM unsettled_events; UPDATE t SET sequence = 4;"
      "INSERT INTO unsettled_events SELECT * FROM t");
  EXPECT_THAT(Verify().findings,
              ElementsAre(About("subscription billing", "delivery 3 holds 2 events")));
}

TEST_F(VerifyEventLogTest, DeadLettersThatCannotBeAreFound) {
  EXPECT_THAT(FindingsAfter("UPDATE dead_letters SET cause = 99"),
              ElementsAre(About("subscription billing", "dead event 2")));
  EXPECT_THAT(FindingsAfter("UPDATE dead_letters SET cause = 2, sequence = 99"),
              ElementsAre(About("subscription billing", "dead event 99 is not in the log")));
}

TEST_F(VerifyEventLogTest, DeadLetterOutlivesItsEvent) {
  {
    auto log = OpenTemporaryLog(nullptr, folder_);
    ASSERT_EQ(*log->Trim({5, 5}), 5);
  }
  EXPECT_THAT(Verify().findings, IsEmpty());
}

TEST_F(VerifyEventLogTest, RowsOfNoSubscriptionAreFound) {
  const auto findings = FindingsAfter("DELETE FROM subscriptions");
  EXPECT_THAT(findings, ElementsAre(About("subscription #1", "has unsettled event 3"),
                                    About("subscription #1", "has dead event 2"),
                                    About("#1", "does not exist, but has moves")));
}

TEST_F(VerifyEventLogTest, IndexWithoutTheRowIsFound) {
  Damage(
      "PRAGMA writable_schema = ON;"
      "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = "
      "'quarantine_by_time') WHERE name = 'other_events_by_time'");
  EXPECT_THAT(Verify().findings, Contains(About("events.db", "other_events_by_time")));
}

TEST_F(VerifyEventLogTest, OtherTablesAreFound) {
  EXPECT_THAT(FindingsAfter("CREATE TABLE mine (x)"),
              ElementsAre(About("events.db", "mine is not in the schema")));
}

TEST_F(VerifyEventLogTest, FindingsAreBoundedAndAllAreCounted) {
  Damage("UPDATE events SET envelope = x'ffff'");
  const VerifyReport report = Verify(/*max_findings=*/2);
  EXPECT_EQ(report.findings.size(), 2);
  EXPECT_EQ(report.total_findings, 5);
  EXPECT_THAT(ReportText(report), HasSubstr("3 more"));
  EXPECT_THAT(ReportText(report), HasSubstr("NOT SOUND: 5 finding(s)"));
}

TEST_F(VerifyEventLogTest, FindingsHoldNothingThatATerminalActsOn) {
  const auto findings =
      FindingsAfter("UPDATE subscriptions SET name = 'a' || char(27) || '[2J', lost = -1");
  EXPECT_THAT(findings, ElementsAre(About("subscription a\\x1b[2J", "lost")));
}

// Whatever page is damaged, the check ends, and says so.
TEST_F(VerifyEventLogTest, EveryDamagedPageIsFound) {
  constexpr int64_t kPage = 4096;
  const int64_t size = static_cast<int64_t>(std::filesystem::file_size(database_path()));
  std::ifstream file(database_path(), std::ios::binary);
  const std::string sound((std::istreambuf_iterator<char>(file)), {});
  file.close();
  for (int64_t at = 0; at < size; at += kPage) {
    std::string damaged = sound;
    damaged.replace(static_cast<size_t>(at), kPage, std::string(kPage, '\x5a'));
    std::ofstream(database_path(), std::ios::binary | std::ios::trunc) << damaged;
    const VerifyReport report = Verify();
    EXPECT_GT(report.total_findings, 0) << "page " << at / kPage + 1;
  }
}

// A copy whose write-ahead log was cut on the way has fewer events and is sound: nothing told.
TEST_F(VerifyEventLogTest, HowMuchOfTheWriteAheadLogHoldsCommitsIsSaid) {
  const std::string copy = FreshTestFolder() + "/copy.db";
  std::filesystem::create_directories(std::filesystem::path(copy).parent_path());
  {
    auto log = OpenTemporaryLog(nullptr, folder_);
    Append(*log, "wh_7", BodyOf("batch.failed"));
    Append(*log, "wh_8", BodyOf("batch.failed"));
    for (const char* suffix : {"", "-wal"}) {
      std::filesystem::copy_file(folder_ + "/events.db" + suffix, copy + suffix);
    }
  }
  const absl::StatusOr<VerifyReport> whole = VerifyEventLog({.data_dir = copy});
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->head_sequence, 7);
  EXPECT_GT(whole->used_wal_bytes, 0);
  EXPECT_THAT(ReportText(*whole),
              HasSubstr(absl::StrCat("-wal           ", whole->used_wal_bytes, " of its ",
                                     whole->wal_bytes, " bytes hold commits")));
  std::filesystem::resize_file(copy + "-wal", static_cast<uintmax_t>(whole->used_wal_bytes) - 1);
  const absl::StatusOr<VerifyReport> cut = VerifyEventLog({.data_dir = copy});
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_EQ(cut->wal_bytes, whole->used_wal_bytes - 1);
  EXPECT_LT(cut->used_wal_bytes, whole->used_wal_bytes);
  EXPECT_EQ(cut->head_sequence, 6);
}

}  // namespace
}  // namespace hookgate
