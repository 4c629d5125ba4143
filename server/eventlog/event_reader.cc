#include "server/eventlog/event_reader.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// In the order in which ReadContent and ReadMetadata take them. A body that nobody asked for is not
// read: it may be long.
#define CONTENT_WITH_BODY "SELECT sequence, envelope, raw_body"
#define CONTENT "SELECT sequence, envelope, NULL"
#define METADATA ", source, webhook_id, type, subject, failure, receive_time_us"
#define AFTER " FROM events WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence"
constexpr char kContents[] = CONTENT AFTER;
constexpr char kContentsWithBodies[] = CONTENT_WITH_BODY AFTER;
constexpr char kEvents[] = CONTENT METADATA AFTER;
constexpr char kEventsWithBodies[] = CONTENT_WITH_BODY METADATA AFTER;
#define ONE " FROM events WHERE sequence = ?1"
constexpr char kGet[] = CONTENT METADATA ONE;
constexpr char kGetWithBody[] = CONTENT_WITH_BODY METADATA ONE;
constexpr char kEarliest[] = "SELECT earliest_sequence FROM log WHERE id = 1";

// The indexes are named so that a query that could not use its own would fail rather than scan.
// An event is in one of two, and what both hold is merged as it is read, without a sort.
#define FAILURES "FROM events INDEXED BY failures_by_time WHERE failure = 1 AND "
#define OTHER_EVENTS "FROM events INDEXED BY other_events_by_time WHERE failure = 0 AND "
// ?1 and ?2: first and last microsecond of the window, inclusive. ?3 and ?4: continue behind this
// one.
#define WINDOW "receive_time_us >= ?1 AND receive_time_us <= ?2 "
#define OLDER "AND (receive_time_us, sequence) < (?3, ?4) "
#define NEWER "AND (receive_time_us, sequence) > (?3, ?4) "
#define NEWEST_FIRST "ORDER BY receive_time_us DESC, sequence DESC"
#define OLDEST_FIRST "ORDER BY receive_time_us, sequence"
// What a filter looks at, in the order in which ReadCandidate takes it; for failures the index
// holds all of it. The rest of a row is read once the filter has admitted it.
#define CANDIDATES "SELECT sequence, receive_time_us, source, type, subject "
constexpr char kFailuresNewestFirst[] = CANDIDATES FAILURES WINDOW OLDER NEWEST_FIRST;
constexpr char kFailuresOldestFirst[] = CANDIDATES FAILURES WINDOW NEWER OLDEST_FIRST;
constexpr char kEventsNewestFirst[] =
    CANDIDATES FAILURES WINDOW OLDER "UNION ALL " CANDIDATES OTHER_EVENTS WINDOW OLDER NEWEST_FIRST;
constexpr char kEventsOldestFirst[] =
    CANDIDATES FAILURES WINDOW NEWER "UNION ALL " CANDIDATES OTHER_EVENTS WINDOW NEWER OLDEST_FIRST;

// ?3: the last sequence that counts. ?4: as far as it counts.
constexpr char kCountFailures[] =
    "SELECT count(*) FROM (SELECT 1 " FAILURES WINDOW "AND sequence <= ?3 LIMIT ?4)";
constexpr char kReceiveTimes[] =
    "SELECT sequence, receive_time_us FROM events WHERE sequence >= ?1 AND sequence <= ?2 "
    "ORDER BY sequence";

void Assign(std::string& text, absl::string_view view) { text.assign(view.data(), view.size()); }

EventContent ReadContent(const Statement& row) {
  return {row.ColumnInt(0), row.ColumnBlob(1), row.ColumnBlob(2)};
}

int64_t BytesOf(const EventContent& content) {
  return static_cast<int64_t>(content.envelope.size() + content.raw_body.size());
}

// Each of these reads into an event that may have been another row's, which matched nothing: most
// go no further.

void ReadMetadata(const Statement& row, StoredEvent& event) {
  event.sequence = row.ColumnInt(0);
  Assign(event.source, row.ColumnText(3));
  Assign(event.webhook_id, row.ColumnText(4));
  Assign(event.type, row.ColumnText(5));
  Assign(event.subject, row.ColumnText(6));
  event.failure = row.ColumnInt(7) != 0;
  event.receive_time = absl::FromUnixMicros(row.ColumnInt(8));
}

int64_t TakeContent(const Statement& row, StoredEvent& event) {
  const EventContent content = ReadContent(row);
  Assign(event.envelope, content.envelope);
  Assign(event.raw_body, content.raw_body);
  return BytesOf(content);
}

