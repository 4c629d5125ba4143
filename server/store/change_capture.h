// What a transaction changes, row by row, whichever statements do it: by SQLite's session
// extension, which Debian's library has.
//
// Costs a look at each row that is changed, and a copy of each that is removed; nothing while no
// capture lives.
#ifndef HOOKGATE_SERVER_STORE_CHANGE_CAPTURE_H_
#define HOOKGATE_SERVER_STORE_CHANGE_CAPTURE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/store/database.h"

struct sqlite3_session;

namespace hookgate {

// Not thread-safe.
class ChangeCapture {
 public:
  enum class Kind { kInsert, kUpdate, kDelete };
  enum class Type { kAbsent, kNull, kInteger, kText, kBlob, kReal };
  struct Value {
    Type type = Type::kAbsent;
    int64_t integer = 0;
    absl::string_view bytes;  // of a text or a blob
  };
  struct Change {
    absl::string_view table;
    Kind kind = Kind::kInsert;
    // In the order of the table's columns. kInsert: all of them. kUpdate: the primary key, and what
    // has another value. kDelete: the primary key. The others are kAbsent.
    absl::Span<const Value> values;
  };

  // Notes what `database`, which outlives the capture, changes in `tables` from now on. Each has a
  // primary key.
  static absl::StatusOr<std::unique_ptr<ChangeCapture>> Begin(Database& database,
                                                              absl::Span<const std::string> tables);

  ~ChangeCapture();
  ChangeCapture(const ChangeCapture&) = delete;
  ChangeCapture& operator=(const ChangeCapture&) = delete;

  // False: nothing has changed for certain.
  bool MayHaveChanges() const;

  // What differs from how it was at the beginning: one change a row at most, table by table in the
  // order of Begin, in no order within a table. Within the transaction that made the changes.
  // What `visit` sees lives as long as its call; its first error ends the walk.
  absl::Status ForEach(absl::FunctionRef<absl::Status(const Change& change)> visit);

 private:
  explicit ChangeCapture(sqlite3_session* session) : session_(session) {}

  sqlite3_session* const session_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STORE_CHANGE_CAPTURE_H_
