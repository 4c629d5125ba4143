#include "client/cli/page_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/printable.h"

namespace hookgate::cli {

std::string FieldLines(const std::vector<Field>& fields, const Style& style) {
  size_t width = 0;
  for (const Field& field : fields) width = std::max(width, Width(field.name));
  std::string lines;
  for (const Field& field : fields) {
    const std::string value = field.value.empty() ? "-" : Printable(field.value);
    absl::StrAppend(&lines, field.name, std::string(width + 2 - Width(field.name), ' '),
                    style(field.look, value), "\n");
  }
  return lines;
}

std::string Block(absl::string_view text) {
  std::string result;
  for (absl::string_view line : absl::StrSplit(PrintableLines(text), '\n')) {
    if (!line.empty()) absl::StrAppend(&result, "  ", line, "\n");
  }
  return result;
}

}  // namespace hookgate::cli
