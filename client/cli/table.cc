#include "client/cli/table.h"

#include <algorithm>
#include <utility>

#include "client/cli/printable.h"

namespace hookgate::cli {

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (const Column& column : columns_) widths_.push_back(Width(column.header));
}

void Table::AddRow(std::vector<Cell> cells) {
  cells.resize(columns_.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    cells[i].text = Shortened(Printable(cells[i].text));
    widths_[i] = std::max(widths_[i], Width(cells[i].text));
  }
  rows_.push_back(std::move(cells));
}

void Table::Print(const Style& style, std::ostream& out) const {
  std::vector<Cell> header;
  for (const Column& column : columns_) header.push_back({column.header, Look::kHeading});
  PrintRow(header, style, out);
  for (const std::vector<Cell>& row : rows_) PrintRow(row, style, out);
}

void Table::PrintRow(const std::vector<Cell>& cells, const Style& style, std::ostream& out) const {
  std::string line;
  size_t gap = 0;  // Blanks owed, written only if something follows.
  for (size_t i = 0; i < cells.size(); ++i) {
    const size_t padding = widths_[i] - Width(cells[i].text);
    if (columns_[i].right_aligned) gap += padding;
    if (!cells[i].text.empty()) {
      line += std::string(gap, ' ') + style(cells[i].look, cells[i].text);
      gap = 0;
    }
    if (!columns_[i].right_aligned) gap += padding;
    gap += 2;
  }
  out << line << "\n";
}

}  // namespace hookgate::cli
