#include "server/eventlog/event_inserts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

class EventInsertsTest : public testing::Test {
 protected:
  static std::unique_ptr<Database> OpenFreshLog() {
    static int count = 0;
    const std::string path =
        absl::StrCat(testing::TempDir(), "/inserts_", getpid(), "_", ++count, ".db");
    std::unique_ptr<Database> database = *Database::Open(path, Database::Mode::kCreate);
    EXPECT_TRUE(MigrateSchema(*database, "0000000000000001").ok());
    return database;
  }

  static StoredEventPtr EventAt(Sequence sequence) {
    auto event = std::make_shared<StoredEvent>();
    event->sequence = sequence;
    event->source = "openai";
    event->webhook_id = absl::StrCat("wh_", sequence);
    event->type = "batch.failed";
    event->subject = absl::StrCat("batch_", sequence);
    event->failure = sequence % 2 == 0;
    event->receive_time = absl::FromUnixMicros(1000 + sequence);
    event->envelope = absl::StrCat("envelope of ", sequence);
    event->raw_body = absl::StrCat("body of ", sequence);
    event->secrets = "new\nold";
    return event;
  }

  int64_t Count() {
    Statement count = *database_->Prepare("SELECT count(*) FROM events");
    EXPECT_TRUE(*count.Step());
    return count.ColumnInt(0);
  }

  std::unique_ptr<Database> database_ = OpenFreshLog();
  EventInserts inserts_ = *EventInserts::Prepare(*database_);
};

// Of each number of rows there is one that needs every statement, and one that needs the last
// alone.
TEST_F(EventInsertsTest, EachNumberOfRowsIsWrittenWhole) {
  Sequence last = 0;
  for (const int rows : {1, 3, 4, 15, 16, 37}) {
    auto transaction = Transaction::Begin(*database_, Transaction::Kind::kWrite);
    ASSERT_TRUE(transaction.ok());
    for (int i = 0; i < rows; ++i) ASSERT_TRUE(inserts_.Add(EventAt(++last)).ok());
    ASSERT_TRUE(inserts_.Flush().ok());
    EXPECT_EQ(Count(), last) << rows;
    ASSERT_TRUE(transaction->Commit().ok());
  }
  Statement rows = *database_->Prepare(
      "SELECT sequence, source, webhook_id, type, subject, failure, receive_time_us, envelope, "
      "raw_body, secrets FROM events ORDER BY sequence");
  for (Sequence sequence = 1; sequence <= last; ++sequence) {
    ASSERT_TRUE(*rows.Step());
    EXPECT_EQ(rows.ColumnInt(0), sequence);
    EXPECT_EQ(rows.ColumnText(1), "openai");
    EXPECT_EQ(rows.ColumnText(2), absl::StrCat("wh_", sequence));
    EXPECT_EQ(rows.ColumnText(3), "batch.failed");
    EXPECT_EQ(rows.ColumnText(4), absl::StrCat("batch_", sequence));
    EXPECT_EQ(rows.ColumnInt(5), sequence % 2 == 0 ? 1 : 0);
    EXPECT_EQ(rows.ColumnInt(6), 1000 + sequence);
    EXPECT_EQ(rows.ColumnBlob(7), absl::StrCat("envelope of ", sequence));
    EXPECT_EQ(rows.ColumnBlob(8), absl::StrCat("body of ", sequence));
    EXPECT_EQ(rows.ColumnText(9), "new\nold");
  }
}

TEST_F(EventInsertsTest, RowsOfATransactionThatFailedDoNotComeWithTheNext) {
  {
    auto transaction = Transaction::Begin(*database_, Transaction::Kind::kWrite);
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(inserts_.Add(EventAt(1)).ok());
    ASSERT_TRUE(inserts_.Add(EventAt(2)).ok());
    ASSERT_TRUE(inserts_.Add(EventAt(1)).ok());
    EXPECT_TRUE(absl::IsAlreadyExists(inserts_.Flush()));
    inserts_.Clear();
  }
  EXPECT_EQ(Count(), 0);
  auto transaction = Transaction::Begin(*database_, Transaction::Kind::kWrite);
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(inserts_.Add(EventAt(7)).ok());
  ASSERT_TRUE(inserts_.Flush().ok());
  ASSERT_TRUE(transaction->Commit().ok());
  EXPECT_EQ(Count(), 1);
}

}  // namespace
}  // namespace hookgate
