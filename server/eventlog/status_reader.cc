#include "server/eventlog/status_reader.h"

#include <algorithm>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kHead[] = "SELECT salt, since_us, last_reload FROM status WHERE id = 1";
constexpr char kCounters[] = "SELECT name, value FROM status_counters ORDER BY name";
constexpr char kSources[] =
    "SELECT source, webhooks, last_webhook_us, absent_us FROM source_status ORDER BY source";
constexpr char kSecrets[] =
    "SELECT source, name, tag, generation, first_configured_us, last_verified_us, "
    "last_needed_us, webhooks_then, absent_us FROM secret_status ORDER BY source, name, tag";

absl::Status ForEachRow(Database& database, absl::string_view sql,
                        absl::FunctionRef<void(const Statement& row)> visit) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(sql));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    visit(rows);
  }
}

int64_t Count(const Statement& row, int column) {
  return std::max<int64_t>(row.ColumnInt(column), 0);
}

// Within what a protobuf timestamp holds.
absl::optional<absl::Time> TimeAt(const Statement& row, int column) {
  static const absl::Time kLatest =
      absl::FromCivil(absl::CivilSecond(10000, 1, 1, 0, 0, 0), absl::UTCTimeZone());
  const int64_t micros = row.ColumnInt(column);
  if (micros <= 0 || micros >= absl::ToUnixMicros(kLatest)) return absl::nullopt;
  return absl::FromUnixMicros(micros);
}

absl::Duration DurationAt(const Statement& row, int column) {
  return absl::Microseconds(Count(row, column));
}

}  // namespace

absl::StatusOr<StoredStatus> ReadStatus(Database& database) {
  StoredStatus status;
  RETURN_IF_ERROR(ForEachRow(database, kHead, [&status](const Statement& row) {
    status.head.salt = std::string(row.ColumnBlob(0));
    status.head.since = TimeAt(row, 1).value_or(absl::UnixEpoch());
    status.head.last_reload = std::string(row.ColumnBlob(2));
  }));
  RETURN_IF_ERROR(ForEachRow(database, kCounters, [&status](const Statement& row) {
    status.counters.emplace(row.ColumnText(0), Count(row, 1));
  }));
  RETURN_IF_ERROR(ForEachRow(database, kSources, [&status](const Statement& row) {
    status.sources.emplace(std::string(row.ColumnText(0)),
                           SourceStatus{.webhooks = Count(row, 1),
                                        .last_webhook = TimeAt(row, 2),
                                        .absent = DurationAt(row, 3)});
  }));
  RETURN_IF_ERROR(ForEachRow(database, kSecrets, [&status](const Statement& row) {
    status.secrets.emplace(
        SecretId{.source = std::string(row.ColumnText(0)),
                 .name = std::string(row.ColumnText(1)),
                 .tag = row.ColumnInt(2)},
        SecretStatus{.generation = Count(row, 3),
                     .first_configured = TimeAt(row, 4).value_or(absl::UnixEpoch()),
                     .last_verified = TimeAt(row, 5),
                     .last_needed = TimeAt(row, 6),
                     .webhooks_then = Count(row, 7),
                     .absent = DurationAt(row, 8)});
  }));
  return status;
}

}  // namespace hookgate
