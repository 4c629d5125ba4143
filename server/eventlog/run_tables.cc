#include "server/eventlog/run_tables.h"

#include "absl/strings/str_replace.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

template <typename Integer>
void PutLittleEndian(Integer value, char* bytes) {
  for (size_t i = 0; i < sizeof(value); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
}
template <typename Integer>
Integer GetLittleEndian(const char* bytes) {
  Integer value = 0;
  for (size_t i = 0; i < sizeof(value); ++i) {
    value |= static_cast<Integer>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

std::string Sql(absl::string_view name, absl::string_view sql) {
  return absl::StrReplaceAll(sql, {{"NAME", name}});
}

}  // namespace

RunTables::RunTables(absl::string_view name, int page_bits)
    : page_bits_(page_bits),
      load_runs_(Sql(name, "SELECT last_sequence, filter FROM NAME_runs ORDER BY last_sequence")),
      load_pieces_(Sql(name,
                       "SELECT last_sequence, entries FROM NAME_pieces WHERE last_sequence > ?1 "
                       "ORDER BY last_sequence")),
      read_run_(Sql(name, "SELECT entries FROM NAME_pages WHERE id >= ?1 AND id < ?2 ORDER BY id")),
      read_piece_(Sql(name, "SELECT entries FROM NAME_pieces WHERE last_sequence = ?1")),
      get_page_(Sql(name, "SELECT entries FROM NAME_pages WHERE id = ?1")),
      insert_run_(Sql(name, "INSERT INTO NAME_runs (last_sequence, filter) VALUES (?1, ?2)")),
      insert_page_(Sql(name, "INSERT INTO NAME_pages (id, entries) VALUES (?1, ?2)")),
      insert_piece_(Sql(name, "INSERT INTO NAME_pieces (last_sequence, entries) VALUES (?1, ?2)")),
      delete_run_(Sql(name, "DELETE FROM NAME_runs WHERE last_sequence = ?1")),
      delete_pages_(Sql(name,
                        "DELETE FROM NAME_pages WHERE id IN "
                        "(SELECT id FROM NAME_pages WHERE id >= ?1 AND id < ?2 ORDER BY id "
                        "LIMIT ?3)")),
      delete_pages_from_(Sql(name, "DELETE FROM NAME_pages WHERE id >= ?1")),
      delete_pieces_(Sql(name,
                         "DELETE FROM NAME_pieces WHERE last_sequence IN "
                         "(SELECT last_sequence FROM NAME_pieces WHERE last_sequence <= ?1 "
                         "ORDER BY last_sequence LIMIT ?2)")) {}

void RunTables::PutEntry(uint64_t hash, int64_t below, std::string& entries) {
  char entry[kEntryBytes];
  PutLittleEndian(hash, entry);
  PutLittleEndian(static_cast<uint32_t>(below), entry + sizeof(hash));
  entries.append(entry, kEntryBytes);
}

void RunTables::ReadEntries(absl::string_view entries, Sequence last, SeeEntry see) {
  for (size_t at = 0; at + kEntryBytes <= entries.size(); at += kEntryBytes) {
    const char* const entry = entries.data() + at;
    const auto hash = GetLittleEndian<uint64_t>(entry);
    see(hash, last - GetLittleEndian<uint32_t>(entry + sizeof(hash)));
  }
}

absl::Status RunTables::LoadRuns(Database& database, SeeRun see) const {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(load_runs_));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    RETURN_IF_ERROR(see(rows.ColumnInt(0), rows.ColumnBlob(1)));
  }
}

absl::Status RunTables::LoadPieces(Database& database, Sequence after, SeePiece see) const {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(load_pieces_));
  rows.BindInt(1, after);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    see(rows.ColumnInt(0), rows.ColumnBlob(1));
  }
}

absl::StatusOr<std::vector<RunTables::Stored>> RunTables::ListStored(Database& database) const {
  std::vector<Stored> stored;
  RETURN_IF_ERROR(LoadRuns(database, [&stored](Sequence last, absl::string_view) {
    stored.push_back({last, /*is_run=*/true});
    return absl::OkStatus();
  }));
  const Sequence in_runs = stored.empty() ? 0 : stored.back().last;
  RETURN_IF_ERROR(LoadPieces(database, in_runs, [&stored](Sequence last, absl::string_view) {
    stored.push_back({last, /*is_run=*/false});
  }));
  return stored;
}

