// The effects of a commit as rows: what a transaction changed becomes entries of a record, and
// entries become changes of another replica's database.
//
// Only that is done which the record says, and all of it: a row that is to be new and is there, or
// is to be changed and is not, means that the two databases are not of one history.
#ifndef HOOKGATE_SERVER_REPLICATION_ROW_EFFECTS_H_
#define HOOKGATE_SERVER_REPLICATION_ROW_EFFECTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/replication/record.pb.h"
#include "server/store/change_capture.h"
#include "server/store/database.h"

namespace hookgate {

// Used by the thread that writes the database.
class RowEffects {
 public:
  // Reads the columns of `tables`, which are all that records may hold rows of. `database` outlives
  // this, and its schema does not change meanwhile.
  static absl::StatusOr<std::unique_ptr<RowEffects>> Open(Database& database,
                                                          absl::Span<const std::string> tables);

  // Begins to note what is changed from now on.
  absl::StatusOr<std::unique_ptr<ChangeCapture>> BeginCapture();

  // Whether LimitTo holds.
  enum class Limit { kKept, kLifted };
  // Adds what `capture` has noted to the entries of `record`, by table and kind. A column of new
  // rows that has its default in all of them is left out: so what nobody uses yet does not keep an
  // older replica from reading on. Within the transaction. After an error `record` is of no use.
  absl::Status Collect(ChangeCapture& capture, hookgate::replication::v1::Record& record,
                       Limit limit = Limit::kKept);

  // Which tables there are, and which columns each has.
  using Shape = std::map<std::string, std::vector<std::string>>;
  // Of `database`, of those of `tables` that it has.
  static absl::StatusOr<Shape> ReadShape(Database& database, absl::Span<const std::string> tables);
  // From now on Collect adds nothing that a replica with `shape` could not apply:
  // FAILED_PRECONDITION upgrade_unfinished, with what that is. nullopt: everything may be added.
  void LimitTo(absl::optional<Shape> shape) { limit_ = std::move(shape); }

  // Does what the entry says, within a transaction that is rolled back after an error:
  // FAILED_PRECONDITION record_unknown (a table, a column or a kind that is not known here),
  // DATA_LOSS record_contradicts (record.h), and those of the database.
  absl::Status Apply(const hookgate::replication::v1::Rows& rows);

 private:
  struct ColumnInfo {
    std::string name;
    ChangeCapture::Type type = ChangeCapture::Type::kInteger;
    bool in_key = false;
    // Set if the column has one.
    absl::optional<int64_t> default_integer;
    absl::optional<std::string> default_bytes;
  };
  struct TableInfo {
    std::string name;
    std::vector<ColumnInfo> columns;
  };
  using ColumnMask = uint64_t;

  explicit RowEffects(Database& database) : database_(database) {}

  absl::StatusOr<TableInfo> ReadTable(const std::string& name);
  const TableInfo* FindTable(absl::string_view name) const;
  static absl::Status AddRow(const TableInfo& table, const ChangeCapture::Change& change,
                             hookgate::replication::v1::Rows& rows);
  absl::Status CheckLimit(const hookgate::replication::v1::Rows& rows) const;
  static void LeaveOutDefaults(const TableInfo& table, hookgate::replication::v1::Rows& rows);
  static std::string SqlOf(const TableInfo& table, const hookgate::replication::v1::Rows& rows,
                           const std::vector<const ColumnInfo*>& columns);
  absl::StatusOr<Statement*> Prepared(const std::string& sql);

  Database& database_;
  std::vector<std::string> names_;
  std::vector<TableInfo> tables_;
  absl::optional<Shape> limit_;
  // As many as there are ways to change a row, which are few; begins again if they are not.
  std::map<std::string, Statement> prepared_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_ROW_EFFECTS_H_
