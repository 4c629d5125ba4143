// Rows under a header, in aligned columns.
#ifndef HOOKGATE_CLIENT_CLI_TABLE_H_
#define HOOKGATE_CLIENT_CLI_TABLE_H_

#include <ostream>
#include <string>
#include <vector>

#include "client/cli/style.h"

namespace hookgate::cli {

class Table {
 public:
  struct Column {
    std::string header;
    bool right_aligned = false;  // For numbers.
  };
  struct Cell {
    std::string text;  // As received: it is made Printable here.
    Look look = Look::kPlain;
  };

  explicit Table(std::vector<Column> columns);

  // One cell a column.
  void AddRow(std::vector<Cell> cells);

  // The header, then the rows; two blanks between columns and none at a line's end.
  void Print(const Style& style, std::ostream& out) const;

 private:
  void PrintRow(const std::vector<Cell>& cells, const Style& style, std::ostream& out) const;

  const std::vector<Column> columns_;
  std::vector<size_t> widths_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_TABLE_H_
