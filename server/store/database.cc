#include "server/store/database.h"

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kUsedBytes[] =
    "SELECT (page_count - freelist_count) * page_size "
    "FROM pragma_page_count, pragma_freelist_count, pragma_page_size";

// SQLite's own VFS takes less than 128 KiB at once.
constexpr size_t kZerosAtOnce = 64 << 10;

// How long a connection waits for another's lock, such as an operator's sqlite3 shell.
constexpr int kBusyTimeoutMs = 5000;
// The same while commits wait behind this one: another time will do.
constexpr int kRestartTimeoutMs = 50;

// There is no room, or no more for this user or this file. SQLite tells only the first apart, by
// SQLITE_FULL.
bool IsOutOfRoom(int system_error) {
  return system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG;
}

// Why a file could not be opened, if that may pass.
absl::StatusCode ToStatusCodeOfOpening(int system_error) {
  switch (system_error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EINTR:
    case EAGAIN:
      return absl::StatusCode::kUnavailable;
    default:
      return IsOutOfRoom(system_error) ? absl::StatusCode::kResourceExhausted
                                       : absl::StatusCode::kFailedPrecondition;
  }
}

absl::StatusCode ToStatusCode(int result, int system_error) {
  if (result == SQLITE_IOERR_WRITE && IsOutOfRoom(system_error)) {
    return absl::StatusCode::kResourceExhausted;
  }
  switch (result & 0xff) {  // The low byte is the class of an extended code.
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_CONSTRAINT:
      return absl::StatusCode::kAlreadyExists;
    case SQLITE_CANTOPEN:
      return ToStatusCodeOfOpening(system_error);
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kInternal;
  }
}

bool IsDamage(int result) {
  const int primary = result & 0xff;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

// Whether the statement itself is at fault. Otherwise it is the disk, the machine or another
// program, and any other statement would have met the same: who reads the error is not shown one.
bool IsOfTheStatement(int result) {
  switch (result & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
      return true;
    default:
      return false;
  }
}

absl::Status MakeError(int result, absl::string_view what, absl::string_view message,
                       int system_error = 0) {
  // SQLite says "disk I/O error" then.
  if (result == SQLITE_IOERR_WRITE && IsOutOfRoom(system_error)) {
    message = std::strerror(system_error);
  }
  if (IsDamage(result)) what = "it is damaged";
  // Of a log, too, if the first bytes are what is damaged.
  if ((result & 0xff) == SQLITE_NOTADB) what = "it is another kind of file, or its head is damaged";
  return absl::Status(
      ToStatusCode(result, system_error),
      absl::StrCat(what, what.empty() ? "" : ": ", message, " (SQLite code ", result, ")"));
}

// The error of the call that has just failed. `errno` was 0 before it: SQLite does not keep that of
// a failed write in all cases, and may still have the one of a call before.
absl::Status ErrorOf(sqlite3* handle, absl::string_view what) {
  const int write_error = errno;
  const int result = sqlite3_extended_errcode(handle);
  return MakeError(result, what, sqlite3_errmsg(handle),
                   result == SQLITE_IOERR_WRITE ? write_error : sqlite3_system_errno(handle));
}

// The same, of a statement of ours.
absl::Status ErrorOfStatement(sqlite3* handle, absl::string_view sql) {
  return ErrorOf(handle, IsOfTheStatement(sqlite3_extended_errcode(handle)) ? sql : "");
}

// SQLite's URI of a file, whatever its name holds.
std::string UriOf(absl::string_view path, absl::string_view query) {
  std::string uri = "file:";
  for (const char byte : path) {
    if (byte == '%' || byte == '?' || byte == '#') {
      absl::StrAppend(&uri, "%", absl::Hex(static_cast<unsigned char>(byte), absl::kZeroPad2));
    } else {
      uri += byte;
    }
  }
  absl::StrAppend(&uri, "?", query);
  return uri;
}

bool HasWal(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path + "-wal", error);
  return !error && bytes > 0;
}

int CallWalHook(void* hook, sqlite3*, const char*, int pages) {
  (*static_cast<std::function<void(int)>*>(hook))(pages);
  return SQLITE_OK;
}

