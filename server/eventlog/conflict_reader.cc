#include "server/eventlog/conflict_reader.h"

#include <string>

#include "server/base/status.h"

namespace hookgate {
namespace {

// The columns in the order in which ReadEntry takes them.
#define CONFLICT_COLUMNS                                                               \
  "SELECT sequence, source, webhook_id, first_receive_time_us, last_receive_time_us, " \
  "receive_count, length(first_body), length(last_body), touch "

constexpr char kList[] = CONFLICT_COLUMNS
    "FROM conflicts WHERE touch < ?1 AND (?2 = '' OR source = ?2) ORDER BY touch DESC LIMIT ?3";
constexpr char kGet[] =
    CONFLICT_COLUMNS ", first_body, last_body FROM conflicts WHERE sequence = ?1";
// The index has both columns: no body is read.
constexpr char kSizes[] = "SELECT touch, bytes FROM conflicts ORDER BY touch DESC";

ConflictEntry ReadEntry(const Statement& row) {
  ConflictEntry entry;
  entry.sequence = row.ColumnInt(0);
  entry.source = std::string(row.ColumnText(1));
  entry.webhook_id = std::string(row.ColumnText(2));
  entry.first_receive_time = absl::FromUnixMicros(row.ColumnInt(3));
  entry.last_receive_time = absl::FromUnixMicros(row.ColumnInt(4));
  entry.receive_count = row.ColumnInt(5);
  entry.first_body_bytes = row.ColumnInt(6);
  entry.last_body_bytes = row.ColumnInt(7);
  entry.touch = row.ColumnInt(8);
  return entry;
}

}  // namespace

absl::StatusOr<std::vector<ConflictEntry>> ConflictReader::List(absl::string_view source,
                                                                int64_t before,
                                                                int64_t max_entries) {
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kList));
  rows.BindInt(1, before);
  rows.BindText(2, source);
  rows.BindInt(3, max_entries);
  std::vector<ConflictEntry> entries;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return entries;
    entries.push_back(ReadEntry(rows));
  }
}

absl::StatusOr<ConflictEntry> ConflictReader::Get(Sequence sequence) {
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kGet));
  rows.BindInt(1, sequence);
  ASSIGN_OR_RETURN(const bool row, rows.Step());
  if (!row) return ConflictNotFound(sequence);
  ConflictEntry entry = ReadEntry(rows);
  entry.first_body = std::string(rows.ColumnBlob(9));
  entry.last_body = std::string(rows.ColumnBlob(10));
  return entry;
}

absl::StatusOr<int64_t> ConflictReader::LastTouchAbove(int64_t max_entries, int64_t max_bytes) {
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kSizes));
  int64_t entries = 0;
  int64_t bytes = 0;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return 0;
    bytes += rows.ColumnInt(1);
    if (++entries > max_entries || bytes > max_bytes) return rows.ColumnInt(0);
  }
}

}  // namespace hookgate