void ReadCandidate(const Statement& row, StoredEvent& event) {
  event.sequence = row.ColumnInt(0);
  event.receive_time = absl::FromUnixMicros(row.ColumnInt(1));
  Assign(event.source, row.ColumnText(2));
  Assign(event.type, row.ColumnText(3));
  Assign(event.subject, row.ColumnText(4));
}

// The window in whole microseconds, first and last.
struct Window {
  int64_t first;
  int64_t last;
};

Window ToWindow(const ListQuery& query) {
  return {absl::ToUnixMicros(query.start), query.end == absl::InfiniteFuture()
                                               ? std::numeric_limits<int64_t>::max()
                                               : absl::ToUnixMicros(query.end) - 1};
}

// Binds ?1 to ?4. The window is narrowed to where the query continues, since the index is only
// entered by it.
void BindQuery(const ListQuery& query, Statement& statement) {
  Window window = ToWindow(query);
  if (query.newest_first) {
    int64_t behind = std::numeric_limits<int64_t>::max();
    if (query.after.has_value()) {
      behind = absl::ToUnixMicros(query.after->receive_time);
      window.last = std::min(window.last, behind);
    }
    statement.BindInt(3, behind);
    statement.BindInt(
        4, query.after.has_value() ? query.after->sequence : std::numeric_limits<int64_t>::max());
  } else {
    int64_t behind = std::numeric_limits<int64_t>::min();
    if (query.after.has_value()) {
      behind = absl::ToUnixMicros(query.after->receive_time);
      window.first = std::max(window.first, behind);
    }
    statement.BindInt(3, behind);
    statement.BindInt(4, query.after.has_value() ? query.after->sequence : 0);
  }
  statement.BindInt(1, window.first);
  statement.BindInt(2, window.last);
}

absl::Status EventNotFound(absl::string_view which) {
  return ErrorWithReason(
      absl::StatusCode::kNotFound, reason::kEventNotFound,
      absl::StrCat("there is no event with ", which, ": never stored, or removed by retention"));
}

}  // namespace

struct EventReader::Statements {
  Statement contents, contents_with_bodies, events, events_with_bodies, get, get_with_body,
      webhook_page, earliest, events_newest_first, events_oldest_first, failures_newest_first,
      failures_oldest_first, count_failures, receive_times;
};

absl::StatusOr<std::unique_ptr<EventReader>> EventReader::Open(const std::string& database_path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database,
                   Database::Open(database_path, Database::Mode::kReadOnly));
  ASSIGN_OR_RETURN(Statement contents, database->Prepare(kContents));
  ASSIGN_OR_RETURN(Statement contents_with_bodies, database->Prepare(kContentsWithBodies));
  ASSIGN_OR_RETURN(Statement events, database->Prepare(kEvents));
  ASSIGN_OR_RETURN(Statement events_with_bodies, database->Prepare(kEventsWithBodies));
  ASSIGN_OR_RETURN(Statement get, database->Prepare(kGet));
  ASSIGN_OR_RETURN(Statement get_with_body, database->Prepare(kGetWithBody));
  ASSIGN_OR_RETURN(Statement webhook_page, WebhookIndex::PreparePage(*database));
  ASSIGN_OR_RETURN(Statement earliest, database->Prepare(kEarliest));
  ASSIGN_OR_RETURN(Statement events_newest_first, database->Prepare(kEventsNewestFirst));
  ASSIGN_OR_RETURN(Statement events_oldest_first, database->Prepare(kEventsOldestFirst));
  ASSIGN_OR_RETURN(Statement failures_newest_first, database->Prepare(kFailuresNewestFirst));
  ASSIGN_OR_RETURN(Statement failures_oldest_first, database->Prepare(kFailuresOldestFirst));
  ASSIGN_OR_RETURN(Statement count_failures, database->Prepare(kCountFailures));
  ASSIGN_OR_RETURN(Statement receive_times, database->Prepare(kReceiveTimes));
  auto statements = std::make_unique<Statements>(Statements{
      std::move(contents), std::move(contents_with_bodies), std::move(events),
      std::move(events_with_bodies), std::move(get), std::move(get_with_body),
      std::move(webhook_page), std::move(earliest), std::move(events_newest_first),
      std::move(events_oldest_first), std::move(failures_newest_first),
      std::move(failures_oldest_first), std::move(count_failures), std::move(receive_times)});
  return absl::WrapUnique(new EventReader(std::move(database), std::move(statements)));
}

