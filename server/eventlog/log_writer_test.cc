#include "server/eventlog/log_writer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/eventlog/event_jobs.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

absl::StatusOr<AppendResult> Append(LogWriter& writer, absl::string_view id, size_t body_bytes) {
  auto event = std::make_unique<LogEvent>();
  event->source = "s";
  event->webhook_id = std::string(id);
  event->raw_body = std::string(body_bytes, 'x');
  absl::Notification done;
  absl::StatusOr<AppendResult> result;
  writer.Submit(MakeAppendJob(std::move(event), [&](absl::StatusOr<AppendResult> outcome) {
    result = std::move(outcome);
    done.Notify();
  }));
  done.WaitForNotification();
  return result;
}

// The database may not grow beyond a number of pages, which fails as a full disk does.
TEST(LogWriterTest, FullDiskRefusesWhatDoesNotFitAndGoesOnOnceThereIsRoom) {
  const std::string path = absl::StrCat(testing::TempDir(), "/full_", getpid(), ".db");
  auto database = *Database::Open(path, Database::Mode::kCreate);
  ASSERT_TRUE(MigrateSchema(*database, "0000000000000001").ok());
  ASSERT_TRUE(database->Execute("PRAGMA max_page_count = 60").ok());
  auto webhooks = *WebhookIndex::Open(*database, {}, WebhookIndex::kEntriesPerRun, true);
  auto checkpointer =
      std::make_unique<Checkpointer>(*Database::Open(path, Database::Mode::kReadWrite));
  auto writer =
      *LogWriter::Start(std::move(database), std::move(checkpointer), {}, *webhooks, {}, nullptr);

  ASSERT_TRUE(Append(*writer, "fits", 1000).ok());
  EXPECT_TRUE(absl::IsUnavailable(Append(*writer, "too large", 1 << 20).status()));
  EXPECT_FALSE(writer->Health().ok());
  EXPECT_EQ(writer->Position().head, 1);

  const auto small = Append(*writer, "small", 1000);
  ASSERT_TRUE(small.ok()) << small.status();
  EXPECT_EQ(small->sequence, 2);
  EXPECT_TRUE(writer->Health().ok());
}

TEST(LogWriterTest, QueueIsBoundedByBytesToo) {
  const std::string path = absl::StrCat(testing::TempDir(), "/bytes_", getpid(), ".db");
  auto database = *Database::Open(path, Database::Mode::kCreate);
  ASSERT_TRUE(MigrateSchema(*database, "0000000000000001").ok());
  auto webhooks = *WebhookIndex::Open(*database, {}, WebhookIndex::kEntriesPerRun, true);
  auto checkpointer =
      std::make_unique<Checkpointer>(*Database::Open(path, Database::Mode::kReadWrite));
  auto writer = *LogWriter::Start(std::move(database), std::move(checkpointer), {}, *webhooks,
                                  {.max_queued_bytes = 1000}, nullptr);
  EXPECT_FALSE(Append(*writer, "too large", 1001).ok());
  EXPECT_TRUE(Append(*writer, "fits", 1000).ok());
}

}  // namespace
}  // namespace hookgate
