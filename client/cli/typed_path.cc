#include "client/cli/typed_path.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hookgate::cli {

std::string FromWhereTyped(const std::string& path, const Environment& environment) {
  const auto folder = environment.get_variable("BUILD_WORKING_DIRECTORY");
  if (!folder.has_value() || absl::StartsWith(path, "/")) return path;
  return absl::StrCat(*folder, "/", path);
}

}  // namespace hookgate::cli
