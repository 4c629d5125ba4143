#include "tests/support/temporary_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/proto_time.h"
#include "server/event/decode_event.h"
#include "server/event/event_schema.h"
#include "server/event/sample_event.h"
#include "server/eventlog/compose_event.h"
#include "server/store/database.h"
#include "tests/support/await_outcome.h"

namespace hookgate {
namespace {

int NextNumber() {
  static std::atomic<int> last = 0;
  return ++last;
}

std::string EnvelopeOf(const StoredEvent& event) {
  hookgate::v1::Event envelope;
  envelope.set_source(event.source);
  envelope.set_webhook_id(event.webhook_id);
  envelope.set_type(event.type);
  envelope.set_subject(event.subject);
  *envelope.mutable_receive_time() = ToProto(event.receive_time);
  return envelope.SerializeAsString();
}

}  // namespace

std::string FreshTestFolder() {
  return absl::StrCat(testing::TempDir(), "/log_", getpid(), "_", NextNumber());
}

std::unique_ptr<SqliteEventLog> OpenTemporaryLog(CommitListener* listener,
                                                 const std::string& folder) {
  auto log = SqliteEventLog::Open({.data_dir = folder, .reserved_wal_bytes = 0}, listener);
  EXPECT_TRUE(log.ok()) << log.status();
  return *std::move(log);
}

std::string BackUpLog(const std::string& folder) {
  std::string copy = FreshTestFolder();
  std::filesystem::create_directories(copy);
  const auto database =
      Database::Open(absl::StrCat(folder, "/events.db"), Database::Mode::kReadOnly);
  EXPECT_TRUE(database.ok()) << database.status();
  const absl::Status done =
      (*database)->Execute(absl::StrCat("VACUUM INTO '", copy, "/events.db'"));
  EXPECT_TRUE(done.ok()) << done;
  return copy;
}

void MakeVersion4(const std::string& database_path) {
  auto database = Database::Open(database_path, Database::Mode::kReadWrite);
  ASSERT_TRUE(database.ok()) << database.status();
  const absl::Status undone = (*database)->Execute(
      "DROP TABLE receive_time_blocks; DROP TABLE age_marks; DROP TABLE age_clock;"
      "DROP TABLE webhook_pieces; DROP INDEX quarantine_by_touch; DROP INDEX quarantine_traces;"
      "ALTER TABLE quarantine DROP COLUMN touch;"
      "ALTER TABLE quarantine DROP COLUMN trace;"
      "CREATE INDEX quarantine_by_time ON quarantine (last_receive_time_us);"
      "DROP TABLE status; DROP TABLE status_counters; DROP TABLE source_status;"
      "DROP TABLE secret_status; DROP TABLE conflicts;"
      "DROP TABLE text_runs; DROP TABLE text_pages; DROP TABLE text_pieces; DROP TABLE repeats;"
      "ALTER TABLE events DROP COLUMN secrets;"
      "DROP TABLE stretches; DROP TABLE delivery_stretches; DROP TABLE former_epochs;"
      "DROP TABLE delivery_history; DROP TABLE subscription_moves;"
      "DROP TABLE replica; DROP TABLE compatibility;"
      "ALTER TABLE unsettled_events DROP COLUMN consumer;"
      "ALTER TABLE unsettled_events DROP COLUMN lost;"
      "ALTER TABLE dead_letters DROP COLUMN lost;"
      "ALTER TABLE subscriptions DROP COLUMN lost_unread;"
      "ALTER TABLE subscriptions DROP COLUMN passed;"
      "ALTER TABLE subscriptions DROP COLUMN admitted;"
      "ALTER TABLE subscriptions DROP COLUMN etag;"
      "ALTER TABLE subscriptions DROP COLUMN pause_time_us;"
      "ALTER TABLE unsettled_events DROP COLUMN void_delivery; DROP TABLE bulk_jobs;"
      "ALTER TABLE dead_letters DROP COLUMN void_delivery;"
      "PRAGMA user_version = 4");
  ASSERT_TRUE(undone.ok()) << undone;
}

absl::StatusOr<AppendResult> TryAppend(EventLog& log, const TestEvent& wanted) {
  auto event = std::make_unique<StoredEvent>();
  event->source = wanted.source;
  event->webhook_id =
      wanted.webhook_id.empty() ? absl::StrCat("wh_", NextNumber()) : wanted.webhook_id;
  event->type = wanted.type;
  event->subject = wanted.subject;
  event->failure = absl::EndsWith(wanted.type, ".failed");
  event->receive_time = wanted.receive_time;
  event->raw_body = wanted.raw_body;
  event->envelope = EnvelopeOf(*event);
  absl::Notification done;
  absl::StatusOr<AppendResult> result;
  log.Append(std::move(event), [&](absl::StatusOr<AppendResult> outcome) {
    result = std::move(outcome);
    done.Notify();
  });
  done.WaitForNotification();
  return result;
}

Sequence AppendEvent(EventLog& log, const TestEvent& event) {
  const absl::StatusOr<AppendResult> result = TryAppend(log, event);
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome, AppendResult::Outcome::kStored);
  return result->sequence;
}

absl::StatusOr<AppendResult> Release(QuarantineLog& log, int64_t id,
                                     std::unique_ptr<StoredEvent> event) {
  return AwaitOutcome<absl::StatusOr<AppendResult>>(
      [&](auto done) { log.ReleaseQuarantined(id, std::move(event), std::move(done)); });
}

absl::Status Discard(QuarantineLog& log, int64_t id) {
  return AwaitOutcome<absl::Status>(
      [&](auto done) { log.DiscardQuarantined(id, std::move(done)); });
}

absl::StatusOr<int64_t> CreateSubscription(SubscriptionLog& log, const std::string& name,
                                           const std::string& settings, absl::Time create_time,
                                           Sequence position) {
  return AwaitOutcome<absl::StatusOr<int64_t>>([&](auto done) {
    log.CreateSubscription(name, settings, create_time, position, std::move(done));
  });
}

absl::Status DeleteSubscription(SubscriptionLog& log, int64_t id) {
  return AwaitOutcome<absl::Status>(
      [&](auto done) { log.DeleteSubscription(id, absl::nullopt, std::move(done)); });
}

Sequence AppendSoundEvent(EventLog& log) {
  const absl::Time time = absl::FromUnixSeconds(1'750'000'000);
  const std::string body = SampleEventBody(*FindEventType("batch.failed"), "", time);
  absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  EXPECT_TRUE(decoded.ok()) << decoded.status();
  absl::Notification done;
  absl::StatusOr<AppendResult> result;
  log.Append(ComposeEvent(*std::move(decoded),
                          {.source = "openai",
                           .webhook_id = absl::StrCat("wh_", NextNumber()),
                           .webhook_time = time,
                           .receive_time = time},
                          body),
             [&](absl::StatusOr<AppendResult> outcome) {
               result = std::move(outcome);
               done.Notify();
             });
  done.WaitForNotification();
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? result->sequence : 0;
}

void PutIntoQuarantine(EventLog& log, QuarantinedWebhook webhook) {
  absl::Notification done;
  log.Quarantine(std::make_unique<QuarantinedWebhook>(std::move(webhook)),
                 [&](const absl::Status& status) {
                   EXPECT_TRUE(status.ok()) << status;
                   done.Notify();
                 });
  done.WaitForNotification();
}

}  // namespace hookgate
