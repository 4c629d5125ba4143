// What an index by hash keeps on the disk: the tables that WebhookIndex and TextIndex share the
// form of, and nothing of when they are written.
//
//   NAME_runs    one row a run: the sequence of its last event, and a filter if the index has one.
//                Written after the run's pages, so that pages without a run are of one that was not
//                finished
//   NAME_pages   a run's entries in rows by the first bits of the hash
//   NAME_pieces  entries of events that no run holds yet, by their last sequence
//
// An entry is 12 bytes, little-endian: the hash, and by how much the sequence is below the last one
// of its run or piece.
#ifndef HOOKGATE_SERVER_EVENTLOG_RUN_TABLES_H_
#define HOOKGATE_SERVER_EVENTLOG_RUN_TABLES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/eventlog/event_log.h"
#include "server/store/database.h"

namespace hookgate {

// Constant after construction. Its calls are made within the caller's transaction, if it has one.
class RunTables {
 public:
  static constexpr size_t kEntryBytes = 12;

  // `name` begins the names of the tables. A run has two to the power of `page_bits` pages.
  RunTables(absl::string_view name, int page_bits);

  size_t pages_per_run() const { return size_t{1} << page_bits_; }
  size_t PageOf(uint64_t hash) const { return static_cast<size_t>(hash >> (64 - page_bits_)); }

  // Adds an entry to a page or a piece that ends `below` sequences after it.
  static void PutEntry(uint64_t hash, int64_t below, std::string& entries);
  using SeeEntry = absl::FunctionRef<void(uint64_t hash, Sequence sequence)>;
  // Those of a page or a piece whose last sequence is `last`, in the order in which they were put.
  static void ReadEntries(absl::string_view entries, Sequence last, SeeEntry see);

  // All runs, oldest first.
  using SeeRun = absl::FunctionRef<absl::Status(Sequence last, absl::string_view filter)>;
  absl::Status LoadRuns(Database& database, SeeRun see) const;
  // The pieces that end after `after`, oldest first.
  using SeePiece = absl::FunctionRef<void(Sequence last, absl::string_view entries)>;
  absl::Status LoadPieces(Database& database, Sequence after, SeePiece see) const;

  // The last sequences of all runs, and of the pieces that end after the last of these.
  struct Stored {
    Sequence last = 0;
    bool is_run = false;  // otherwise a piece
  };
  // Oldest first.
  absl::StatusOr<std::vector<Stored>> ListStored(Database& database) const;
  // All entries of one of them; none if it is gone.
  absl::Status ReadStored(Database& database, const Stored& stored, SeeEntry see) const;

  // What ReadPage reads with; each connection has its own.
  absl::StatusOr<Statement> PreparePage(Database& database) const;
  // The entries with this hash of the run that ends with `last`; none if the run is gone.
  absl::Status ReadPage(Sequence last, uint64_t hash, Statement& page, SeeEntry see) const;

  absl::Status InsertPiece(Database& database, Sequence last, absl::string_view entries) const;
  // Writes those of `pages` from `next` on that are not empty, at most `max`. `next` is the first
  // that is not written then.
  absl::Status InsertPages(Database& database, Sequence last, const std::vector<std::string>& pages,
                           int64_t max, size_t& next) const;
  absl::Status InsertRun(Database& database, Sequence last, absl::string_view filter) const;

  // Pages of runs after the one that ends with `last`; 0: all pages.
  absl::Status DeletePagesAfter(Database& database, Sequence last) const;
  // Pieces that end at or before `through`, at most `max`. Whether none is left.
  absl::StatusOr<bool> DeletePieces(Database& database, Sequence through, int64_t max) const;
  // The run that ends with `last`, at most `max_pages` of its pages in a call. Whether it is gone.
  absl::StatusOr<bool> DeleteRun(Database& database, Sequence last, int64_t max_pages) const;

 private:
  int64_t FirstPage(Sequence last) const { return last << page_bits_; }

  const int page_bits_;
  const std::string load_runs_;
  const std::string load_pieces_;
  const std::string read_run_;
  const std::string read_piece_;
  const std::string get_page_;
  const std::string insert_run_;
  const std::string insert_page_;
  const std::string insert_piece_;
  const std::string delete_run_;
  const std::string delete_pages_;
  const std::string delete_pages_from_;
  const std::string delete_pieces_;
};

// Has `write` write in a transaction of its own, and keeps the write-ahead log short afterwards.
// For what is written while an index is opened. Errors of `write` and of the database.
absl::Status WriteByItself(Database& database, absl::FunctionRef<absl::Status()> write);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_RUN_TABLES_H_
