#include "server/gateway/reload.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

// What is left after what may change has been taken out. Empty messages mean the same as none.
Config FixedPart(Config config) {
  config.clear_sources();
  config.clear_principals();
  config.mutable_storage()->clear_retention();
  config.mutable_storage()->clear_max_unsettled_age();
  config.mutable_storage()->clear_max_bytes();
  config.mutable_storage()->clear_quarantine();
  config.mutable_logging()->clear_level();
  config.mutable_http();
  config.mutable_grpc();
  config.mutable_admin();
  return config;
}

}  // namespace

absl::Status CheckReload(const Config& running, const Config& next) {
  std::string differences;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&differences);
  if (differencer.Compare(FixedPart(running), FixedPart(next))) return absl::OkStatus();
  while (!differences.empty() && differences.back() == '\n') differences.pop_back();
  return absl::FailedPreconditionError(
      absl::StrCat("this can only change with a restart: ", differences));
}

}  // namespace hookgate
