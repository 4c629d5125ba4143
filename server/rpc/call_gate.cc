#include "server/rpc/call_gate.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// Of a name that a message repeats.
constexpr size_t kShownBytes = 100;

}  // namespace

absl::Status CallGate::CheckSourcesExist(
    const google::protobuf::RepeatedPtrField<std::string>& sources, absl::string_view field,
    bool may_know_all) const {
  for (int i = 0; i < sources.size(); ++i) {
    RETURN_IF_ERROR(CheckSourceExists(sources[i], absl::StrCat(field, "[", i, "]"), may_know_all));
  }
  return absl::OkStatus();
}

absl::Status CallGate::CheckSourceExists(const std::string& source, absl::string_view field,
                                         bool may_know_all) const {
  if (!source_names_) return absl::OkStatus();
  const std::vector<std::string> known = source_names_();
  if (std::find(known.begin(), known.end(), source) != known.end()) return absl::OkStatus();
  std::string problem = absl::StrCat("there is no source \"", source.substr(0, kShownBytes), "\"");
  if (may_know_all) absl::StrAppend(&problem, "; there are: ", absl::StrJoin(known, ", "));
  return ErrorWithReason(absl::StatusCode::kNotFound, reason::kUnknownSource,
                         absl::StrCat(field, ": ", problem));
}

absl::optional<int64_t> CallGate::TakeLine(const std::string& principal) {
  absl::MutexLock lock(&mu_);
  auto found = lines_.find(principal);
  if (found == lines_.end()) {
    found = lines_
                .emplace(std::piecewise_construct, std::forward_as_tuple(principal),
                         std::forward_as_tuple(clock_))
                .first;
  }
  return found->second.Take();
}

}  // namespace hookgate
