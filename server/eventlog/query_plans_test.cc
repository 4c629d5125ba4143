// No statement of the log may walk through a table that grows.
//
// SQLite itself tells which statements there are: each connection that the process opens is
// watched, and whenever one of its statements starts, all that are prepared on it are noted. So a
// statement is found without being listed anywhere, once any call of the log's interfaces gets to
// it; a new call belongs into UseEveryCall.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/store/database.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::set<std::string> kTablesThatGrow = {
    "events",        "quarantine",     "unsettled_events",    "dead_letters",     "webhook_runs",
    "webhook_pages", "webhook_pieces", "receive_time_blocks", "age_marks",        "repeats",
    "text_runs",     "text_pages",     "text_pieces",         "delivery_history", "conflicts"};

// Statements that may walk a table that grows, and what ends the walk.
const std::map<std::string, std::string>& Exceptions() {
  static const auto* const exceptions = new std::map<std::string, std::string>{
      {"SELECT sequence, length(envelope) + length(raw_body) FROM events ORDER BY sequence LIMIT "
       "?1",
       "in the table's own order, and ends at the limit"},
      {"SELECT count(*) FROM delivery_history",
       "once a minute, in an index, beside the writer; retention keeps the history at its maximum"},
      {"SELECT id, head FROM delivery_history ORDER BY id LIMIT ?1",
       "in the table's own order, and ends at the limit"},
      {"SELECT last_sequence, filter FROM webhook_runs ORDER BY last_sequence",
       "once, at the start; a row for each 262,144 events"},
      {"SELECT last_sequence, filter FROM text_runs ORDER BY last_sequence",
       "once, at the start; a row for each 262,144 events"},
      {"SELECT count(*) FROM quarantine", "retention keeps the quarantine at its maximum"},
      {"SELECT touch FROM quarantine ORDER BY touch DESC LIMIT 1 OFFSET ?1",
       "passes over the quarantine's maximum, once a minute, in an index"},
      {"SELECT touch, bytes FROM conflicts ORDER BY touch DESC",
       "ends at the maximum of conflicts, once a minute, in an index"},
      {"SELECT sequence, receive_time_us FROM events INDEXED BY failures_by_time WHERE failure = 1",
       "once, for a log of an older version, in an index"},
      {"SELECT sequence, receive_time_us FROM events INDEXED BY other_events_by_time WHERE failure "
       "= 0",
       "once, for a log of an older version, in an index"},
      {"UPDATE quarantine SET touch = place FROM (\n"
       "  SELECT id AS entry, row_number() OVER (ORDER BY last_receive_time_us, id) AS place\n"
       "  FROM quarantine) WHERE id = entry;",
       "once, for a log of an older version"},
      {"SELECT running_us, last_sequence, last_touch, credit_us FROM age_marks ORDER BY running_us",
       "once, at the start; a row for each hour"},
      {"\nSELECT (SELECT count(*) FROM age_marks\n"
       "        WHERE sum IS NOT running_us + 3 * last_sequence + 5 * last_touch + 7 * credit_us) "
       "+\n"
       "       (SELECT count(*) FROM age_clock\n"
       "        WHERE sum IS NOT running_us + 3 * trusted + 5 * trusted_wall_us + 7 * "
       "trusted_running_us)",
       "once, at the start; a row for each hour"},
  };
  return *exceptions;
}

absl::Mutex mu;
std::set<std::string>* const statements ABSL_GUARDED_BY(mu) = new std::set<std::string>;

int NoteStatements(unsigned, void* connection, void*, void*) {
  absl::MutexLock lock(&mu);
  auto* const handle = static_cast<sqlite3*>(connection);
  for (sqlite3_stmt* each = sqlite3_next_stmt(handle, nullptr); each != nullptr;
       each = sqlite3_next_stmt(handle, each)) {
    statements->insert(sqlite3_sql(each));
  }
  return 0;
}