EventReader::EventReader(std::unique_ptr<Database> database, std::unique_ptr<Statements> statements)
    : database_(std::move(database)), statements_(std::move(statements)) {}

EventReader::~EventReader() = default;

absl::StatusOr<EventPage> EventReader::Read(Sequence after, Sequence head, EventPredicate matches,
                                            const ReadLimits& limits) {
  EventPage page;
  std::shared_ptr<StoredEvent> event;  // the next, once it is looked at
  const auto take = [&](const Statement& row) -> absl::optional<int64_t> {
    if (event == nullptr) event = std::make_shared<StoredEvent>();
    ReadMetadata(row, *event);
    if (!matches(*event)) return absl::nullopt;
    const int64_t bytes = TakeContent(row, *event);
    page.events.push_back(std::move(event));
    return bytes;
  };
  Statement& rows = ScanStatement(/*with_metadata=*/true, limits.include_raw_body);
  ASSIGN_OR_RETURN(page.scanned_to, Walk(rows, after, head, limits, take));
  return page;
}

absl::StatusOr<Sequence> EventReader::Scan(Sequence after, Sequence head,
                                           absl::optional<EventPredicate> matches,
                                           const ReadLimits& limits, EventVisitor visit) {
  StoredEvent event;  // what `matches` sees of the row
  const auto take = [&](const Statement& row) -> absl::optional<int64_t> {
    if (matches.has_value()) {
      ReadMetadata(row, event);
      if (!(*matches)(event)) return absl::nullopt;
    }
    const EventContent content = ReadContent(row);
    visit(content);
    return BytesOf(content);
  };
  return Walk(ScanStatement(matches.has_value(), limits.include_raw_body), after, head, limits,
              take);
}

Statement& EventReader::ScanStatement(bool with_metadata, bool with_bodies) {
  if (with_metadata) return with_bodies ? statements_->events_with_bodies : statements_->events;
  return with_bodies ? statements_->contents_with_bodies : statements_->contents;
}

// The earliest sequence and the rows are read in one transaction, so that events which retention
// removes at this moment are either all there or known to be gone.
absl::StatusOr<Sequence> EventReader::Walk(Statement& rows, Sequence after, Sequence head,
                                           const ReadLimits& limits, TakeRow take) {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(*database_, Transaction::Kind::kRead));
  RETURN_IF_ERROR(CheckNotOvertaken(after));
  StatementScope scope(rows);
  rows.BindInt(1, after);
  rows.BindInt(2, head);
  int64_t events = 0;
  int64_t bytes = 0;
  Sequence last = after;
  for (int64_t scanned = 0;; ++scanned) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return std::max(after, head);
    if (scanned >= limits.max_scanned || events >= limits.max_events || bytes >= limits.max_bytes) {
      return last;
    }
    last = rows.ColumnInt(0);
    const absl::optional<int64_t> taken = take(rows);
    if (!taken.has_value()) continue;
    ++events;
    bytes += *taken;
  }
}

absl::Status EventReader::CheckNotOvertaken(Sequence after) {
  StatementScope scope(statements_->earliest);
  ASSIGN_OR_RETURN(const bool there, statements_->earliest.Step());
  if (!there) return absl::DataLossError("the log's table `log` is empty");
  const Sequence earliest = statements_->earliest.ColumnInt(0);
  if (after + 1 >= earliest) return absl::OkStatus();
  return ErrorWithReason(
      absl::StatusCode::kOutOfRange, reason::kCursorOvertaken,
      absl::StrCat("events after sequence ", after,
                   " have been removed by retention; the oldest still held is ", earliest));
}

// A block may disappoint if retention has removed its latest event; only the oldest one can.
absl::StatusOr<absl::optional<Sequence>> EventReader::FirstAtOrAfter(
    absl::Time time, Sequence head, const ReceiveTimes& receive_times) {
  Statement& rows = statements_->receive_times;
  Sequence from = 0;
  while (true) {
    const auto block = receive_times.FirstBlock(time, from);
    if (!block.has_value()) return absl::optional<Sequence>();
    StatementScope scope(rows);
    rows.BindInt(1, block->first);
    rows.BindInt(2, std::min(block->last, head));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) break;
      if (rows.ColumnInt(1) >= absl::ToUnixMicros(time)) {
        return absl::optional<Sequence>(rows.ColumnInt(0));
      }
    }
    from = block->last + 1;
  }
}

