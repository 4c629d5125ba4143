// The header declares the session extension only where it is asked for.
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include "server/store/change_capture.h"

#include <sqlite3.h>

#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

absl::Status SessionError(int result, absl::string_view what) {
  return absl::InternalError(
      absl::StrCat(what, ": ", sqlite3_errstr(result), " (SQLite code ", result, ")"));
}

struct FreeMemory {
  void operator()(void* memory) const { sqlite3_free(memory); }
};

ChangeCapture::Value ReadValue(sqlite3_value* value) {
  using Type = ChangeCapture::Type;
  if (value == nullptr) return {};
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return {Type::kInteger, sqlite3_value_int64(value), {}};
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
      return {Type::kText, 0, {text, static_cast<size_t>(sqlite3_value_bytes(value))}};
    }
    case SQLITE_BLOB: {
      const auto* blob = static_cast<const char*>(sqlite3_value_blob(value));
      return {Type::kBlob, 0, {blob, static_cast<size_t>(sqlite3_value_bytes(value))}};
    }
    case SQLITE_FLOAT:
      return {Type::kReal, 0, {}};
    default:
      return {Type::kNull, 0, {}};
  }
}

// Iterates over a patchset, and is gone at the end of its scope.
class Iterator {
 public:
  ~Iterator() { sqlite3changeset_finalize(handle_); }
  sqlite3_changeset_iter* handle_ = nullptr;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ChangeCapture>> ChangeCapture::Begin(
    Database& database, absl::Span<const std::string> tables) {
  sqlite3_session* session = nullptr;
  int result = sqlite3session_create(database.handle_, "main", &session);
  if (result != SQLITE_OK) return SessionError(result, "noting what a transaction changes");
  auto capture = absl::WrapUnique(new ChangeCapture(session));
  for (const std::string& table : tables) {
    result = sqlite3session_attach(session, table.c_str());
    if (result != SQLITE_OK) return SessionError(result, absl::StrCat("noting changes of ", table));
  }
  return capture;
}

ChangeCapture::~ChangeCapture() { sqlite3session_delete(session_); }

bool ChangeCapture::MayHaveChanges() const { return sqlite3session_isempty(session_) == 0; }

absl::Status ChangeCapture::ForEach(absl::FunctionRef<absl::Status(const Change& change)> visit) {
  int bytes = 0;
  void* patchset = nullptr;
  int result = sqlite3session_patchset(session_, &bytes, &patchset);
  if (result != SQLITE_OK) return SessionError(result, "reading what a transaction changed");
  const std::unique_ptr<void, FreeMemory> owner(patchset);
  Iterator iterator;
  result = sqlite3changeset_start(&iterator.handle_, bytes, patchset);
  std::vector<Value> values;
  while (result == SQLITE_OK) {
    result = sqlite3changeset_next(iterator.handle_);
    if (result != SQLITE_ROW) break;
    const char* table = nullptr;
    int columns = 0;
    int operation = 0;
    int indirect = 0;
    result = sqlite3changeset_op(iterator.handle_, &table, &columns, &operation, &indirect);
    if (result != SQLITE_OK) break;
    values.assign(static_cast<size_t>(columns), Value());
    for (int column = 0; column < columns && result == SQLITE_OK; ++column) {
      sqlite3_value* value = nullptr;
      if (operation != SQLITE_DELETE) {
        result = sqlite3changeset_new(iterator.handle_, column, &value);
      }
      // Of an update, the primary key stands there.
      if (result == SQLITE_OK && value == nullptr && operation != SQLITE_INSERT) {
        result = sqlite3changeset_old(iterator.handle_, column, &value);
      }
      values[static_cast<size_t>(column)] = ReadValue(value);
    }
    if (result != SQLITE_OK) break;
    Kind kind = Kind::kInsert;
    if (operation == SQLITE_UPDATE) kind = Kind::kUpdate;
    if (operation == SQLITE_DELETE) kind = Kind::kDelete;
    RETURN_IF_ERROR(visit({.table = table, .kind = kind, .values = values}));
  }
  if (result == SQLITE_DONE) return absl::OkStatus();
  return SessionError(result, "reading what a transaction changed");
}

}  // namespace hookgate
