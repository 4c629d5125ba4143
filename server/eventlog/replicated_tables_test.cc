#include "server/eventlog/replicated_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/replication/row_effects.h"
#include "server/store/database.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

// A table that nobody had thought of would be written by the leader alone, and be missing at the
// next one.
TEST(ReplicatedTablesTest, EachTableIsSharedDerivedOrLocal) {
  const std::string path = absl::StrCat(testing::TempDir(), "/tables_", getpid(), ".db");
  auto database = *Database::Open(path, Database::Mode::kCreate);
  ASSERT_TRUE(MigrateSchema(*database, "0000000000000001").ok());
  std::vector<std::string> expected;
  for (const auto& tables : {ReplicatedTables(), DerivedTables(), LocalTables()}) {
    expected.insert(expected.end(), tables.begin(), tables.end());
  }
  auto rows = *database->Prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
  std::vector<std::string> tables;
  while (*rows.Step()) tables.emplace_back(rows.ColumnText(0));
  EXPECT_THAT(tables, testing::UnorderedElementsAreArray(expected));

  EXPECT_TRUE(RowEffects::Open(*database, ReplicatedTables()).ok())
      << "each has a primary key, and columns of types that records have";
}

// Records have no NULL.
TEST(ReplicatedTablesTest, NoSharedColumnMayBeNull) {
  const std::string path = absl::StrCat(testing::TempDir(), "/nulls_", getpid(), ".db");
  auto database = *Database::Open(path, Database::Mode::kCreate);
  ASSERT_TRUE(MigrateSchema(*database, "0000000000000001").ok());
  for (const std::string& table : ReplicatedTables()) {
    auto nullable = *database->Prepare(absl::StrCat("SELECT name FROM pragma_table_info('", table,
                                                    "') WHERE \"notnull\" = 0 AND pk = 0"));
    EXPECT_FALSE(*nullable.Step()) << table << " has one";
  }
}

}  // namespace
}  // namespace hookgate