int WatchConnection(sqlite3* connection, const char**, const sqlite3_api_routines*) {
  return sqlite3_trace_v2(connection, SQLITE_TRACE_STMT, &NoteStatements, connection);
}

// The lines of EXPLAIN QUERY PLAN.
std::vector<std::string> PlanOf(Database& database, const std::string& sql) {
  auto statement = database.Prepare("EXPLAIN QUERY PLAN " + sql);
  EXPECT_TRUE(statement.ok()) << statement.status();
  std::vector<std::string> lines;
  while (statement.ok() && statement->Step().value_or(false)) {
    lines.emplace_back(statement->ColumnText(3));
  }
  return lines;
}

// A line that walks through a table that grows: "SCAN events", "SCAN quarantine USING INDEX ...".
// SEARCH goes to a row or a range by a key. A sort reads all of its input before the first row.
bool WalksOrSorts(const std::string& line) {
  if (absl::StartsWith(line, "USE TEMP B-TREE")) return true;
  if (!absl::StartsWith(line, "SCAN ")) return false;
  const std::string table = line.substr(5, line.find(' ', 5) - 5);
  return kTablesThatGrow.count(table) > 0;
}

// What makes the schema has no plan.
bool NamesATableThatGrows(const std::string& sql) {
  for (const absl::string_view schema : {"CREATE ", "DROP ", "ALTER "}) {
    if (absl::StrContains(sql, schema)) return false;
  }
  for (const std::string& table : kTablesThatGrow) {
    if (absl::StrContains(sql, table)) return true;
  }
  return false;
}

// The statements that scan, with their plans.
std::vector<std::string> Scans(Database& database, const std::set<std::string>& all) {
  std::vector<std::string> scans;
  for (const std::string& sql : all) {
    if (!NamesATableThatGrows(sql)) continue;
    const std::vector<std::string> plan = PlanOf(database, sql);
    for (const std::string& line : plan) {
      if (!WalksOrSorts(line)) continue;
      scans.push_back(absl::StrCat(sql, "\n=> ", absl::StrJoin(plan, "\n=> ")));
      break;
    }
  }
  return scans;
}

constexpr Sequence kLast = std::numeric_limits<Sequence>::max();
const auto kAll = [](const StoredEvent&) { return true; };

void UseEventCalls(SqliteEventLog& log) {
  for (const char* const id : {"a", "b", "c"}) AppendEvent(log, {.webhook_id = id});
  TryAppend(log, {.webhook_id = "a"}).IgnoreError();
  for (const bool newest_first : {true, false}) {
    for (const bool failures_only : {true, false}) {
      for (const bool first_page : {true, false}) {
        ListQuery query = {.newest_first = newest_first, .failures_only = failures_only};
        if (!first_page) query.after = TimePosition{absl::UnixEpoch(), 1};
        EXPECT_TRUE(log.List(query, kAll, {}).ok());
      }
    }
  }
  EXPECT_TRUE(log.CountFailures({}, absl::nullopt, 10).ok());
  EXPECT_TRUE(log.CountFailures({}, EventPredicate(kAll), 10).ok());
  const auto look = [](const EventContent&) {};
  for (const bool include_raw_body : {true, false}) {
    const ReadLimits limits = {.include_raw_body = include_raw_body};
    EXPECT_TRUE(log.Read(0, kAll, limits).ok());
    EXPECT_TRUE(log.Scan(0, absl::nullopt, limits, look).ok());
    EXPECT_TRUE(log.Scan(0, EventPredicate(kAll), limits, look).ok());
  }
  EXPECT_TRUE(log.FirstAtOrAfter(absl::UnixEpoch()).ok());
  EXPECT_TRUE(log.Get(1).ok());
  EXPECT_TRUE(log.Find("openai", "a").ok());
  EXPECT_TRUE(log.FindByText("batch_1", {}, 10, [](const std::string&) { return true; }).ok());
  EXPECT_TRUE(log.GetArrival(1).ok());
}