Statement& EventReader::ListStatement(const ListQuery& query) {
  if (query.failures_only) {
    return query.newest_first ? statements_->failures_newest_first
                              : statements_->failures_oldest_first;
  }
  return query.newest_first ? statements_->events_newest_first : statements_->events_oldest_first;
}

absl::StatusOr<ListPage> EventReader::List(const ListQuery& query, Sequence head,
                                           EventPredicate matches, const ReadLimits& limits) {
  Statement& rows = ListStatement(query);
  StatementScope scope(rows);
  BindQuery(query, rows);
  ListPage page;
  StoredEvent candidate;
  candidate.failure = query.failures_only;
  int64_t bytes = 0;
  for (int64_t scanned = 0;;) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return page;
    if (rows.ColumnInt(0) > head) continue;
    if (scanned == limits.max_scanned ||
        static_cast<int64_t>(page.events.size()) >= limits.max_events ||
        bytes >= limits.max_bytes) {
      page.next = {candidate.receive_time, candidate.sequence};
      return page;
    }
    ReadCandidate(rows, candidate);
    ++scanned;
    if (!matches(candidate)) continue;
    ASSIGN_OR_RETURN(StoredEventPtr event, GetRow(candidate.sequence, limits.include_raw_body));
    bytes += static_cast<int64_t>(event->envelope.size() + event->raw_body.size());
    page.events.push_back(std::move(event));
  }
}

absl::StatusOr<EventCount> EventReader::CountFailures(const ListQuery& query, Sequence head,
                                                      absl::optional<EventPredicate> matches,
                                                      int64_t limit) {
  if (!matches.has_value()) return CountAllFailures(query, head, limit);
  Statement& rows = statements_->failures_newest_first;
  StatementScope scope(rows);
  ListQuery whole = query;
  whole.after = absl::nullopt;
  whole.newest_first = true;
  BindQuery(whole, rows);
  EventCount result;
  StoredEvent candidate;
  candidate.failure = true;
  for (int64_t scanned = 0;;) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return result;
    if (rows.ColumnInt(0) > head) continue;
    if (scanned == limit) {
      result.truncated = true;
      return result;
    }
    ReadCandidate(rows, candidate);
    ++scanned;
    if ((*matches)(candidate)) ++result.count;
  }
}

absl::StatusOr<EventCount> EventReader::CountAllFailures(const ListQuery& query, Sequence head,
                                                         int64_t limit) {
  Statement& rows = statements_->count_failures;
  StatementScope scope(rows);
  const Window window = ToWindow(query);
  rows.BindInt(1, window.first);
  rows.BindInt(2, window.last);
  rows.BindInt(3, head);
  rows.BindInt(4, limit + 1);
  RETURN_IF_ERROR(rows.Step().status());
  const int64_t count = rows.ColumnInt(0);
  return EventCount{.count = std::min(count, limit), .truncated = count > limit};
}

absl::StatusOr<StoredEventPtr> EventReader::Get(Sequence sequence) {
  return GetRow(sequence, /*include_raw_body=*/true);
}

absl::StatusOr<StoredEventPtr> EventReader::GetRow(Sequence sequence, bool include_raw_body) {
  Statement& rows = include_raw_body ? statements_->get_with_body : statements_->get;
  StatementScope scope(rows);
  rows.BindInt(1, sequence);
  ASSIGN_OR_RETURN(const bool row, rows.Step());
  if (!row) return EventNotFound(absl::StrCat("sequence ", sequence));
  auto event = std::make_shared<StoredEvent>();
  ReadMetadata(rows, *event);
  TakeContent(rows, *event);
  return StoredEventPtr(std::move(event));
}

absl::StatusOr<StoredEventPtr> EventReader::Find(absl::string_view source,
                                                 absl::string_view webhook_id,
                                                 const WebhookIndex& webhooks) {
  ASSIGN_OR_RETURN(const Sequences candidates,
                   webhooks.Find(HashWebhook(source, webhook_id), statements_->webhook_page));
  for (const Sequence candidate : candidates) {
    absl::StatusOr<StoredEventPtr> event = Get(candidate);
    if (absl::IsNotFound(event.status())) continue;  // Retention has removed it.
    RETURN_IF_ERROR(event.status());
    if ((*event)->source == source && (*event)->webhook_id == webhook_id) return event;
  }
  return EventNotFound(absl::StrCat("source ", source, " and webhook-id ", webhook_id));
}

}  // namespace hookgate
