#include "server/replication/row_effects.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/replication/record.h"

namespace hookgate {
namespace {

using replication::v1::Column;
using replication::v1::Record;
using replication::v1::Rows;
using Type = ChangeCapture::Type;

constexpr size_t kMaxPrepared = 256;

absl::optional<Type> TypeOf(absl::string_view declared) {
  if (declared == "INTEGER") return Type::kInteger;
  if (declared == "TEXT") return Type::kText;
  if (declared == "BLOB") return Type::kBlob;
  return absl::nullopt;
}

int CountOf(const Column& column, Type type) {
  switch (type) {
    case Type::kInteger:
      return column.integers_size();
    case Type::kText:
      return column.texts_size();
    default:
      return column.blobs_size();
  }
}

int CountAll(const Column& column) {
  return column.integers_size() + column.texts_size() + column.blobs_size();
}

void Bind(const Column& column, Type type, int row, int parameter, Statement& statement) {
  switch (type) {
    case Type::kInteger:
      statement.BindInt(parameter, column.integers(row));
      break;
    case Type::kText:
      statement.BindText(parameter, column.texts(row));
      break;
    default:
      statement.BindBlob(parameter, column.blobs(row));
      break;
  }
}

Rows::Kind KindOf(ChangeCapture::Kind kind) {
  switch (kind) {
    case ChangeCapture::Kind::kInsert:
      return Rows::KIND_INSERT;
    case ChangeCapture::Kind::kUpdate:
      return Rows::KIND_UPDATE;
    case ChangeCapture::Kind::kDelete:
      return Rows::KIND_DELETE;
  }
  return Rows::KIND_UNSPECIFIED;
}

// First what makes room: a row that is new may have what another one had.
int OrderOf(Rows::Kind kind) {
  switch (kind) {
    case Rows::KIND_DELETE:
      return 0;
    case Rows::KIND_UPDATE:
      return 1;
    default:
      return 2;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RowEffects>> RowEffects::Open(Database& database,
                                                             absl::Span<const std::string> tables) {
  auto effects = absl::WrapUnique(new RowEffects(database));
  for (const std::string& name : tables) {
    ASSIGN_OR_RETURN(TableInfo table, effects->ReadTable(name));
    effects->tables_.push_back(std::move(table));
    effects->names_.push_back(name);
  }
  return effects;
}

absl::StatusOr<RowEffects::TableInfo> RowEffects::ReadTable(const std::string& name) {
  TableInfo table;
  table.name = name;
  ASSIGN_OR_RETURN(Statement rows,
                   database_.Prepare("SELECT name, type, pk, dflt_value IS NOT NULL, "
                                     "coalesce(dflt_value, '') FROM pragma_table_info(?1)"));
  rows.BindText(1, name);
  std::vector<std::pair<size_t, std::string>> defaults;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) break;
    ColumnInfo column;
    column.name = std::string(rows.ColumnText(0));
    const absl::optional<Type> type = TypeOf(rows.ColumnText(1));
    if (!type.has_value()) {
      return absl::InternalError(absl::StrCat("column ", name, ".", column.name,
                                              " is of a type that replicas do not share"));
    }
    column.type = *type;
    column.in_key = rows.ColumnInt(2) > 0;
    if (rows.ColumnInt(3) != 0) {
      defaults.emplace_back(table.columns.size(), std::string(rows.ColumnText(4)));
    }
    table.columns.push_back(std::move(column));
  }
  rows.Reset();
  const bool has_key = std::any_of(table.columns.begin(), table.columns.end(),
                                   [](const ColumnInfo& column) { return column.in_key; });
  if (!has_key || table.columns.size() > 8 * sizeof(ColumnMask)) {
    return absl::InternalError(
        absl::StrCat("table ", name, " is missing, has no primary key or too many columns"));
  }
  // A default is an expression of SQL.
  for (const auto& [at, sql] : defaults) {
    ASSIGN_OR_RETURN(Statement value, database_.Prepare(absl::StrCat("SELECT ", sql)));
    RETURN_IF_ERROR(value.Step().status());
    ColumnInfo& column = table.columns[at];
    if (column.type == Type::kInteger) {
      column.default_integer = value.ColumnInt(0);
    } else {
      column.default_bytes = std::string(value.ColumnBlob(0));
    }
  }
  return table;
}

const RowEffects::TableInfo* RowEffects::FindTable(absl::string_view name) const {
  for (const TableInfo& table : tables_) {
    if (table.name == name) return &table;
  }
  return nullptr;
}

absl::StatusOr<std::unique_ptr<ChangeCapture>> RowEffects::BeginCapture() {
  return ChangeCapture::Begin(database_, names_);
}

absl::Status RowEffects::Collect(ChangeCapture& capture, Record& record, Limit limit) {
  const bool is_limited = limit_.has_value() && limit == Limit::kKept;
  // Of one table: by kind, and by which columns there are.
  std::map<std::pair<int, ColumnMask>, Rows> kinds;
  const TableInfo* table = nullptr;
  const auto finish_table = [&]() -> absl::Status {
    for (auto& [key, rows] : kinds) {
      if (rows.kind() == Rows::KIND_INSERT) LeaveOutDefaults(*table, rows);
      if (is_limited) RETURN_IF_ERROR(CheckLimit(rows));
      *record.add_entries()->mutable_rows() = std::move(rows);
    }
    kinds.clear();
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(capture.ForEach([&](const ChangeCapture::Change& change) -> absl::Status {
    if (table == nullptr || table->name != change.table) {
      if (table != nullptr) RETURN_IF_ERROR(finish_table());
      table = FindTable(change.table);
      if (table == nullptr) {
        return absl::InternalError(absl::StrCat("replicas do not share table ", change.table));
      }
    }
    if (change.values.size() != table->columns.size()) {
      return absl::InternalError(absl::StrCat("table ", change.table, " has other columns now"));
    }
    ColumnMask mask = 0;
    for (size_t i = 0; i < change.values.size(); ++i) {
      if (change.values[i].type != Type::kAbsent) mask |= ColumnMask{1} << i;
    }
    const Rows::Kind kind = KindOf(change.kind);
    Rows& rows = kinds[{OrderOf(kind), mask}];
    if (rows.kind() == Rows::KIND_UNSPECIFIED) {
      rows.set_table(table->name);
      rows.set_kind(kind);
      for (size_t i = 0; i < table->columns.size(); ++i) {
        if ((mask >> i & 1) != 0) rows.add_columns()->set_name(table->columns[i].name);
      }
    }
    return AddRow(*table, change, rows);
  }));
  return table != nullptr ? finish_table() : absl::OkStatus();
}

absl::StatusOr<RowEffects::Shape> RowEffects::ReadShape(Database& database,
                                                        absl::Span<const std::string> tables) {
  Shape shape;
  ASSIGN_OR_RETURN(Statement columns, database.Prepare("SELECT name FROM pragma_table_info(?1)"));
  for (const std::string& table : tables) {
    columns.BindText(1, table);
    while (true) {
      ASSIGN_OR_RETURN(const bool row, columns.Step());
      if (!row) break;
      shape[table].emplace_back(columns.ColumnText(0));
    }
    columns.Reset();
  }
  return shape;
}

absl::Status RowEffects::CheckLimit(const Rows& rows) const {
  const auto refuse = [](auto... what) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, reason::kUpgradeUnfinished,
                           absl::StrCat(what...));
  };
  const auto table = limit_->find(rows.table());
  if (table == limit_->end()) return refuse("this is stored in the table ", rows.table());
  for (const Column& column : rows.columns()) {
    const auto& known = table->second;
    if (std::find(known.begin(), known.end(), column.name()) == known.end()) {
      return refuse("this is stored in the column ", rows.table(), ".", column.name());
    }
  }
  return absl::OkStatus();
}

absl::Status RowEffects::AddRow(const TableInfo& table, const ChangeCapture::Change& change,
                                Rows& rows) {
  int at = 0;
  for (size_t i = 0; i < change.values.size(); ++i) {
    const ChangeCapture::Value& value = change.values[i];
    if (value.type == Type::kAbsent) continue;
    Column& column = *rows.mutable_columns(at++);
    if (value.type != table.columns[i].type) {
      return absl::InternalError(absl::StrCat("column ", table.name, ".", table.columns[i].name,
                                              " holds a value of another type"));
    }
    switch (value.type) {
      case Type::kInteger:
        column.add_integers(value.integer);
        break;
      case Type::kText:
        column.add_texts(value.bytes.data(), value.bytes.size());
        break;
      default:
        column.add_blobs(value.bytes.data(), value.bytes.size());
        break;
    }
  }
  return absl::OkStatus();
}

void RowEffects::LeaveOutDefaults(const TableInfo& table, Rows& rows) {
  const auto is_default = [&table](const Column& column) {
    const auto info =
        std::find_if(table.columns.begin(), table.columns.end(),
                     [&](const ColumnInfo& candidate) { return candidate.name == column.name(); });
    if (info->in_key) return false;
    const auto same_bytes = [&](const std::string& bytes) { return bytes == info->default_bytes; };
    switch (info->type) {
      case Type::kInteger:
        return info->default_integer.has_value() &&
               std::all_of(column.integers().begin(), column.integers().end(),
                           [&](int64_t value) { return value == *info->default_integer; });
      case Type::kText:
        return info->default_bytes.has_value() &&
               std::all_of(column.texts().begin(), column.texts().end(), same_bytes);
      default:
        return info->default_bytes.has_value() &&
               std::all_of(column.blobs().begin(), column.blobs().end(), same_bytes);
    }
  };
  auto& columns = *rows.mutable_columns();
  columns.erase(std::remove_if(columns.begin(), columns.end(), is_default), columns.end());
}

std::string RowEffects::SqlOf(const TableInfo& table, const Rows& rows,
                              const std::vector<const ColumnInfo*>& columns) {
  std::vector<std::string> names;
  std::vector<std::string> places;
  std::vector<std::string> sets;
  std::vector<std::string> keys;
  for (size_t i = 0; i < columns.size(); ++i) {
    const std::string place = absl::StrCat("?", i + 1);
    names.push_back(columns[i]->name);
    places.push_back(place);
    (columns[i]->in_key ? keys : sets).push_back(absl::StrCat(columns[i]->name, " = ", place));
  }
  switch (rows.kind()) {
    case Rows::KIND_INSERT:
      return absl::StrCat("INSERT INTO ", table.name, " (", absl::StrJoin(names, ", "),
                          ") VALUES (", absl::StrJoin(places, ", "), ")");
    case Rows::KIND_UPDATE:
      return absl::StrCat("UPDATE ", table.name, " SET ", absl::StrJoin(sets, ", "), " WHERE ",
                          absl::StrJoin(keys, " AND "));
    default:
      return absl::StrCat("DELETE FROM ", table.name, " WHERE ", absl::StrJoin(keys, " AND "));
  }
}

absl::StatusOr<Statement*> RowEffects::Prepared(const std::string& sql) {
  const auto found = prepared_.find(sql);
  if (found != prepared_.end()) return &found->second;
  if (prepared_.size() >= kMaxPrepared) prepared_.clear();
  ASSIGN_OR_RETURN(Statement statement, database_.Prepare(sql));
  return &prepared_.emplace(sql, std::move(statement)).first->second;
}

absl::Status RowEffects::Apply(const Rows& rows) {
  const TableInfo* const table = FindTable(rows.table());
  if (table == nullptr) {
    return RecordUnknown(absl::StrCat("a record has rows of a table ", rows.table(),
                                      ", which this hookgated does not have"));
  }
  if (rows.kind() != Rows::KIND_INSERT && rows.kind() != Rows::KIND_UPDATE &&
      rows.kind() != Rows::KIND_DELETE) {
    return RecordUnknown(absl::StrCat("a record changes rows of ", rows.table(),
                                      " in a way that this hookgated does not know"));
  }
  std::vector<const ColumnInfo*> columns;
  size_t keys = 0;
  int count = -1;
  for (const Column& column : rows.columns()) {
    const auto info =
        std::find_if(table->columns.begin(), table->columns.end(),
                     [&](const ColumnInfo& candidate) { return candidate.name == column.name(); });
    if (info == table->columns.end()) {
      return RecordUnknown(absl::StrCat("a record has a column ", rows.table(), ".", column.name(),
                                        ", which this hookgated does not have"));
    }
    const int values = CountOf(column, info->type);
    if (values != CountAll(column) || (count >= 0 && values != count) ||
        std::find(columns.begin(), columns.end(), &*info) != columns.end()) {
      return RecordContradicts(
          absl::StrCat("a record has not the right values for ", rows.table(), ".", column.name()));
    }
    count = values;
    if (info->in_key) ++keys;
    columns.push_back(&*info);
  }
  const auto all_keys =
      static_cast<size_t>(std::count_if(table->columns.begin(), table->columns.end(),
                                        [](const ColumnInfo& column) { return column.in_key; }));
  const bool changes_more = columns.size() > keys;
  if (keys != all_keys || (rows.kind() == Rows::KIND_UPDATE && !changes_more) ||
      (rows.kind() == Rows::KIND_DELETE && changes_more)) {
    return RecordContradicts(
        absl::StrCat("a record does not say which rows of ", rows.table(), " it changes"));
  }
  ASSIGN_OR_RETURN(Statement* const statement, Prepared(SqlOf(*table, rows, columns)));
  for (int row = 0; row < count; ++row) {
    for (size_t i = 0; i < columns.size(); ++i) {
      Bind(rows.columns(static_cast<int>(i)), columns[i]->type, row, static_cast<int>(i) + 1,
           *statement);
    }
    const absl::Status done = statement->Run();
    if (absl::IsAlreadyExists(done) ||
        (done.ok() && rows.kind() != Rows::KIND_INSERT && database_.changes() != 1)) {
      return RecordContradicts(
          absl::StrCat("a record ",
                       rows.kind() == Rows::KIND_INSERT ? "adds a row that is there already in "
                                                        : "changes a row that is not there in ",
                       rows.table(), ": this replica's data is of another history"));
    }
    RETURN_IF_ERROR(done);
  }
  return absl::OkStatus();
}

}  // namespace hookgate
