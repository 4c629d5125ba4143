#include "server/store/schema.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/store/schema_steps.h"

namespace hookgate {
namespace {

// Marks the file as Hookgate's ("HkGt"), so that another application's is not taken for an empty
// one.
constexpr int kApplicationId = 0x486b4774;

absl::StatusOr<int64_t> ReadPragma(Database& database, absl::string_view name) {
  ASSIGN_OR_RETURN(Statement statement, database.Prepare(absl::StrCat("PRAGMA ", name)));
  RETURN_IF_ERROR(statement.Step().status());
  return statement.ColumnInt(0);
}

absl::Status InsertLogRow(Database& database, absl::string_view epoch) {
  ASSIGN_OR_RETURN(
      Statement statement,
      database.Prepare("INSERT INTO log (id, epoch, earliest_sequence) VALUES (1, ?, 1)"));
  statement.BindText(1, epoch);
  return statement.Run();
}

absl::StatusOr<int64_t> ReadInt(Database& database, absl::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, database.Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.ColumnInt(0) : 0;
}

// A log of its own uses what is new at once; so does a replica whose step adds more than the
// version before can do without.
absl::Status NoteOldest(Database& database, int version) {
  if (version <= kFirstClusterSchema) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int64_t is_replica, ReadInt(database, "SELECT count(*) FROM replica"));
  if (is_replica != 0 && SchemaSteps()[version - 1].only_adds) return absl::OkStatus();
  return database.Execute(absl::StrCat("UPDATE compatibility SET oldest_schema = ", version));
}

absl::Status Step(Database& database, int version, absl::string_view epoch) {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database, Transaction::Kind::kWrite));
  RETURN_IF_ERROR(database.Execute(SchemaSteps()[version].sql));
  if (version == 0) {
    RETURN_IF_ERROR(InsertLogRow(database, epoch));
    RETURN_IF_ERROR(database.Execute(absl::StrCat("PRAGMA application_id = ", kApplicationId)));
  }
  RETURN_IF_ERROR(NoteOldest(database, version + 1));
  RETURN_IF_ERROR(database.Execute(absl::StrCat("PRAGMA user_version = ", version + 1)));
  return transaction.Commit();
}

absl::Status StepUpTo(Database& database, int64_t from, int version, absl::string_view epoch) {
  for (int next = static_cast<int>(from); next < version; ++next) {
    RETURN_IF_ERROR(Annotate(Step(database, next, epoch),
                             absl::StrCat("migrating the log from schema version ", next)));
  }
  return absl::OkStatus();
}

absl::Status NotOfHookgate() {
  return absl::FailedPreconditionError(
      "the file is a database, but not one of Hookgate's: use another data folder");
}

absl::Status NotWhatItSays(int64_t version, absl::string_view but) {
  return absl::DataLossError(
      absl::StrCat("the log says that it has schema version ", version, ", ", but,
                   ": it was changed by hand, or is damaged; restore a backup"));
}

// "table" and "table.column" of each. What people add of their own is no part of it, and a virtual
// table cannot even be looked at without its module.
constexpr char kColumns[] =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' "
    "UNION ALL SELECT object.name || '.' || part.name FROM sqlite_schema AS object "
    "JOIN pragma_table_info(object.name) AS part "
    "WHERE object.type = 'table' AND object.sql NOT LIKE 'CREATE VIRTUAL%'";
constexpr char kIndexes[] =
    "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";

// What `query`, one of these, finds.
absl::StatusOr<std::set<std::string>> ReadNames(Database& database, absl::string_view query) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(query));
  std::set<std::string> names;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return names;
    names.emplace(rows.ColumnText(0));
  }
}

// The same of a log of `version`, or of the newest that this build knows.
absl::StatusOr<std::set<std::string>> NamesOf(int64_t version, absl::string_view query) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> pattern,
                   Database::Open(":memory:", Database::Mode::kCreate));
  RETURN_IF_ERROR(
      MakeSchema(*pattern, static_cast<int>(std::min<int64_t>(version, SchemaVersion()))));
  return ReadNames(*pattern, query);
}

// Statements name the index by which they read, and would fail without it.
// REQUIRES: `version` is above 0.
absl::Status CheckIndexes(Database& database, int64_t version) {
  ASSIGN_OR_RETURN(const std::set<std::string> expected, NamesOf(version, kIndexes));
  ASSIGN_OR_RETURN(const std::set<std::string> found, ReadNames(database, kIndexes));
  for (const std::string& name : expected) {
    if (found.count(name) == 0) {
      return absl::DataLossError(
          absl::StrCat("the log has lost its index ", name,
                       ": it was changed by hand, or is damaged; restore a backup"));
    }
  }
  return absl::OkStatus();
}

