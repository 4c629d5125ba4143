#include "server/grpc_server/status_trailers.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/printable.h"
#include "server/base/status.h"
#include "server/grpc_server/metadata.h"
#include "server/grpc_server/percent_encoding.h"

namespace hookgate {
namespace {

constexpr char kDomain[] = "hookgate";
constexpr int64_t kRetryDelaySeconds = 1;
// As it is, and as it is encoded.
constexpr size_t kMaxMessageBytes = 1024;
constexpr size_t kMaxEncodedBytes = 2048;
constexpr size_t kMaxDetailsBytes = 5120;

// The first `max_bytes` of `text` at most, in UTF-8: never a part of a character, and a byte that
// is none as \xff. It may repeat what a client has sent, and protobuf writes to stderr about each
// text that is no UTF-8.
std::string Utf8Of(absl::string_view text, size_t max_bytes) {
  std::string valid;
  while (!text.empty()) {
    const size_t length = FirstCharacter(text).length;
    if (valid.size() + (length > 0 ? length : 4) > max_bytes) break;
    if (length > 0) {
      absl::StrAppend(&valid, text.substr(0, length));
    } else {
      absl::StrAppend(&valid, "\\x",
                      absl::Hex(static_cast<unsigned char>(text[0]), absl::kZeroPad2));
    }
    text.remove_prefix(length > 0 ? length : 1);
  }
  return valid;
}

void AddErrorInfo(const absl::Status& status, google::rpc::Status& details) {
  google::rpc::ErrorInfo info;
  info.set_reason(absl::AsciiStrToUpper(ReasonOf(status)));
  info.set_domain(kDomain);
  for (const auto& [key, value] : MetadataOf(status)) {
    (*info.mutable_metadata())[key] = Utf8Of(value, kMaxDetailsBytes);
  }
  details.add_details()->PackFrom(info);
}

void AddBadRequest(const absl::Status& status, const std::string& message,
                   google::rpc::Status& details) {
  const std::string field = Utf8Of(FieldOf(status), kMaxDetailsBytes);
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(field);
  violation->set_description(std::string(absl::StripPrefix(message, absl::StrCat(field, ": "))));
  details.add_details()->PackFrom(bad_request);
}

std::string DetailsOf(const absl::Status& status, const std::string& message) {
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  if (!ReasonOf(status).empty()) AddErrorInfo(status, details);
  if (!FieldOf(status).empty()) AddBadRequest(status, message, details);
  if (absl::IsUnavailable(status)) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(kRetryDelaySeconds);
    details.add_details()->PackFrom(retry);
  }
  return MetadataToWire("grpc-status-details-bin", details.SerializeAsString());
}

}  // namespace

StatusTrailers ToTrailers(const absl::Status& status) {
  StatusTrailers trailers;
  trailers.code = absl::StrCat(static_cast<int>(status.code()));
  if (status.ok()) return trailers;
  const std::string message = Utf8Of(status.message(), kMaxMessageBytes);
  trailers.message = PercentEncode(message, kMaxEncodedBytes);
  std::string details = DetailsOf(status, message);
  if (details.size() <= kMaxDetailsBytes) trailers.details = std::move(details);
  return trailers;
}

}  // namespace hookgate