void UseQuarantineCalls(SqliteEventLog& log) {
  for (const char* const id : {"q1", "q2", "q3"}) {
    PutIntoQuarantine(log, {.source = "openai", .webhook_id = id});
  }
  for (const char* const source : {"", "openai"}) {
    EXPECT_TRUE(log.ListQuarantined(source, 1000, 10).ok());
  }
  EXPECT_TRUE(log.GetQuarantined(1).ok());
  EXPECT_TRUE(log.FindQuarantined("openai", "q1", 10).ok());
  EXPECT_TRUE(log.SummarizeQuarantine().ok());
  auto event = std::make_unique<StoredEvent>();
  event->source = "openai";
  event->webhook_id = "q1";
  EXPECT_TRUE(Release(log, 1, std::move(event)).ok());
  EXPECT_TRUE(Discard(log, 2).ok());
  EXPECT_TRUE(log.TrimQuarantine({.touch = 1, .max_entries = 10}).ok());
}

void UseConflictCalls(SqliteEventLog& log) {
  AppendEvent(log, {.webhook_id = "twice"});
  for (const char* const body : {"1", "2"}) {
    EXPECT_TRUE(TryAppend(log, {.webhook_id = "twice", .raw_body = body}).ok());
  }
  for (const char* const source : {"", "openai"}) {
    EXPECT_TRUE(log.ListConflicts(source, 1000, 10).ok());
  }
  const Sequence sequence = log.Position().head;
  EXPECT_TRUE(log.GetConflict(sequence).ok());
  EXPECT_TRUE(log.TrimConflicts({.touch = 1, .max_entries = 10, .max_bytes = 1000}).ok());
  absl::Notification discarded;
  log.DiscardConflict(sequence, [&](const absl::Status& status) {
    EXPECT_TRUE(status.ok()) << status;
    discarded.Notify();
  });
  discarded.WaitForNotification();
}

void UseSubscriptionCalls(SqliteEventLog& log) {
  const auto id = CreateSubscription(log, "one", "settings", absl::UnixEpoch(), 0);
  ASSERT_TRUE(id.ok()) << id.status();
  auto changes = std::make_unique<SubscriptionChanges>();
  changes->position.emplace();
  changes->settings = "other settings";
  changes->unsettled.push_back({.sequence = 1});
  changes->forget_unsettled = true;
  changes->settled.push_back(2);
  changes->dead.push_back({.sequence = 3});
  changes->no_longer_dead.push_back(4);
  for (int i = 0; i < 2; ++i) {  // A new row, and one that is there.
    changes->history.push_back({.sequence = 5, .outcome = DeliveryOutcome::kAcked});
  }
  changes->moves.push_back({.kind = SubscriptionMove::Kind::kLost, .from = 1, .to = 2});
  absl::Notification written;
  log.WriteSubscription(*id, std::move(changes), [&](const absl::Status& status) {
    EXPECT_TRUE(status.ok()) << status;
    written.Notify();
  });
  written.WaitForNotification();
  EXPECT_TRUE(log.LoadSubscriptions().ok());
  EXPECT_TRUE(log.LoadSubscription(*id).ok());
  EXPECT_TRUE(log.LoadDeadLetters(*id, 0, 10).ok());
  EXPECT_TRUE(log.LoadNackReasons(*id, {1}).ok());
  EXPECT_TRUE(log.ExplainEvent(6, {*id}).ok());
  for (const bool newest_first : {true, false}) {
    EXPECT_TRUE(log.ScanDeliveries(*id, {.newest_first = newest_first}).ok());
  }
  EXPECT_TRUE(log.LoadAges(absl::UnixEpoch()).ok());
  EXPECT_TRUE(
      log.StoreAges({.marks = {{}}, .clock = AgeClock(), .first_mark = absl::Hours(1)}).ok());
  EXPECT_TRUE(log.Trim({kLast, kLast}).ok());
  EXPECT_TRUE(log.Trim({.max_bytes = 1}).ok());
  EXPECT_TRUE(log.UsedBytes().ok());
  EXPECT_TRUE(DeleteSubscription(log, *id).ok());
  EXPECT_EQ(log.TrimHistory({.max_rows = 10}).value_or(0), 1);
  EXPECT_EQ(log.TrimHistory({.max_rows = 0}).value_or(1), 0);
  EXPECT_TRUE(log.Trim({kLast, kLast}).ok());
}