// What a log says of itself decides what is done to it: steps would fail half way, or statements
// later, with words that only SQLite's manual explains.
// REQUIRES: `version` is above 0.
absl::Status CheckHolds(Database& database, int64_t version) {
  ASSIGN_OR_RETURN(const std::set<std::string> expected, NamesOf(version, kColumns));
  ASSIGN_OR_RETURN(const std::set<std::string> found, ReadNames(database, kColumns));
  for (const std::string& name : expected) {
    if (found.count(name) == 0) {
      return NotWhatItSays(version, absl::StrCat("which has ", name, ", but it has none"));
    }
  }
  if (version > SchemaVersion() && found == expected) {
    return NotWhatItSays(version,
                         absl::StrCat("but it holds no more than version ", SchemaVersion()));
  }
  if (version >= SchemaVersion()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::set<std::string> newest, NamesOf(SchemaVersion(), kColumns));
  for (const std::string& name : newest) {
    if (expected.count(name) == 0 && found.count(name) > 0) {
      return NotWhatItSays(version, absl::StrCat("but it has ", name, " of a newer one"));
    }
  }
  return absl::OkStatus();
}

// Of a file that is newer than this build: as it says itself.
absl::StatusOr<int64_t> OldestOf(Database& database, int64_t version) {
  ASSIGN_OR_RETURN(const int64_t says,
                   ReadInt(database,
                           "SELECT count(*) FROM pragma_table_info('compatibility') "
                           "WHERE name = 'oldest_schema'"));
  if (says == 0) return version;
  ASSIGN_OR_RETURN(const int64_t oldest,
                   ReadInt(database, "SELECT max(oldest_schema) FROM compatibility"));
  return oldest > 0 ? oldest : version;
}

absl::Status CheckMayOpen(Database& database, int64_t version) {
  ASSIGN_OR_RETURN(const int64_t application_id, ReadPragma(database, "application_id"));
  if (version <= 0) {
    ASSIGN_OR_RETURN(const int64_t held, ReadInt(database, "SELECT count(*) FROM sqlite_schema"));
    if (version == 0 && held == 0) return absl::OkStatus();
    if (application_id != kApplicationId) return NotOfHookgate();
    return NotWhatItSays(version, "which is not what it holds");
  }
  if (version > SchemaVersion()) {
    const absl::StatusOr<int64_t> oldest = application_id == kApplicationId
                                               ? OldestOf(database, version)
                                               : absl::StatusOr<int64_t>(version);
    RETURN_IF_ERROR(oldest.status());
    if (*oldest <= SchemaVersion()) return CheckHolds(database, version);
    return absl::FailedPreconditionError(
        absl::StrCat("the log has schema version ", version, ", and holds what needs version ",
                     *oldest, "; this hookgated knows versions up to ", SchemaVersion(),
                     ": start a newer hookgated, or use another data folder"));
  }
  const absl::Status holds = CheckHolds(database, version);
  if (application_id == kApplicationId) return holds;
  if (absl::IsDataLoss(holds)) return NotOfHookgate();
  RETURN_IF_ERROR(holds);
  return absl::DataLossError(
      "the file holds all tables of a log, but its header says that it is not one of Hookgate's: "
      "it was changed by hand, or is damaged; restore a backup");
}

}  // namespace

int SchemaVersion() { return static_cast<int>(SchemaSteps().size()); }

bool IsEpoch(absl::string_view text) {
  constexpr size_t kDigits = 16;
  return text.size() == kDigits &&
         text.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

absl::Status MigrateSchema(Database& database, absl::string_view epoch) {
  ASSIGN_OR_RETURN(const int64_t version, ReadPragma(database, "user_version"));
  RETURN_IF_ERROR(CheckMayOpen(database, version));
  // Before anything is changed: a step may do something to one of them.
  if (version > 0) RETURN_IF_ERROR(CheckIndexes(database, version));
  return StepUpTo(database, version, SchemaVersion(), epoch);
}

absl::Status MakeSchema(Database& database, int version) {
  return StepUpTo(database, 0, version, "pattern");
}

// Whoever may open it needs the last step that adds more, too.
absl::Status NoteAgreedSchema(Database& database, int agreed) {
  int oldest = agreed;
  for (int version = SchemaVersion(); version > agreed; --version) {
    if (SchemaSteps()[version - 1].only_adds) continue;
    oldest = version;
    break;
  }
  return database.Execute(absl::StrCat("UPDATE compatibility SET oldest_schema = ", oldest));
}

absl::Status CheckIsLog(Database& database) {
  ASSIGN_OR_RETURN(const int64_t version, ReadPragma(database, "user_version"));
  RETURN_IF_ERROR(CheckMayOpen(database, version));
  if (version == 0) {
    return absl::FailedPreconditionError("the file is empty: no log was ever written into it");
  }
  return absl::OkStatus();
}

absl::Status CheckSchema(Database& database) {
  RETURN_IF_ERROR(CheckIsLog(database));
  ASSIGN_OR_RETURN(const int64_t version, ReadPragma(database, "user_version"));
  if (version >= SchemaVersion()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the log has schema version ", version, ", and this build knows only version ",
                   SchemaVersion(),
                   ": start hookgated on it, or restore it if it is a backup, which "
                   "migrates it; or use the build that wrote it"));
}

absl::StatusOr<bool> IsOfNewerSchema(Database& database) {
  ASSIGN_OR_RETURN(const int64_t version, ReadPragma(database, "user_version"));
  return version > SchemaVersion();
}

void AddSchemaStepForTest(const SchemaStep& step) { SchemaSteps().push_back(step); }

}  // namespace hookgate
