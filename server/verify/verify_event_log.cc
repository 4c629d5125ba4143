#include "server/verify/verify_event_log.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/base/status.h"
#include "server/base/utf8.h"
#include "server/eventlog/age_reader.h"
#include "server/store/database.h"
#include "server/store/schema.h"
#include "server/store/wal_check.h"
#include "server/verify/check_events.h"
#include "server/verify/check_subscriptions.h"
#include "server/verify/event_log_file.h"

namespace hookgate {
namespace {

constexpr char kFile[] = "events.db";
// From this many events on somebody might wonder whether it goes on.
constexpr int64_t kLargeLog = 100'000;

// Before what SQLite has found.
constexpr char kHeading[] = "*** in database main ***";

// Reads without a finding only what a healthy file has.
absl::Status CheckPages(Database& database, size_t max_findings, Findings& findings) {
  ASSIGN_OR_RETURN(Statement rows,
                   database.Prepare(absl::StrCat("PRAGMA integrity_check(", max_findings, ")")));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    if (rows.ColumnText(0) == "ok") continue;
    for (absl::string_view line : absl::StrSplit(rows.ColumnText(0), '\n', absl::SkipEmpty())) {
      if (line != kHeading) findings.Add(kFile, std::string(line));
    }
  }
}

// Name of each table and index, and what it was made with.
absl::StatusOr<std::map<std::string, std::string>> ReadObjects(Database& database) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare("SELECT name, sql FROM sqlite_schema "
                                                    "WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
                                                    "ORDER BY name"));
  std::map<std::string, std::string> objects;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return objects;
    objects.emplace(rows.ColumnText(0), rows.ColumnText(1));
  }
}

// An index that is missing is noticed by nothing else.
absl::Status CheckObjects(Database& database, Findings& findings) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> pattern,
                   Database::Open(":memory:", Database::Mode::kCreate));
  RETURN_IF_ERROR(MigrateSchema(*pattern, "pattern"));
  ASSIGN_OR_RETURN(const auto expected, ReadObjects(*pattern));
  ASSIGN_OR_RETURN(auto found, ReadObjects(database));
  // Of a newer version: it has more, and its tables may have more columns.
  ASSIGN_OR_RETURN(const bool is_newer, IsOfNewerSchema(database));
  for (const auto& [name, sql] : expected) {
    const auto object = found.find(name);
    if (object == found.end()) {
      findings.Add(kFile, absl::StrCat("the table or index ", name, " is missing"));
      continue;
    }
    if (!is_newer && object->second != sql) {
      findings.Add(kFile, absl::StrCat("the table or index ", name, " is not the schema's"));
    }
    found.erase(object);
  }
  if (is_newer) return absl::OkStatus();
  for (const auto& [name, sql] : found) {
    findings.Add(kFile, absl::StrCat("the table or index ", name, " is not in the schema"));
  }
  return absl::OkStatus();
}

absl::Status ReadLogRow(Database& database, VerifyReport& report) {
  ASSIGN_OR_RETURN(Statement row,
                   database.Prepare("SELECT epoch, earliest_sequence, "
                                    "(SELECT max(sequence) FROM events) FROM log WHERE id = 1"));
  ASSIGN_OR_RETURN(const bool there, row.Step());
  if (!there) return absl::DataLossError("the table log has no row");
  report.epoch = std::string(row.ColumnText(0));
  report.earliest_sequence = row.ColumnInt(1);
  report.head_sequence = std::max(row.ColumnInt(2), report.earliest_sequence - 1);
  if (report.earliest_sequence < 1 || !IsEpoch(report.epoch)) {
    return absl::DataLossError("the row of the table log is damaged");
  }
  return absl::OkStatus();
}

// Columns of each: the number, the mark, whether the number can be one of its kind.
constexpr char kStretches[] = R"sql(
SELECT first_sequence, mark,
       first_sequence BETWEEN 1 AND max((SELECT coalesce(max(sequence), 0) FROM events),
                                        (SELECT earliest_sequence - 1 FROM log)), 'event'
FROM stretches
UNION ALL
SELECT first_delivery, mark,
       first_delivery BETWEEN 1 AND subscriptions.last_delivery + 1, 'delivery'
FROM delivery_stretches JOIN subscriptions ON subscriptions.id = subscription)sql";

// By these, cursors and delivery ids of another history are told apart.
absl::Status CheckStretches(Database& database, Findings& findings) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kStretches));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    if (rows.ColumnInt(1) >= 1 && rows.ColumnInt(1) <= 0xffffffff && rows.ColumnInt(2) != 0) {
      continue;
    }
    findings.Add(absl::StrCat("stretch from ", rows.ColumnText(3), " ", rows.ColumnInt(0)),
                 "begins at an impossible sequence, or has an invalid mark");
  }
}