// Every call of EventLog, QuarantineLog, ConflictLog, SubscriptionLog and RetentionTarget, with
// each kind of argument that may lead to another statement. Twice: a log is opened new, and opened
// again.
void UseEveryCall(const std::string& folder) {
  {
    auto log = SqliteEventLog::Open({.data_dir = folder, .webhooks_per_run = 2, .texts_per_run = 2},
                                    nullptr);
    ASSERT_TRUE(log.ok()) << log.status();
    UseEventCalls(**log);
    UseQuarantineCalls(**log);
    UseConflictCalls(**log);
    UseSubscriptionCalls(**log);
  }
  OpenTemporaryLog(nullptr, folder);
}

class QueryPlansTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    using EntryPoint = void (*)();
    ASSERT_EQ(sqlite3_auto_extension(reinterpret_cast<EntryPoint>(&WatchConnection)), SQLITE_OK);
    folder_ = new std::string(FreshTestFolder());
    UseEveryCall(*folder_);
    absl::MutexLock lock(&mu);
    used_ = new std::set<std::string>(*statements);
  }

  static std::unique_ptr<Database> OpenDatabase() {
    return *Database::Open(*folder_ + "/events.db", Database::Mode::kReadWrite);
  }

  static std::string* folder_;
  static std::set<std::string>* used_;
};
std::string* QueryPlansTest::folder_ = nullptr;
std::set<std::string>* QueryPlansTest::used_ = nullptr;

TEST_F(QueryPlansTest, NoStatementWalksThroughATableThatGrows) {
  std::set<std::string> judged = *used_;
  for (const auto& [sql, reason] : Exceptions()) {
    EXPECT_EQ(judged.erase(sql), 1) << "no longer used, though excepted: " << sql;
  }
  EXPECT_THAT(Scans(*OpenDatabase(), judged), IsEmpty());
}

// Were nothing found, nothing could fail.
TEST_F(QueryPlansTest, StatementsOfEveryPartAreSeen) {
  for (const char* const part :
       {"INTO events (sequence", "DELETE FROM events", "INSERT INTO webhook_pages",
        "DELETE FROM webhook_pages", "FROM webhook_pages WHERE id",
        "INDEXED BY other_events_by_time", "INDEXED BY failures_by_time", "MAX(sequence)",
        "FROM quarantine WHERE id < ", "INSERT INTO quarantine", "INTO unsettled_events",
        "FROM unsettled_events WHERE subscription", "INTO dead_letters",
        "FROM dead_letters WHERE subscription", "UPDATE subscriptions", "pragma_freelist_count"}) {
    EXPECT_THAT(*used_, testing::Contains(HasSubstr(part)));
  }
}

TEST_F(QueryPlansTest, WhatScansIsRecognised) {
  const auto database = OpenDatabase();
  for (const char* const sql :
       {"SELECT count(*) FROM events", "SELECT sequence FROM events WHERE subject = ?1",
        "DELETE FROM events WHERE type = ?1",
        "SELECT sequence FROM events WHERE sequence > ?1 ORDER BY type",
        "UPDATE unsettled_events SET leased = 0 WHERE due_us < ?1"}) {
    EXPECT_EQ(Scans(*database, {sql}).size(), 1) << sql;
  }
}

}  // namespace
}  // namespace hookgate
