// What the writer thread runs on what is remembered of deliveries, prepared once.
#ifndef HOOKGATE_SERVER_EVENTLOG_HISTORY_STATEMENTS_H_
#define HOOKGATE_SERVER_EVENTLOG_HISTORY_STATEMENTS_H_

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/eventlog/subscription_rows.h"
#include "server/store/database.h"

namespace hookgate {

// Used by the writer thread alone.
class HistoryStatements {
 public:
  // The database outlives the statements.
  static absl::StatusOr<HistoryStatements> Prepare(Database& database);

  // Adds what happened, in this order, each to the history of its event. `head` is the newest event
  // of the log, by which the rows age. Costs one statement for many events that were acked in a row
  // and had no history, and otherwise one for each event that had none.
  absl::Status Put(int64_t subscription, absl::Span<const HistoryEntry> entries, Sequence head);

  // Those beyond SubscriptionMove::kMaxKept and kMaxSettingsBytes go, but not the newest.
  absl::Status AddMove(int64_t subscription, const SubscriptionMove& move);
  absl::Status DeleteMoves(int64_t subscription);

  // Removes the rows that have not changed for longest: the first `excess` of them, and further
  // ones as long as the log ended before `head` when they changed; at most `max_rows` in all.
  // Returns how many.
  absl::StatusOr<int64_t> Trim(int64_t excess, Sequence head, int64_t max_rows);
  // Removes rows of one subscription, at most `max_rows`. Returns how many.
  absl::StatusOr<int64_t> Forget(int64_t subscription, int64_t max_rows);

 private:
  // By the sentence that each runs, in the .cc file.
  struct Prepared {
    Statement insert, insert_rows, get, remove;
    Statement oldest, remove_through, remove_some;
    Statement insert_move, extend_move, remove_moves_beyond, remove_moves;
  };

  HistoryStatements(Database& database, Prepared statements)
      : database_(&database), statements_(std::move(statements)) {}

  // As the table's columns.
  struct Row {
    int64_t subscription = 0;
    Sequence sequence = 0;
    DeliveryOutcome outcome = DeliveryOutcome::kOpen;
    absl::Time time;
    absl::string_view consumer;
    int number = 0;
    absl::Time first_delivery_time;
    absl::Time last_delivery_time;
    int64_t count = 0;
    absl::string_view attempts;
    Sequence head = 0;
  };
  static Row RowOfAcked(int64_t subscription, const HistoryEntry& entry, Sequence head);
  static void Bind(const Row& row, int before, Statement& insert);
  absl::Status PutOne(int64_t subscription, const HistoryEntry& entry, Sequence head);
  // kRowsAtOnce of them. False: there are rows of some of the events already; nothing was done.
  absl::StatusOr<bool> InsertRowsOfAcked(int64_t subscription,
                                         absl::Span<const HistoryEntry> entries, Sequence head);
  // False: there is a row of the event already.
  absl::StatusOr<bool> Insert(const Row& row);
  absl::StatusOr<bool> Insert(int64_t subscription, const DeliveryHistory& history, Sequence head);

  Database* database_;
  Prepared statements_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_HISTORY_STATEMENTS_H_
