// What the version before may still open, seen from both sides: this test is of the next version.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/store/database.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;

constexpr char kReplica[] =
    "INSERT INTO replica (id, cluster, genesis, applied, term, writer, hash) "
    "VALUES (1, 'hooks', 'g', 1, 0, 0, x'')";

class NextSchemaTest : public testing::Test {
 protected:
  NextSchemaTest()
      : database_(*Database::Open(
            absl::StrCat(testing::TempDir(), "/next_", getpid(), "_", ++count_, ".db"),
            Database::Mode::kCreate)) {}

  // As the version before has left it.
  void MakeOlder(bool is_replica) {
    ASSERT_TRUE(MakeSchema(*database_, SchemaVersion() - 1).ok());
    if (!is_replica) return;
    ASSERT_TRUE(database_->Execute(kReplica).ok());
  }
  int64_t Read(const std::string& sql) {
    auto statement = *database_->Prepare(sql);
    EXPECT_TRUE(*statement.Step()) << sql;
    return statement.ColumnInt(0);
  }
  int64_t Oldest() { return Read("SELECT oldest_schema FROM compatibility"); }

  static int count_;
  std::unique_ptr<Database> database_;
};

int NextSchemaTest::count_ = 0;

TEST_F(NextSchemaTest, AReplicaMayBePutBackUntilTheClusterHasAgreed) {
  MakeOlder(/*is_replica=*/true);
  EXPECT_EQ(Read("SELECT schema FROM replica"), SchemaVersion() - 1);
  ASSERT_TRUE(MigrateSchema(*database_, "e").ok());
  EXPECT_EQ(Read("PRAGMA user_version"), SchemaVersion());
  EXPECT_EQ(Oldest(), SchemaVersion() - 1);
  ASSERT_TRUE(NoteAgreedSchema(*database_, SchemaVersion()).ok());
  EXPECT_EQ(Oldest(), SchemaVersion());
}

TEST_F(NextSchemaTest, ALogOfItsOwnMayNot) {
  MakeOlder(/*is_replica=*/false);
  ASSERT_TRUE(MigrateSchema(*database_, "e").ok());
  EXPECT_EQ(Oldest(), SchemaVersion());
}

TEST_F(NextSchemaTest, ANewFolderOfAReplicaMayBePutBackOnceItIsOne) {
  ASSERT_TRUE(MigrateSchema(*database_, "e").ok());
  EXPECT_EQ(Oldest(), SchemaVersion());
  ASSERT_TRUE(NoteAgreedSchema(*database_, SchemaVersion() - 1).ok());
  EXPECT_EQ(Oldest(), SchemaVersion() - 1);
}

// Of a version that comes after this one.
TEST_F(NextSchemaTest, ANewerFileIsOpenedIfItSaysThatItMayBe) {
  ASSERT_TRUE(MigrateSchema(*database_, "e").ok());
  ASSERT_TRUE(database_->Execute(absl::StrCat("PRAGMA user_version = ", SchemaVersion() + 3)).ok());
  // A single wrong bit made a version of the future, which was called sound.
  EXPECT_TRUE(absl::IsDataLoss(MigrateSchema(*database_, "e"))) << "it has added nothing";
  ASSERT_TRUE(database_->Execute("ALTER TABLE repeats ADD COLUMN later INTEGER").ok());
  EXPECT_TRUE(MigrateSchema(*database_, "e").ok());
  EXPECT_TRUE(CheckSchema(*database_).ok());
  EXPECT_TRUE(*IsOfNewerSchema(*database_));
  EXPECT_EQ(Read("PRAGMA user_version"), SchemaVersion() + 3) << "left as it is";
  ASSERT_TRUE(
      database_
          ->Execute(absl::StrCat("UPDATE compatibility SET oldest_schema = ", SchemaVersion() + 1))
          .ok());
  EXPECT_THAT(std::string(MigrateSchema(*database_, "e").message()),
              HasSubstr(absl::StrCat("holds what needs version ", SchemaVersion() + 1)));
  ASSERT_TRUE(database_->Execute("DELETE FROM compatibility").ok());
  EXPECT_FALSE(MigrateSchema(*database_, "e").ok()) << "it does not say";
}

}  // namespace
}  // namespace hookgate
