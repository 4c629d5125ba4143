#include "server/replication/row_effects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/replication/record.h"

namespace hookgate {
namespace {

using replication::v1::Record;
using replication::v1::Rows;

constexpr char kSchema[] = R"sql(
CREATE TABLE things (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, body BLOB NOT NULL,
  size INTEGER NOT NULL DEFAULT 7, note TEXT NOT NULL DEFAULT 'none');
CREATE TABLE pairs (
  a INTEGER NOT NULL, b TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE own (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
)sql";

// Two databases; what the first one commits, the second one applies.
class RowEffectsTest : public testing::Test {
 protected:
  struct Side {
    std::unique_ptr<Database> database;
    std::unique_ptr<RowEffects> effects;
  };

  RowEffectsTest() {
    for (Side* side : {&leader_, &follower_}) {
      side->database = *Database::Open(FreshPath(), Database::Mode::kCreate);
      EXPECT_TRUE(side->database->Execute(kSchema).ok());
      side->effects = *RowEffects::Open(*side->database, {"things", "pairs"});
    }
  }

  static std::string FreshPath() {
    static int count = 0;
    return absl::StrCat(testing::TempDir(), "/effects_", getpid(), "_", ++count, ".db");
  }

  // What a transaction of `sql` changes at the leader.
  Record Commit(const std::string& sql) {
    auto transaction = *Transaction::Begin(*leader_.database, Transaction::Kind::kWrite);
    auto capture = *leader_.effects->BeginCapture();
    EXPECT_TRUE(leader_.database->Execute(sql).ok()) << sql;
    Record record;
    EXPECT_TRUE(leader_.effects->Collect(*capture, record).ok());
    EXPECT_TRUE(capture->MayHaveChanges() || record.entries_size() == 0) << sql;
    EXPECT_TRUE(transaction.Commit().ok());
    return record;
  }

  // By bytes, as it comes from the log.
  absl::Status Apply(const Record& record) {
    Record read;
    EXPECT_TRUE(read.ParseFromString(record.SerializeAsString()));
    auto transaction = *Transaction::Begin(*follower_.database, Transaction::Kind::kWrite);
    for (const auto& entry : read.entries()) {
      RETURN_IF_ERROR(follower_.effects->Apply(entry.rows()));
    }
    return transaction.Commit();
  }

  static std::vector<std::string> Dump(Side& side) {
    std::vector<std::string> rows;
    for (const char* sql :
         {"SELECT id || '|' || name || '|' || hex(body) || '|' || size || '|' || note FROM things "
          "ORDER BY id",
          "SELECT a || '|' || b || '|' || value FROM pairs ORDER BY a, b"}) {
      auto statement = *side.database->Prepare(sql);
      while (*statement.Step()) rows.emplace_back(statement.ColumnText(0));
    }
    return rows;
  }

  void ExpectSame() { EXPECT_EQ(Dump(leader_), Dump(follower_)); }

  Side leader_;
  Side follower_;
};

// The version before lacks the table pairs and the column note.
TEST_F(RowEffectsTest, NothingIsAddedThatAnOlderReplicaCannotApply) {
  auto older = *Database::Open(":memory:", Database::Mode::kCreate);
  ASSERT_TRUE(older
                  ->Execute("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL, body "
                            "BLOB NOT NULL, size INTEGER NOT NULL DEFAULT 7)")
                  .ok());
  auto shape = *RowEffects::ReadShape(*older, {"things", "pairs"});
  EXPECT_EQ(shape.size(), 1u);
  leader_.effects->LimitTo(shape);
  const auto collect = [&](const std::string& sql, RowEffects::Limit limit) {
    auto transaction = *Transaction::Begin(*leader_.database, Transaction::Kind::kWrite);
    auto capture = *leader_.effects->BeginCapture();
    EXPECT_TRUE(leader_.database->Execute(sql).ok()) << sql;
    Record record;
    return leader_.effects->Collect(*capture, record, limit);
  };
  const std::string kOld = "INSERT INTO things (name, body) VALUES ('a', x'00')";
  const std::string kColumn = "INSERT INTO things (name, body, note) VALUES ('b', x'', 'new')";
  const std::string kTable = "INSERT INTO pairs VALUES (1, 'x', 10)";
  EXPECT_TRUE(collect(kOld, RowEffects::Limit::kKept).ok()) << "the default is left out";
  for (const auto& [sql, where] :
       {std::pair(kColumn, "column things.note"), std::pair(kTable, "table pairs"),
        std::pair(kOld + ";" + kColumn, "column things.note")}) {
    const absl::Status refused = collect(sql, RowEffects::Limit::kKept);
    EXPECT_EQ(ReasonOf(refused), reason::kUpgradeUnfinished) << sql;
    EXPECT_THAT(std::string(refused.message()), testing::HasSubstr(where));
    EXPECT_TRUE(collect(sql, RowEffects::Limit::kLifted).ok());
  }
  leader_.effects->LimitTo(absl::nullopt);
  EXPECT_TRUE(collect(kTable, RowEffects::Limit::kKept).ok());
}

TEST_F(RowEffectsTest, WhateverATransactionDoesIsDoneThere) {
  for (const char* sql : {
           "INSERT INTO things (name, body) VALUES ('a', x'00ff'), ('b', x''), ('', x'01');"
           "INSERT INTO pairs VALUES (1, 'x', 10), (1, 'y', 11), (2, 'x', 12)",
           "UPDATE things SET size = size + 1 WHERE name <> 'b';"
           "UPDATE things SET note = 'some', body = x'22' WHERE name = 'a'",
           // Several changes of one row are one.
           "INSERT INTO things (name, body) VALUES ('c', x'33'); UPDATE things SET size = 9 WHERE "
           "name = 'c'; UPDATE things SET size = 10 WHERE name = 'c'",
           "INSERT INTO things (name, body) VALUES ('gone', x''); DELETE FROM things WHERE name = "
           "'gone'; UPDATE things SET note = note",
           // A row takes the place and the name of another one.
           "DELETE FROM things WHERE name = 'a'; INSERT INTO things (name, body) VALUES ('a', x'')",
           "INSERT OR REPLACE INTO pairs VALUES (1, 'x', 99), (3, 'z', 1)",
           "INSERT INTO pairs VALUES (1, 'x', 5) ON CONFLICT (a, b) DO UPDATE SET value = value + "
           "1",
           "INSERT OR REPLACE INTO things (name, body) VALUES ('b', x'44')",
           "UPDATE pairs SET b = 'moved' WHERE a = 2",
           "DELETE FROM pairs WHERE a = 1",
           "DELETE FROM things",
           "INSERT INTO things (name, body, size) VALUES ('new', x'55', 7)",
           "UPDATE things SET size = -1, id = id + 100",
       }) {
    const Record record = Commit(sql);
    const absl::Status applied = Apply(record);
    ASSERT_TRUE(applied.ok()) << sql << ": " << applied << "\n" << record.DebugString();
    ExpectSame();
  }
}

TEST_F(RowEffectsTest, WhatChangesNothingSharedHasNoEntries) {
  EXPECT_EQ(Commit("INSERT INTO own VALUES (1, 1)").entries_size(), 0);
  EXPECT_EQ(Commit("UPDATE things SET size = 1").entries_size(), 0);
}

// A column that is new, and that nobody uses yet, does not keep an older replica from reading on.
TEST_F(RowEffectsTest, ColumnsThatHaveTheirDefaultsAreLeftOutOfNewRows) {
  const Record plain = Commit("INSERT INTO things (name, body) VALUES ('a', x'01'), ('b', x'02')");
  std::vector<std::string> names;
  for (const auto& column : plain.entries(0).rows().columns()) names.push_back(column.name());
  EXPECT_THAT(names, testing::ElementsAre("id", "name", "body"));
  ASSERT_TRUE(Apply(plain).ok());
  const Record one =
      Commit("INSERT INTO things (name, body, size) VALUES ('c', x'', 7), ('d', x'', 8)");
  EXPECT_EQ(one.entries(0).rows().columns_size(), 4) << "one of the two has another value";
  ASSERT_TRUE(Apply(one).ok());
  const Record back = Commit("UPDATE things SET size = 7 WHERE name = 'd'");
  ASSERT_TRUE(Apply(back).ok()) << "a change to the default is a change";
  ExpectSame();
}

TEST_F(RowEffectsTest, DeletedRowsAreNamedByTheirKeyAlone) {
  ASSERT_TRUE(Apply(Commit("INSERT INTO things (name, body) VALUES ('a', zeroblob(10000))")).ok());
  const Record record = Commit("DELETE FROM things");
  EXPECT_LT(record.ByteSizeLong(), 100);
  ASSERT_TRUE(Apply(record).ok());
  ExpectSame();
}

TEST_F(RowEffectsTest, WhatContradictsIsRefusedAndChangesNothing) {
  const Record insert = Commit("INSERT INTO things (name, body) VALUES ('a', x'01')");
  const Record update = Commit("UPDATE things SET size = 3");
  const Record remove = Commit("DELETE FROM things");
  const auto expect_contradicts = [&](const Record& record) {
    const auto before = Dump(follower_);
    const absl::Status status = Apply(record);
    EXPECT_EQ(ReasonOf(status), record_reason::kRecordContradicts) << status;
    EXPECT_EQ(Dump(follower_), before);
  };
  expect_contradicts(update);
  expect_contradicts(remove);
  ASSERT_TRUE(Apply(insert).ok());
  expect_contradicts(insert);
  ASSERT_TRUE(Apply(remove).ok());
  // One of several does.
  Record both = insert;
  *both.add_entries() = remove.entries(0);
  *both.add_entries() = remove.entries(0);
  expect_contradicts(both);
}

TEST_F(RowEffectsTest, WhatIsNotKnownHereIsRefusedByName) {
  const Record insert = Commit("INSERT INTO things (name, body) VALUES ('a', x'01')");
  const auto status_of = [&](auto change) {
    Record record = insert;
    change(*record.mutable_entries(0)->mutable_rows());
    return Apply(record);
  };
  const auto expect = [](const absl::Status& status, const char* reason, const char* what) {
    EXPECT_EQ(ReasonOf(status), reason) << status;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(what));
  };
  const char* const unknown = record_reason::kRecordUnknown;
  const char* const contradicts = record_reason::kRecordContradicts;
  expect(status_of([](Rows& rows) { rows.set_table("own"); }), unknown, "own");
  expect(status_of([](Rows& rows) { rows.set_table("things; DROP TABLE things"); }), unknown,
         "DROP");
  expect(status_of([](Rows& rows) { rows.mutable_columns(2)->set_name("colour"); }), unknown,
         "things.colour");
  expect(status_of([](Rows& rows) { rows.set_kind(static_cast<Rows::Kind>(9)); }), unknown,
         "things");
  // Rows that are not whole.
  expect(status_of([](Rows& rows) { rows.mutable_columns(0)->add_integers(2); }), contradicts,
         "values");
  expect(status_of([](Rows& rows) { rows.mutable_columns(1)->add_blobs("of another type"); }),
         contradicts, "things.name");
  expect(status_of([](Rows& rows) { *rows.add_columns() = rows.columns(1); }), contradicts,
         "things.name");
  expect(status_of([](Rows& rows) { rows.mutable_columns()->DeleteSubrange(0, 1); }), contradicts,
         "which rows");
  expect(status_of([](Rows& rows) { rows.clear_columns(); }), contradicts, "which rows");
  expect(status_of([](Rows& rows) { rows.set_kind(Rows::KIND_DELETE); }), contradicts,
         "which rows");
  expect(status_of([](Rows& rows) { rows.mutable_columns()->DeleteSubrange(1, 2); }), contradicts,
         "things");
  EXPECT_TRUE(Dump(follower_).empty());
}

TEST_F(RowEffectsTest, TablesThatRecordsCannotHoldAreRefused) {
  Database& database = *leader_.database;
  ASSERT_TRUE(database
                  .Execute("CREATE TABLE reals (id INTEGER PRIMARY KEY, x REAL NOT NULL);"
                           "CREATE TABLE keyless (x INTEGER NOT NULL)")
                  .ok());
  EXPECT_FALSE(RowEffects::Open(database, {"reals"}).ok());
  EXPECT_FALSE(RowEffects::Open(database, {"keyless"}).ok());
  EXPECT_FALSE(RowEffects::Open(database, {"missing"}).ok());
}

}  // namespace
}  // namespace hookgate
