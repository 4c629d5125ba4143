// Bodies that came, properly signed, under the webhook-id of an event with another body: the first
// of each event, and the last. EventLog::Append keeps them.
#ifndef HOOKGATE_SERVER_EVENTLOG_CONFLICT_LOG_H_
#define HOOKGATE_SERVER_EVENTLOG_CONFLICT_LOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// What came under one event's webhook-id with another body than the event's.
struct ConflictEntry {
  Sequence sequence = 0;  // of the event, which may be gone by now
  std::string source;
  std::string webhook_id;
  absl::Time first_receive_time;
  absl::Time last_receive_time;
  int64_t receive_count = 0;
  int64_t first_body_bytes = 0;
  int64_t last_body_bytes = 0;  // 0: the last body is the first one again
  int64_t touch = 0;            // grows with each conflict of the log; of this entry, the last one
  // Lists leave both empty.
  std::string first_body;  // exactly as received
  std::string last_body;   // "": as the first
};

// Thread-safe.
class ConflictLog {
 public:
  // Once, when it is durable, on the log's writer thread (or at once on the caller's, if refused):
  // it must be quick.
  using DiscardDone = absl::AnyInvocable<void(absl::Status) &&>;

  virtual ~ConflictLog() = default;

  // Those with a touch below `before`, the last touched first, at most `max_entries`.
  //   source  of this source only; empty: of all
  virtual absl::StatusOr<std::vector<ConflictEntry>> ListConflicts(absl::string_view source,
                                                                   int64_t before,
                                                                   int64_t max_entries) = 0;
  // With its bodies. NOT_FOUND conflict_not_found.
  virtual absl::StatusOr<ConflictEntry> GetConflict(Sequence sequence) = 0;
  // Removes the entry. NOT_FOUND conflict_not_found; UNAVAILABLE as EventLog::Append.
  virtual void DiscardConflict(Sequence sequence, DiscardDone done) = 0;
};

// NOT_FOUND conflict_not_found.
absl::Status ConflictNotFound(Sequence sequence);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_CONFLICT_LOG_H_
