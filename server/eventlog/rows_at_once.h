// Statements that write many rows: what one costs beside its rows is paid once for all of them.
#ifndef HOOKGATE_SERVER_EVENTLOG_ROWS_AT_ONCE_H_
#define HOOKGATE_SERVER_EVENTLOG_ROWS_AT_ONCE_H_

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"

namespace hookgate {

// Rows of such a statement. Twice as many would save little more.
constexpr size_t kRowsAtOnce = 16;

// What stands behind VALUES: "(?1, ?2), (?3, ?4)" and so on.
inline std::string ValuesOfRows(size_t rows, int columns) {
  std::string values;
  int parameter = 0;
  for (size_t row = 0; row < rows; ++row) {
    absl::StrAppend(&values, row == 0 ? "" : ", ");
    for (int column = 0; column < columns; ++column) {
      absl::StrAppend(&values, column == 0 ? "(?" : ", ?", ++parameter);
    }
    absl::StrAppend(&values, ")");
  }
  return values;
}

// The same for kRowsAtOnce rows.
inline std::string ValuesOfRowsAtOnce(int columns) { return ValuesOfRows(kRowsAtOnce, columns); }

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_ROWS_AT_ONCE_H_
