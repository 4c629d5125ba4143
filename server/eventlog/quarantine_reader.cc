#include "server/eventlog/quarantine_reader.h"

#include <algorithm>
#include <utility>

#include "server/base/status.h"
#include "server/eventlog/quarantine_key.h"

namespace hookgate {
namespace {

// The columns in the order in which ReadEntry takes them. The trace is stored behind the body,
// which may be a megabyte and would be read on the way to it; the index has it by itself.
#define QUARANTINE_COLUMNS                                                                        \
  "SELECT id, source, webhook_id, webhook_time_us, first_receive_time_us, last_receive_time_us, " \
  "receive_count, reason, detail, length(raw_body), "                                             \
  "(SELECT trace FROM quarantine AS same INDEXED BY quarantine_traces "                           \
  "WHERE same.id = quarantine.id) "

constexpr char kList[] = QUARANTINE_COLUMNS
    "FROM quarantine WHERE id < ?1 AND (?2 = '' OR source = ?2) ORDER BY id DESC LIMIT ?3";
constexpr char kFind[] = QUARANTINE_COLUMNS
    "FROM quarantine WHERE source = ?1 AND webhook_id >= ?2 AND webhook_id < ?3 LIMIT ?4";
constexpr char kGet[] = QUARANTINE_COLUMNS ", raw_body FROM quarantine WHERE id = ?1";
constexpr char kTouchAbove[] = "SELECT touch FROM quarantine ORDER BY touch DESC LIMIT 1 OFFSET ?1";
constexpr char kCount[] = "SELECT count(*) FROM quarantine";
constexpr char kCountBySource[] =
    "SELECT source, count(*) FROM quarantine GROUP BY source ORDER BY source";

QuarantineEntry ReadEntry(const Statement& row) {
  QuarantineEntry entry;
  entry.id = row.ColumnInt(0);
  entry.webhook.source = std::string(row.ColumnText(1));
  entry.webhook.webhook_id = std::string(WebhookIdOfQuarantineKey(row.ColumnText(2)));
  entry.webhook.webhook_time = absl::FromUnixMicros(row.ColumnInt(3));
  entry.webhook.receive_time = absl::FromUnixMicros(row.ColumnInt(4));
  entry.last_receive_time = absl::FromUnixMicros(row.ColumnInt(5));
  entry.receive_count = row.ColumnInt(6);
  entry.webhook.reason = std::string(row.ColumnText(7));
  entry.webhook.detail = std::string(row.ColumnText(8));
  entry.body_bytes = row.ColumnInt(9);
  entry.webhook.trace = std::string(row.ColumnBlob(10));
  return entry;
}

}  // namespace

absl::StatusOr<std::vector<QuarantineEntry>> QuarantineReader::List(absl::string_view source,
                                                                    int64_t before,
                                                                    int64_t max_entries) {
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kList));
  rows.BindInt(1, before);
  rows.BindText(2, source);
  rows.BindInt(3, max_entries);
  std::vector<QuarantineEntry> entries;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return entries;
    entries.push_back(ReadEntry(rows));
  }
}

absl::StatusOr<QuarantineEntry> QuarantineReader::Get(int64_t id) {
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kGet));
  rows.BindInt(1, id);
  ASSIGN_OR_RETURN(const bool row, rows.Step());
  if (!row) return QuarantineEntryNotFound(id);
  QuarantineEntry entry = ReadEntry(rows);
  entry.webhook.raw_body = std::string(rows.ColumnBlob(11));
  return entry;
}

absl::StatusOr<std::vector<QuarantineEntry>> QuarantineReader::Find(absl::string_view source,
                                                                    absl::string_view webhook_id,
                                                                    int64_t max_entries) {
  const std::string end = EndOfQuarantineKeys(webhook_id);
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kFind));
  rows.BindText(1, source);
  rows.BindText(2, webhook_id);
  rows.BindText(3, end);
  rows.BindInt(4, max_entries);
  std::vector<QuarantineEntry> entries;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    entries.push_back(ReadEntry(rows));
  }
  std::sort(entries.begin(), entries.end(),
            [](const QuarantineEntry& a, const QuarantineEntry& b) { return a.id > b.id; });
  return entries;
}

absl::StatusOr<int64_t> QuarantineReader::LastTouchAbove(int64_t max_entries) {
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kTouchAbove));
  rows.BindInt(1, max_entries);
  ASSIGN_OR_RETURN(const bool row, rows.Step());
  return row ? rows.ColumnInt(0) : 0;
}

absl::StatusOr<int64_t> QuarantineReader::Count() {
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kCount));
  RETURN_IF_ERROR(rows.Step().status());
  return rows.ColumnInt(0);
}

absl::StatusOr<std::map<std::string, int64_t>> QuarantineReader::CountBySource() {
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kCountBySource));
  std::map<std::string, int64_t> counts;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return counts;
    counts[std::string(rows.ColumnText(0))] = rows.ColumnInt(1);
  }
}

}  // namespace hookgate
