#include "server/config/problems.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/base/printable.h"

namespace hookgate {
namespace {

// A message may quote a value of the config, which may be long.
constexpr size_t kMaxBytes = 1000;

std::string Join(absl::string_view key, absl::string_view what) {
  return absl::StrCat(key, ": ", what);
}

}  // namespace

void Problems::AddError(absl::string_view key, absl::string_view what) {
  Add(Join(key, what), errors_);
}

void Problems::AddError(const absl::Status& status) {
  if (!status.ok()) Add(std::string(status.message()), errors_);
}

void Problems::AddWarning(absl::string_view key, absl::string_view what) {
  Add(Join(key, what), warnings_);
}

void Problems::Add(std::string problem, std::vector<std::string>& problems) {
  if (problem.size() > kMaxBytes) {
    // The beginning has the key, and the end what would be right.
    problem = absl::StrCat(problem.substr(0, kMaxBytes / 2), " ... ",
                           problem.substr(problem.size() - kMaxBytes / 2));
  }
  problem = Printable(problem);
  if (std::find(problems.begin(), problems.end(), problem) != problems.end()) return;
  if (problems.size() < kMost) problems.push_back(std::move(problem));
  if (problems.size() == kMost) problems.push_back("there are more problems than these");
}

}  // namespace hookgate
