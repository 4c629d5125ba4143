// Writes the rows of new events, many by one statement: beside its rows, a statement costs as much
// as one of them.
//
// A row is in the table once Flush has returned, and not before: whatever reads the table within
// the transaction flushes first (CommitJob::uses_events).
#ifndef HOOKGATE_SERVER_EVENTLOG_EVENT_INSERTS_H_
#define HOOKGATE_SERVER_EVENTLOG_EVENT_INSERTS_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/eventlog/event_log.h"
#include "server/store/database.h"

namespace hookgate {

// Used by the writer thread alone.
class EventInserts {
 public:
  // `database` outlives the inserts.
  static absl::StatusOr<EventInserts> Prepare(Database& database);

  // Within a transaction. `event` has its sequence. An error is that of a row, of this event or of
  // one before it: then the transaction has to be rolled back.
  absl::Status Add(StoredEventPtr event);
  absl::Status Flush();
  // The transaction is over, with all rows or without them: nothing waits for the next one.
  void Clear() { waiting_.clear(); }

 private:
  // A statement that inserts so many rows.
  struct Insert {
    size_t rows;
    Statement statement;
  };

  explicit EventInserts(std::vector<Insert> inserts) : inserts_(std::move(inserts)) {}

  static absl::Status Run(absl::Span<const StoredEventPtr> events, Statement& statement);

  std::vector<Insert> inserts_;  // most rows first, one row last
  std::vector<StoredEventPtr> waiting_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_EVENT_INSERTS_H_