// Counts and times that cannot be. What a row is about may be what a person has chosen.
constexpr char kBadStatus[] = R"sql(
SELECT 'the table status' FROM status
WHERE length(salt) = 0 OR since_us < 0
UNION ALL
SELECT 'counter ' || name FROM status_counters WHERE value < 0
UNION ALL
SELECT 'status of source ' || source FROM source_status
WHERE min(webhooks, last_webhook_us, absent_us) < 0
UNION ALL
SELECT 'status of secret ' || name || ' of source ' || source FROM secret_status
WHERE min(generation, first_configured_us, last_verified_us, last_needed_us, webhooks_then,
          absent_us) < 0 OR tag NOT BETWEEN 0 AND 65535)sql";

// What GetStatus tells beyond a restart. A start takes such values for none.
absl::Status CheckStatus(Database& database, Findings& findings) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kBadStatus));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    findings.Add(std::string(rows.ColumnText(0)), "has a count or a time that cannot be");
  }
}

// How often events were repeated. Retention removes a count with its event.
constexpr char kBadRepeats[] = R"sql(
SELECT sequence FROM repeats
WHERE sequence NOT IN (SELECT sequence FROM events)
   OR min(duplicates, conflicts, last_receive_time_us) < 0 OR duplicates + conflicts < 1
ORDER BY sequence)sql";

absl::Status CheckRepeats(Database& database, Findings& findings) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kBadRepeats));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    findings.Add(absl::StrCat("repeats of event ", rows.ColumnInt(0)),
                 "the event does not exist, or their count or time is impossible");
  }
}

// The columns that hold text, by their table.
absl::StatusOr<std::map<std::string, std::vector<std::string>>> ReadTextColumns(
    Database& database) {
  ASSIGN_OR_RETURN(Statement rows,
                   database.Prepare("SELECT object.name, part.name FROM sqlite_schema AS object "
                                    "JOIN pragma_table_info(object.name) AS part "
                                    "WHERE object.type = 'table' AND part.type = 'TEXT' AND "
                                    "object.sql NOT LIKE 'CREATE VIRTUAL%'"));
  std::map<std::string, std::vector<std::string>> columns;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return columns;
    columns[std::string(rows.ColumnText(0))].emplace_back(rows.ColumnText(1));
  }
}

// Of a table or column, also one that a person has added.
std::string Quoted(absl::string_view name) {
  return absl::StrCat("\"", absl::StrReplaceAll(name, {{"\"", "\"\""}}), "\"");
}

// Whoever asks for a text that is not UTF-8 gets an answer that no client can read.
absl::Status CheckUtf8(Database& database, Findings& findings) {
  ASSIGN_OR_RETURN(const auto tables, ReadTextColumns(database));
  for (const auto& [table, columns] : tables) {
    const std::string selected = absl::StrJoin(
        columns, ", ",
        [](std::string* out, const std::string& column) { out->append(Quoted(column)); });
    ASSIGN_OR_RETURN(Statement rows, database.Prepare(absl::StrCat("SELECT ", selected, " FROM ",
                                                                   Quoted(table), " NOT INDEXED")));
    for (int64_t number = 1;; ++number) {
      ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) break;
      for (size_t i = 0; i < columns.size(); ++i) {
        if (IsUtf8(rows.ColumnText(static_cast<int>(i)))) continue;
        findings.Add(absl::StrCat("table ", table),
                     absl::StrCat("the column ", columns[i], " of row ", number, " is not UTF-8"));
      }
    }
  }
  return absl::OkStatus();
}

// The versions of the format by which the file may be written and read: 1 with a journal, 2 with a
// write-ahead log. SQLite only reads what asks for more to write.
void CheckFormat(const std::string& path, Findings& findings) {
  constexpr size_t kWriteVersion = 18;
  constexpr size_t kReadVersion = 19;
  std::ifstream file(path, std::ios::binary);
  char header[kReadVersion + 1] = {};
  if (!file.read(header, sizeof(header)) || !absl::StartsWith(header, "SQLite format 3")) {
    return;  // found out by others
  }
  for (const size_t at : {kWriteVersion, kReadVersion}) {
    if (header[at] != 1 && header[at] != 2) {
      findings.Add(kFile, absl::StrCat("byte ", at, " of its header, a version of the format, is ",
                                       static_cast<unsigned char>(header[at])));
    }
  }
}

absl::Status CheckAges(Database& database, Findings& findings) {
  ASSIGN_OR_RETURN(const int64_t damaged, CountDamagedAges(database));
  if (damaged > 0) {
    findings.Add("ages", absl::StrCat(damaged,
                                      " row(s) of age_clock and age_marks are not as they "
                                      "were written; a start leaves all of them out"));
  }
  return absl::OkStatus();
}

