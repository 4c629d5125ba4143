#include "server/restore/event_log_identity.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

absl::StatusOr<int64_t> ReadInt(Database& database, absl::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, database.Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.ColumnInt(0) : 0;
}

absl::StatusOr<bool> HasTable(Database& database, absl::string_view name) {
  ASSIGN_OR_RETURN(const int64_t count,
                   ReadInt(database, absl::StrCat("SELECT count(*) FROM sqlite_schema WHERE type = "
                                                  "'table' AND name = '",
                                                  name, "'")));
  return count > 0;
}

absl::Status ReadStretches(Database& database, EventLogIdentity& identity) {
  ASSIGN_OR_RETURN(const bool there, HasTable(database, "stretches"));
  if (!there) return absl::OkStatus();
  ASSIGN_OR_RETURN(Statement rows, database.Prepare("SELECT first_sequence, mark FROM stretches "
                                                    "ORDER BY first_sequence"));
  std::vector<Stretch> stretches;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    stretches.push_back({rows.ColumnInt(0), static_cast<HistoryMark>(rows.ColumnInt(1))});
  }
  identity.stretches = Stretches(std::move(stretches));
  return absl::OkStatus();
}

absl::Status ReadReplica(Database& database, EventLogIdentity& identity) {
  ASSIGN_OR_RETURN(const bool there, HasTable(database, "replica"));
  if (!there) return absl::OkStatus();
  ASSIGN_OR_RETURN(Statement row,
                   database.Prepare("SELECT cluster, applied FROM replica WHERE id = 1"));
  ASSIGN_OR_RETURN(const bool is_replica, row.Step());
  if (!is_replica) return absl::OkStatus();
  identity.cluster = std::string(row.ColumnText(0));
  identity.applied = row.ColumnInt(1);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EventLogIdentity> ReadIdentity(Database& database) {
  RETURN_IF_ERROR(CheckIsLog(database));
  EventLogIdentity identity;
  ASSIGN_OR_RETURN(Statement row,
                   database.Prepare("SELECT epoch, earliest_sequence, "
                                    "(SELECT max(sequence) FROM events) FROM log WHERE id = 1"));
  ASSIGN_OR_RETURN(const bool there, row.Step());
  if (!there) return absl::DataLossError("the table log has no row");
  identity.epoch = std::string(row.ColumnText(0));
  identity.earliest = row.ColumnInt(1);
  identity.head = std::max(row.ColumnInt(2), identity.earliest - 1);
  ASSIGN_OR_RETURN(identity.quarantined, ReadInt(database, "SELECT count(*) FROM quarantine"));
  ASSIGN_OR_RETURN(const bool may_subscribe, HasTable(database, "subscriptions"));
  if (may_subscribe) {
    ASSIGN_OR_RETURN(identity.subscriptions,
                     ReadInt(database, "SELECT count(*) FROM subscriptions"));
  }
  RETURN_IF_ERROR(ReadStretches(database, identity));
  RETURN_IF_ERROR(ReadReplica(database, identity));
  return identity;
}

std::string Describe(const EventLogIdentity& identity) {
  const bool has_events = identity.head >= identity.earliest;
  return absl::StrCat("a log (epoch ", identity.epoch, ", ",
                      has_events ? absl::StrCat("events ", identity.earliest, " to ", identity.head)
                                 : absl::StrCat("no events, the last was ", identity.head),
                      ", ", identity.subscriptions, " subscriptions, ", identity.quarantined,
                      " in quarantine)");
}

}  // namespace hookgate
