// A real event log in a folder of its own, and short ways to put events into it.
#ifndef HOOKGATE_TESTS_SUPPORT_TEMPORARY_LOG_H_
#define HOOKGATE_TESTS_SUPPORT_TEMPORARY_LOG_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/eventlog/sqlite_event_log.h"

namespace hookgate {

// A folder that no other test uses; not made yet.
std::string FreshTestFolder();

// Fails the test if it cannot be opened. `listener` may be null.
std::unique_ptr<SqliteEventLog> OpenTemporaryLog(CommitListener* listener = nullptr,
                                                 const std::string& folder = FreshTestFolder());

// A new folder that holds what a backup of the log in `folder` holds that is taken now, whether
// somebody writes it or not. Fails the test if it cannot be made.
std::string BackUpLog(const std::string& folder);

// Makes a log's file, which nobody has open, what an older version has left: of schema 4.
void MakeVersion4(const std::string& database_path);

// What a test wants to be special about an event; the rest is made up.
struct TestEvent {
  std::string webhook_id;  // "": a new one
  std::string source = "openai";
  std::string type = "batch.failed";
  std::string subject = "batch_1";
  absl::Time receive_time = absl::FromUnixSeconds(1'750'000'000);
  std::string raw_body = "{}";
};

// Appends, and waits for the outcome.
absl::StatusOr<AppendResult> TryAppend(EventLog& log, const TestEvent& event = {});
// The same. Fails the test if it is not stored as a new event.
Sequence AppendEvent(EventLog& log, const TestEvent& event = {});

// Each waits for the outcome of the call of its name.
absl::StatusOr<AppendResult> Release(QuarantineLog& log, int64_t id,
                                     std::unique_ptr<StoredEvent> event);
absl::Status Discard(QuarantineLog& log, int64_t id);
absl::StatusOr<int64_t> CreateSubscription(SubscriptionLog& log, const std::string& name,
                                           const std::string& settings, absl::Time create_time,
                                           Sequence position);
absl::Status DeleteSubscription(SubscriptionLog& log, int64_t id);

// Appends an event whose envelope is what its body decodes into, as hookgated stores it; what the
// checks of a log find sound.
Sequence AppendSoundEvent(EventLog& log);

// Puts `webhook` into quarantine and waits until that is durable. Fails the test if it is not.
void PutIntoQuarantine(EventLog& log, QuarantinedWebhook webhook);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_TEMPORARY_LOG_H_
