// One reading connection to the log: the queries of EventLog, each a short transaction.
#ifndef HOOKGATE_SERVER_EVENTLOG_EVENT_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_EVENT_READER_H_

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/receive_times.h"
#include "server/eventlog/webhook_index.h"
#include "server/store/database.h"

namespace hookgate {

// Not thread-safe: one thread at a time. Calls mean what they mean in EventLog; `head` is the
// newest sequence that has been announced as committed, and nothing beyond it is returned.
class EventReader {
 public:
  static absl::StatusOr<std::unique_ptr<EventReader>> Open(const std::string& database_path);
  ~EventReader();

  absl::StatusOr<EventPage> Read(Sequence after, Sequence head, EventPredicate matches,
                                 const ReadLimits& limits);
  absl::StatusOr<Sequence> Scan(Sequence after, Sequence head,
                                absl::optional<EventPredicate> matches, const ReadLimits& limits,
                                EventVisitor visit);
  absl::StatusOr<absl::optional<Sequence>> FirstAtOrAfter(absl::Time time, Sequence head,
                                                          const ReceiveTimes& receive_times);
  absl::StatusOr<ListPage> List(const ListQuery& query, Sequence head, EventPredicate matches,
                                const ReadLimits& limits);
  absl::StatusOr<EventCount> CountFailures(const ListQuery& query, Sequence head,
                                           absl::optional<EventPredicate> matches, int64_t limit);
  absl::StatusOr<StoredEventPtr> Get(Sequence sequence);
  absl::StatusOr<StoredEventPtr> Find(absl::string_view source, absl::string_view webhook_id,
                                      const WebhookIndex& webhooks);
  // Its connection, for what is read with other statements.
  Database& database() { return *database_; }
  // Database::UsedBytes.
  absl::StatusOr<int64_t> UsedBytes() { return database_->UsedBytes(); }

 private:
  struct Statements;

  EventReader(std::unique_ptr<Database> database, std::unique_ptr<Statements> statements);

  // Looks at a row; nullopt: it does not match; otherwise its bytes, as max_bytes counts them.
  using TakeRow = absl::FunctionRef<absl::optional<int64_t>(const Statement& row)>;
  // Gives `take` the rows after `after`, and returns how far it came.
  absl::StatusOr<Sequence> Walk(Statement& rows, Sequence after, Sequence head,
                                const ReadLimits& limits, TakeRow take);
  Statement& ScanStatement(bool with_metadata, bool with_bodies);
  absl::Status CheckNotOvertaken(Sequence after);
  Statement& ListStatement(const ListQuery& query);
  absl::StatusOr<EventCount> CountAllFailures(const ListQuery& query, Sequence head, int64_t limit);
  // NOT_FOUND event_not_found.
  absl::StatusOr<StoredEventPtr> GetRow(Sequence sequence, bool include_raw_body);

  const std::unique_ptr<Database> database_;
  const std::unique_ptr<Statements> statements_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_EVENT_READER_H_
