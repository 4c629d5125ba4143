#include "server/cluster/peer_status.h"

#include "absl/strings/ascii.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/status.h"

namespace hookgate {

absl::Status StatusFromTrailers(int code, const std::string& message, const std::string& details) {
  const auto absl_code = static_cast<absl::StatusCode>(code);
  absl::Status status(absl_code, message);
  google::rpc::Status whole;
  if (status.ok() || !whole.ParseFromString(details)) return status;
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad_request;
  for (const auto& detail : whole.details()) {
    if (detail.Is<google::rpc::ErrorInfo>()) detail.UnpackTo(&info);
    if (detail.Is<google::rpc::BadRequest>()) detail.UnpackTo(&bad_request);
  }
  if (bad_request.field_violations_size() > 0) {
    const auto& violation = bad_request.field_violations(0);
    status = InvalidField(violation.field(), violation.description());
  } else if (!info.reason().empty()) {
    status = ErrorWithReason(absl_code, absl::AsciiStrToLower(info.reason()), message);
  }
  for (const auto& [key, value] : info.metadata()) SetMetadata(status, key, value);
  return status;
}

}  // namespace hookgate
