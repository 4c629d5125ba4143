// One thing with all its fields, as text. Pure.
#ifndef HOOKGATE_CLIENT_CLI_PAGE_TEXT_H_
#define HOOKGATE_CLIENT_CLI_PAGE_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/cli/style.h"

namespace hookgate::cli {

struct Field {
  std::string name;
  std::string value;  // As received: it is made Printable here.
  Look look = Look::kPlain;
};

// A line for each, values in a column of their own; "-" stands for an empty one.
std::string FieldLines(const std::vector<Field>& fields, const Style& style);

// The lines of `text`, indented; empty ones are left out. Made Printable.
std::string Block(absl::string_view text);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_PAGE_TEXT_H_