// The header says which version of the format may write the file, and which may read it. No log has
// another one than the oldest.
absl::Status OfNewerFormat(const std::string& path) {
  return absl::DataLossError(
      absl::StrCat("opening ", path,
                   ": its header asks for a newer version of SQLite than there is: it is damaged"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path, Mode mode) {
  // Nobody asks SQLite for its statistics of memory, and they take a lock of the whole process at
  // each allocation. Before SQLite is used for the first time; without effect later.
  static const int configured = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(configured);
  int flags = SQLITE_OPEN_NOMUTEX;
  switch (mode) {
    case Mode::kReadOnly:
      flags |= SQLITE_OPEN_READONLY;
      break;
    case Mode::kReadWrite:
      flags |= SQLITE_OPEN_READWRITE;
      break;
    case Mode::kReadAlone:
      break;
    case Mode::kCreate:
      flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
      break;
  }
  std::string name = path;
  const char* vfs = nullptr;
  const bool has_wal = mode == Mode::kReadAlone && HasWal(path);
  if (mode == Mode::kReadAlone) {
    flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
    // An immutable file's write-ahead log is not looked at. With it: no lock is taken, and its
    // index is kept in memory.
    name = UriOf(std::filesystem::absolute(path).string(), has_wal ? "mode=ro" : "immutable=1");
    if (has_wal) vfs = "unix-none";
  }
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(name.c_str(), &handle, flags, vfs);
  if (result != SQLITE_OK) {
    const absl::Status error = ErrorOf(handle, absl::StrCat("opening ", path));
    sqlite3_close_v2(handle);
    return error;
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  auto database = absl::WrapUnique(new Database(handle));
  if (has_wal) {
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    RETURN_IF_ERROR(database->Execute("PRAGMA locking_mode = EXCLUSIVE"));
  }
  const absl::Status read = database->Execute("SELECT 1 FROM sqlite_schema LIMIT 0");
  if (absl::StrContains(read.message(), "unsupported file format")) return OfNewerFormat(path);
  if (mode == Mode::kReadWrite || mode == Mode::kCreate) {
    RETURN_IF_ERROR(Annotate(database->Execute("PRAGMA journal_mode = WAL;"
                                               "PRAGMA synchronous = FULL;"
                                               "PRAGMA wal_autocheckpoint = 0;"),
                             absl::StrCat("setting up ", path)));
  }
  if ((mode == Mode::kReadWrite || mode == Mode::kCreate) &&
      sqlite3_db_readonly(handle, "main") == 1 && path != ":memory:" &&
      ::access(path.c_str(), W_OK) == 0) {
    return OfNewerFormat(path);
  }
  return database;
}

Database::~Database() {
  for (sqlite3_stmt* const statement : {begin_read_, begin_write_, commit_}) {
    sqlite3_finalize(statement);
  }
  sqlite3_close_v2(handle_);
}

absl::Status Database::Execute(const std::string& sql) {
  errno = 0;
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return ErrorOfStatement(handle_, sql);
  }
  return absl::OkStatus();
}

absl::StatusOr<Statement> Database::Prepare(absl::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return ErrorOfStatement(handle_, absl::StrCat("preparing ", sql));
  }
  return Statement(statement);
}

absl::Status Database::ExecutePrepared(absl::string_view sql, sqlite3_stmt*& statement) {
  if (statement == nullptr) {
    ASSIGN_OR_RETURN(Statement prepared, Prepare(sql));
    statement = std::exchange(prepared.handle_, nullptr);
  }
  errno = 0;
  const int result = sqlite3_step(statement);
  const absl::Status status =
      result == SQLITE_DONE ? absl::OkStatus() : ErrorOfStatement(handle_, sql);
  sqlite3_reset(statement);
  return status;
}

absl::StatusOr<int64_t> Database::UsedBytes() {
  ASSIGN_OR_RETURN(Statement statement, Prepare(kUsedBytes));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return absl::InternalError("SQLite does not tell how many pages there are");
  return statement.ColumnInt(0);
}

int64_t Database::changes() const { return sqlite3_changes(handle_); }
int64_t Database::total_changes() const { return sqlite3_total_changes(handle_); }

void Database::SetWalHook(std::function<void(int)> hook) {
  wal_hook_ = std::move(hook);
  sqlite3_wal_hook(handle_, &CallWalHook, &wal_hook_);
}

absl::Status Database::ReserveWal(int64_t bytes) {
  sqlite3_file* wal = nullptr;
  if (sqlite3_file_control(handle_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) != SQLITE_OK ||
      wal == nullptr || wal->pMethods == nullptr) {
    return ErrorOf(handle_, "finding the write-ahead log");
  }
  sqlite3_int64 found = 0;
  int result = wal->pMethods->xFileSize(wal, &found);
  // If it has just been cut, that has to be on the disk first: otherwise a power cut could leave
  // old frames behind zeros.
  if (result == SQLITE_OK && found < bytes) result = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
  const std::string zeros(kZerosAtOnce, '\0');
  for (sqlite3_int64 at = found; result == SQLITE_OK && at < bytes;) {
    const auto count = std::min(static_cast<sqlite3_int64>(zeros.size()), bytes - at);
    result = wal->pMethods->xWrite(wal, zeros.data(), static_cast<int>(count), at);
    at += count;
  }
  if (result == SQLITE_OK && found < bytes) result = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
  if (result == SQLITE_OK) return absl::OkStatus();
  const int system_error = errno;
  wal->pMethods->xTruncate(wal, found);
  return MakeError(result, "making the write-ahead log longer", sqlite3_errstr(result),
                   system_error);
}

absl::Status Database::LimitWal(int64_t bytes) {
  return Execute(absl::StrCat("PRAGMA journal_size_limit = ", bytes));
}

absl::StatusOr<int> Database::Checkpoint(CheckpointMode mode) {
  int sqlite_mode = SQLITE_CHECKPOINT_PASSIVE;
  if (mode == CheckpointMode::kRestart) sqlite_mode = SQLITE_CHECKPOINT_RESTART;
  if (mode == CheckpointMode::kTruncate) sqlite_mode = SQLITE_CHECKPOINT_TRUNCATE;
  int wal_pages = 0;
  int moved_pages = 0;
  if (mode == CheckpointMode::kRestart) sqlite3_busy_timeout(handle_, kRestartTimeoutMs);
  errno = 0;
  const int result =
      sqlite3_wal_checkpoint_v2(handle_, nullptr, sqlite_mode, &wal_pages, &moved_pages);
  const int write_error = errno;
  sqlite3_busy_timeout(handle_, kBusyTimeoutMs);
  errno = write_error;
  if (result != SQLITE_OK) return ErrorOf(handle_, "checkpoint");
  return wal_pages - moved_pages;
}

Statement::Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(handle_); }

