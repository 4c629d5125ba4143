#include "version/version.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "version/build_label.h"

namespace hookgate {

namespace {

// What Bazel says in a build without --stamp, so that each commit does not link everything again.
constexpr absl::string_view kNoLabel = "redacted";

std::string MakeVersion() {
  const absl::string_view label = kBuildLabel;
  if (label.empty() || label == kNoLabel) return HOOKGATE_VERSION;
  return absl::StrCat(HOOKGATE_VERSION, "+", label);
}

}  // namespace

absl::string_view Version() {
  static const auto& version = *new std::string(MakeVersion());
  return version;
}

}  // namespace hookgate
