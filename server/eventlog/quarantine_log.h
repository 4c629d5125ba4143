// What to do with signed webhooks that could not be decoded: look at them, make events of them once
// the schema knows more, or throw them away. Ingest puts them in, by EventLog::Quarantine.
#ifndef HOOKGATE_SERVER_EVENTLOG_QUARANTINE_LOG_H_
#define HOOKGATE_SERVER_EVENTLOG_QUARANTINE_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

struct QuarantineEntry {
  int64_t id = 0;  // never given twice
  // As it came first; reason and detail as it came last. Lists leave raw_body and trace empty. Of
  // one that came with several bodies, each has an entry.
  QuarantinedWebhook webhook;
  absl::Time last_receive_time;
  int64_t receive_count = 0;  // how often the sender has sent it, with this body
  int64_t body_bytes = 0;
};

struct QuarantineSummary {
  int64_t entries = 0;
  int64_t removed_by_limits = 0;  // since the start, because of age or number
};

// Thread-safe.
class QuarantineLog {
 public:
  // As EventLog::AppendDone and EventLog::QuarantineDone: once, when the outcome is durable, on the
  // log's writer thread (or at once on the caller's, if refused): it must be quick.
  using ReleaseDone = EventLog::AppendDone;
  using DiscardDone = EventLog::QuarantineDone;

  virtual ~QuarantineLog() = default;

  // The entries with an id below `before`, newest first, at most `max_entries`.
  //   source  of this source only; empty: of all
  virtual absl::StatusOr<std::vector<QuarantineEntry>> ListQuarantined(absl::string_view source,
                                                                       int64_t before,
                                                                       int64_t max_entries) = 0;
  // With its raw_body. NOT_FOUND quarantine_entry_not_found.
  virtual absl::StatusOr<QuarantineEntry> GetQuarantined(int64_t id) = 0;

  // The entries of this key, without their bodies, the newest first, at most `max_entries`: one for
  // each body that came under it. Empty: there is none.
  virtual absl::StatusOr<std::vector<QuarantineEntry>> FindQuarantined(absl::string_view source,
                                                                       absl::string_view webhook_id,
                                                                       int64_t max_entries) = 0;

  // Appends `event`, which was made of the entry, and removes the entry: both or neither. An event
  // that is in the log already (its sender has repeated it since) is not appended again.
  // NOT_FOUND quarantine_entry_not_found; UNAVAILABLE as EventLog::Append.
  virtual void ReleaseQuarantined(int64_t id, std::unique_ptr<StoredEvent> event,
                                  ReleaseDone done) = 0;
  // Removes the entry. Errors as Release.
  virtual void DiscardQuarantined(int64_t id, DiscardDone done) = 0;

  virtual absl::StatusOr<QuarantineSummary> SummarizeQuarantine() = 0;
};

// NOT_FOUND quarantine_entry_not_found.
absl::Status QuarantineEntryNotFound(int64_t id);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_QUARANTINE_LOG_H_
