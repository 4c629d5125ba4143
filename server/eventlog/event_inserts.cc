#include "server/eventlog/event_inserts.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/status.h"
#include "server/eventlog/rows_at_once.h"

namespace hookgate {
namespace {

// OR FAIL: otherwise SQLite keeps copies of the pages that a statement changes, to take its first
// rows back when a later one fails. Here all of the transaction is taken back then.
constexpr char kInto[] = R"sql(
INSERT OR FAIL INTO events (sequence, source, webhook_id, type, subject, failure, receive_time_us,
                            envelope, raw_body, secrets)
VALUES )sql";
constexpr int kColumns = 10;

// Rows of a statement. The second is for what is left of a group, and for small groups.
constexpr size_t kRowCounts[] = {kRowsAtOnce, kRowsAtOnce / 4, 1};

}  // namespace

absl::StatusOr<EventInserts> EventInserts::Prepare(Database& database) {
  std::vector<Insert> inserts;
  for (const size_t rows : kRowCounts) {
    ASSIGN_OR_RETURN(Statement statement,
                     database.Prepare(absl::StrCat(kInto, ValuesOfRows(rows, kColumns))));
    inserts.push_back({.rows = rows, .statement = std::move(statement)});
  }
  return EventInserts(std::move(inserts));
}

absl::Status EventInserts::Add(StoredEventPtr event) {
  waiting_.push_back(std::move(event));
  return waiting_.size() < inserts_.front().rows ? absl::OkStatus() : Flush();
}

absl::Status EventInserts::Flush() {
  absl::Span<const StoredEventPtr> left = waiting_;
  for (Insert& insert : inserts_) {
    for (; left.size() >= insert.rows; left.remove_prefix(insert.rows)) {
      RETURN_IF_ERROR(Run(left.first(insert.rows), insert.statement));
    }
  }
  waiting_.clear();
  return absl::OkStatus();
}

absl::Status EventInserts::Run(absl::Span<const StoredEventPtr> events, Statement& statement) {
  int parameter = 0;
  for (const StoredEventPtr& event : events) {
    statement.BindInt(++parameter, event->sequence);
    statement.BindText(++parameter, event->source);
    statement.BindText(++parameter, event->webhook_id);
    statement.BindText(++parameter, event->type);
    statement.BindText(++parameter, event->subject);
    statement.BindInt(++parameter, event->failure ? 1 : 0);
    statement.BindInt(++parameter, absl::ToUnixMicros(event->receive_time));
    statement.BindBlob(++parameter, event->envelope);
    statement.BindBlob(++parameter, event->raw_body);
    statement.BindText(++parameter, event->secrets);
  }
  return statement.Run();
}

}  // namespace hookgate
