// A thin veneer over SQLite: a connection, a prepared statement, and a transaction that rolls back
// unless committed. Errors come as absl::Status together with what SQLite said:
//   RESOURCE_EXHAUSTED  the disk or a quota is full, or a file may not become longer
//   UNAVAILABLE         another connection holds the lock (SQLITE_BUSY, SQLITE_LOCKED), or the
//                       process or the machine has no file descriptor or memory left to open a file
//                       with: another time it may do
//   DATA_LOSS           the file is damaged or no database (SQLITE_CORRUPT, SQLITE_NOTADB)
//   ALREADY_EXISTS      a row contradicts one that is there (SQLITE_CONSTRAINT)
//   FAILED_PRECONDITION it cannot be opened or written (SQLITE_CANTOPEN, SQLITE_READONLY,
//                       SQLITE_PERM)
//   INTERNAL            everything else, I/O errors among it
#ifndef HOOKGATE_SERVER_STORE_DATABASE_H_
#define HOOKGATE_SERVER_STORE_DATABASE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sqlite3;
struct sqlite3_stmt;

namespace hookgate {

class Statement;

// One connection. Not thread-safe: one thread at a time.
class Database {
 public:
  enum class Mode {
    kReadOnly,
    kReadWrite,
    kCreate,
    // Reads a file that nobody writes, and writes nothing, not even a lock beside it: the file may
    // be alone in a folder that cannot be written. What a write-ahead log beside it holds is read
    // as part of it.
    kReadAlone,
  };

  // Opens `path`. Writers sync every commit (WAL, synchronous=FULL) and never checkpoint on their
  // own: somebody calls Checkpoint.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path, Mode mode);

  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs statements that return no rows.
  absl::Status Execute(const std::string& sql);

  // The statement must not outlive the database.
  absl::StatusOr<Statement> Prepare(absl::string_view sql);

  // Rows that the last INSERT, UPDATE or DELETE changed.
  int64_t changes() const;
  // Rows that statements have changed since the database was opened.
  int64_t total_changes() const;

  // Bytes of the file's pages that hold something. Free pages, which the file keeps and uses again
  // before it grows, are not among them, nor is the write-ahead log. Within a transaction: as it
  // would be after it. Reads two numbers of the file's header, however large the file is.
  absl::StatusOr<int64_t> UsedBytes();

  // Calls `hook` after each commit of this connection with the pages that the write-ahead log then
  // holds.
  void SetWalHook(std::function<void(int pages)> hook);

  // Makes the file of the write-ahead log at least `bytes` long, by zeros behind its end, where
  // SQLite finds no frame of its own; so that no commit has to sync the file's length as well until
  // it is longer. On a writing connection that has used the database, while no other one writes. If
  // it fails, the file is as long as before.
  absl::Status ReserveWal(int64_t bytes);

  // Has the file of the write-ahead log cut to `bytes` when it begins again and is longer. On the
  // connection that writes.
  absl::Status LimitWal(int64_t bytes);

  enum class CheckpointMode {
    kPassive,   // moves what it can into the database without waiting for anybody
    kRestart,   // moves everything, waiting a moment for readers; the next commit begins the
                // write-ahead log again, in the same place of the same file
    kTruncate,  // moves everything, waiting for readers, and makes the file empty
  };
  // The pages of the write-ahead log that are not in the database yet. UNAVAILABLE if the wait was
  // too short, or another checkpoint is running.
  absl::StatusOr<int> Checkpoint(CheckpointMode mode);

 private:
  friend class ChangeCapture;
  friend class Statement;
  friend class Transaction;

  explicit Database(sqlite3* handle) : handle_(handle) {}

  // As Execute. Prepares `sql`, a constant, into `statement` the first time: a commit of a few rows
  // takes as long as parsing does.
  absl::Status ExecutePrepared(absl::string_view sql, sqlite3_stmt*& statement);

  sqlite3* const handle_;
  std::function<void(int)> wal_hook_;
  // Of Transaction. Null until they are needed.
  sqlite3_stmt* begin_read_ = nullptr;
  sqlite3_stmt* begin_write_ = nullptr;
  sqlite3_stmt* commit_ = nullptr;
};

// A prepared statement. Bind, Step until it returns false, Reset; and so on.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Parameters count from 1. Texts and blobs are not copied: they must stay until Reset.
  void BindInt(int index, int64_t value);
  void BindText(int index, absl::string_view value);
  void BindBlob(int index, absl::string_view value);

  // True: there is a row to read. False: done.
  absl::StatusOr<bool> Step();
  // Steps a statement that returns no rows to its end, and resets it.
  absl::Status Run();
  // Ends the statement's hold on the database; bindings are forgotten. Harmless when repeated.
  void Reset();

  // Columns count from 0. Views live until the next Step or Reset.
  int64_t ColumnInt(int index) const;
  absl::string_view ColumnText(int index) const;
  absl::string_view ColumnBlob(int index) const;

 private:
  friend class Database;

  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}

  sqlite3_stmt* handle_;
};

// Resets a statement at the end of a scope, so that no early return leaves a read open.
class StatementScope {
 public:
  explicit StatementScope(Statement& statement) : statement_(statement) {}
  ~StatementScope() { statement_.Reset(); }
  StatementScope(const StatementScope&) = delete;
  StatementScope& operator=(const StatementScope&) = delete;

 private:
  Statement& statement_;
};

// A scope within which all reads see one state, and writes happen together or not at all.
class Transaction {
 public:
  enum class Kind { kRead, kWrite };

  static absl::StatusOr<Transaction> Begin(Database& database, Kind kind);

  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  // Rolls back what was not committed.
  ~Transaction();

  // OK: a write is on the disk. After an error it is rolled back, or its state is unknown if the
  // sync itself failed.
  absl::Status Commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}

  Database* database_;  // null once ended
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STORE_DATABASE_H_