void Statement::BindInt(int index, int64_t value) { sqlite3_bind_int64(handle_, index, value); }

void Statement::BindText(int index, absl::string_view value) {
  // A null pointer would bind NULL, which an empty view may hold.
  sqlite3_bind_text64(handle_, index, value.empty() ? "" : value.data(), value.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
}

void Statement::BindBlob(int index, absl::string_view value) {
  sqlite3_bind_blob64(handle_, index, value.empty() ? "" : value.data(), value.size(),
                      SQLITE_STATIC);
}

absl::StatusOr<bool> Statement::Step() {
  errno = 0;
  switch (sqlite3_step(handle_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return ErrorOfStatement(sqlite3_db_handle(handle_), sqlite3_sql(handle_));
  }
}

absl::Status Statement::Run() {
  const absl::StatusOr<bool> row = Step();
  Reset();
  return row.status();
}

void Statement::Reset() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

int64_t Statement::ColumnInt(int index) const { return sqlite3_column_int64(handle_, index); }

absl::string_view Statement::ColumnText(int index) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(handle_, index));
  return {text, static_cast<size_t>(sqlite3_column_bytes(handle_, index))};
}

absl::string_view Statement::ColumnBlob(int index) const {
  const auto* blob = static_cast<const char*>(sqlite3_column_blob(handle_, index));
  return {blob, static_cast<size_t>(sqlite3_column_bytes(handle_, index))};
}

absl::StatusOr<Transaction> Transaction::Begin(Database& database, Kind kind) {
  RETURN_IF_ERROR(kind == Kind::kRead
                      ? database.ExecutePrepared("BEGIN", database.begin_read_)
                      : database.ExecutePrepared("BEGIN IMMEDIATE", database.begin_write_));
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  // SQLite has rolled back by itself after some errors; then this says so and changes nothing.
  if (database_ != nullptr) database_->Execute("ROLLBACK").IgnoreError();
}

absl::Status Transaction::Commit() {
  RETURN_IF_ERROR(database_->ExecutePrepared("COMMIT", database_->commit_));
  database_ = nullptr;
  return absl::OkStatus();
}

}  // namespace hookgate