absl::Status RunTables::ReadStored(Database& database, const Stored& stored, SeeEntry see) const {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(stored.is_run ? read_run_ : read_piece_));
  rows.BindInt(1, stored.is_run ? FirstPage(stored.last) : stored.last);
  if (stored.is_run) rows.BindInt(2, FirstPage(stored.last + 1));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    ReadEntries(rows.ColumnBlob(0), stored.last, see);
  }
}

absl::StatusOr<Statement> RunTables::PreparePage(Database& database) const {
  return database.Prepare(get_page_);
}

absl::Status RunTables::ReadPage(Sequence last, uint64_t hash, Statement& page,
                                 SeeEntry see) const {
  StatementScope scope(page);
  page.BindInt(1, FirstPage(last) + static_cast<int64_t>(PageOf(hash)));
  ASSIGN_OR_RETURN(const bool row, page.Step());
  if (!row) return absl::OkStatus();
  const absl::string_view entries = page.ColumnBlob(0);
  for (size_t at = 0; at + kEntryBytes <= entries.size(); at += kEntryBytes) {
    if (GetLittleEndian<uint64_t>(entries.data() + at) != hash) continue;
    ReadEntries(entries.substr(at, kEntryBytes), last, see);
  }
  return absl::OkStatus();
}

absl::Status RunTables::InsertPiece(Database& database, Sequence last,
                                    absl::string_view entries) const {
  ASSIGN_OR_RETURN(Statement insert, database.Prepare(insert_piece_));
  insert.BindInt(1, last);
  insert.BindBlob(2, entries);
  return insert.Run();
}

absl::Status RunTables::InsertPages(Database& database, Sequence last,
                                    const std::vector<std::string>& pages, int64_t max,
                                    size_t& next) const {
  ASSIGN_OR_RETURN(Statement insert, database.Prepare(insert_page_));
  for (int64_t rows = 0; next < pages.size(); ++next) {
    if (pages[next].empty()) continue;
    if (rows++ == max) return absl::OkStatus();
    insert.BindInt(1, FirstPage(last) + static_cast<int64_t>(next));
    insert.BindBlob(2, pages[next]);
    RETURN_IF_ERROR(insert.Run());
  }
  return absl::OkStatus();
}

absl::Status RunTables::InsertRun(Database& database, Sequence last,
                                  absl::string_view filter) const {
  ASSIGN_OR_RETURN(Statement insert, database.Prepare(insert_run_));
  insert.BindInt(1, last);
  insert.BindBlob(2, filter);
  return insert.Run();
}

absl::Status RunTables::DeletePagesAfter(Database& database, Sequence last) const {
  ASSIGN_OR_RETURN(Statement erase, database.Prepare(delete_pages_from_));
  erase.BindInt(1, last == 0 ? 0 : FirstPage(last + 1));
  return erase.Run();
}

absl::StatusOr<bool> RunTables::DeletePieces(Database& database, Sequence through,
                                             int64_t max) const {
  ASSIGN_OR_RETURN(Statement erase, database.Prepare(delete_pieces_));
  erase.BindInt(1, through);
  erase.BindInt(2, max);
  RETURN_IF_ERROR(erase.Run());
  return database.changes() < max;
}

absl::StatusOr<bool> RunTables::DeleteRun(Database& database, Sequence last,
                                          int64_t max_pages) const {
  ASSIGN_OR_RETURN(Statement erase, database.Prepare(delete_pages_));
  erase.BindInt(1, FirstPage(last));
  erase.BindInt(2, FirstPage(last + 1));
  erase.BindInt(3, max_pages);
  RETURN_IF_ERROR(erase.Run());
  if (database.changes() >= max_pages) return false;
  ASSIGN_OR_RETURN(Statement erase_run, database.Prepare(delete_run_));
  erase_run.BindInt(1, last);
  RETURN_IF_ERROR(erase_run.Run());
  return true;
}

absl::Status WriteByItself(Database& database, absl::FunctionRef<absl::Status()> write) {
  {
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(database, Transaction::Kind::kWrite));
    RETURN_IF_ERROR(write());
    RETURN_IF_ERROR(transaction.Commit());
  }
  // If it can't now, it can later.
  database.Checkpoint(Database::CheckpointMode::kPassive).status().IgnoreError();
  return absl::OkStatus();
}

}  // namespace hookgate