// Damage ends a step, not the check: each of them says what it can.
void NoteDamage(const absl::Status& status, Findings& findings) {
  if (!status.ok()) findings.Add(kFile, std::string(status.message()));
}

absl::Status CheckAll(Database& database, const VerifyOptions& options, VerifyReport& report,
                      Findings& findings) {
  ASSIGN_OR_RETURN(const Transaction snapshot,
                   Transaction::Begin(database, Transaction::Kind::kRead));
  absl::Status schema = CheckSchema(database);
  if (!schema.ok() && !absl::IsDataLoss(schema)) return schema;
  NoteDamage(schema, findings);
  const absl::Status log_row = schema.ok() ? ReadLogRow(database, report) : absl::OkStatus();
  NoteDamage(log_row, findings);
  if (!schema.ok()) return absl::OkStatus();  // Nothing else can be read.
  const bool large = report.head_sequence - report.earliest_sequence >= kLargeLog;
  if (large) options.progress("checking the pages and the indexes of events.db");
  NoteDamage(CheckPages(database, options.max_findings, findings), findings);
  NoteDamage(CheckObjects(database, findings), findings);
  CheckEvents(database, options.progress, report, findings);
  CheckQuarantine(database, report, findings);
  CheckConflicts(database, report, findings);
  CheckSubscriptions(database, report, findings);
  NoteDamage(CheckStretches(database, findings), findings);
  NoteDamage(CheckStatus(database, findings), findings);
  NoteDamage(CheckRepeats(database, findings), findings);
  NoteDamage(CheckAges(database, findings), findings);
  NoteDamage(CheckUtf8(database, findings), findings);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VerifyReport> VerifyEventLog(const VerifyOptions& options) {
  ASSIGN_OR_RETURN(const EventLogFile file, EventLogFile::Open(options.data_dir));
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> database,
                   Database::Open(file.path(), file.mode()));
  VerifyReport report;
  Findings findings(options.max_findings);
  const absl::StatusOr<int64_t> used = CheckWriteAheadLog(file.path());
  NoteDamage(used.status(), findings);
  if (used.ok()) report.used_wal_bytes = *used;
  std::error_code error;
  const uintmax_t wal_bytes = std::filesystem::file_size(file.path() + "-wal", error);
  if (!error) report.wal_bytes = static_cast<int64_t>(wal_bytes);
  CheckFormat(file.path(), findings);
  RETURN_IF_ERROR(Annotate(CheckAll(*database, options, report, findings), file.path()));
  report.findings = findings.kept();
  report.total_findings = findings.total();
  return report;
}

std::string ReportText(const VerifyReport& report) {
  std::string text;
  if (!report.epoch.empty()) {
    absl::StrAppend(&text, "log            epoch ", report.epoch, ", sequences ",
                    report.earliest_sequence, " to ", report.head_sequence, "\n");
  }
  absl::StrAppend(&text, "events         ", report.events, ", with bodies of ", report.body_bytes,
                  " bytes\n");
  const auto add_if_any = [&text](absl::string_view label, int64_t count) {
    if (count > 0) absl::StrAppend(&text, "               ", count, " ", label, "\n");
  };
  add_if_any("of types that the schema did not hold when they came", report.unrecognized);
  add_if_any("with fewer fields than today's schema has", report.older_schema);
  add_if_any("of types that only a newer build knows", report.newer_schema);
  absl::StrAppend(&text, "quarantine     ", report.quarantined, "\n");
  absl::StrAppend(&text, "conflicts      ", report.conflicts, "\n");
  absl::StrAppend(&text, "subscriptions  ", report.subscriptions, ", with ", report.unsettled,
                  " unsettled events and ", report.dead_letters, " dead letters\n");
  // A file that was cut in copying holds fewer commits, and nothing else tells.
  if (report.wal_bytes > 0 && report.used_wal_bytes >= 0) {
    absl::StrAppend(&text, "-wal           ", report.used_wal_bytes, " of its ", report.wal_bytes,
                    " bytes hold commits\n");
  }
  for (const Finding& finding : report.findings) {
    absl::StrAppend(&text, "FOUND          ", finding.where, ": ", finding.what, "\n");
  }
  const int64_t more = report.total_findings - static_cast<int64_t>(report.findings.size());
  if (more > 0) absl::StrAppend(&text, "FOUND          ", more, " more\n");
  absl::StrAppend(&text, report.total_findings == 0
                             ? "sound: nothing is wrong with it\n"
                             : absl::StrCat("NOT SOUND: ", report.total_findings, " finding(s)\n"));
  return text;
}

}  // namespace hookgate
