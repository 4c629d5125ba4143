#include "server/grpc_server/status_trailers.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/status.h"
#include "server/grpc_server/percent_encoding.h"

namespace hookgate {
namespace {

constexpr char kDomain[] = "hookgate";
constexpr int64_t kRetryDelaySeconds = 1;
// As it is, and as it is encoded.
constexpr size_t kMaxMessageBytes = 1024;
constexpr size_t kMaxEncodedBytes = 2048;
constexpr size_t kMaxDetailsBytes = 5120;

// The message, as far as it is sent. Never ends within a character of UTF-8.
absl::string_view MessageOf(const absl::Status& status) {
  absl::string_view message = status.message();
  if (message.size() <= kMaxMessageBytes) return message;
  size_t end = kMaxMessageBytes;
  const auto continues = [&](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
  };
  while (end > kMaxMessageBytes - 3 && continues(message[end])) --end;
  return message.substr(0, end);
}

void AddErrorInfo(const absl::Status& status, google::rpc::Status& details) {
  google::rpc::ErrorInfo info;
  info.set_reason(absl::AsciiStrToUpper(ReasonOf(status)));
  info.set_domain(kDomain);
  for (const auto& [key, value] : MetadataOf(status)) (*info.mutable_metadata())[key] = value;
  details.add_details()->PackFrom(info);
}

void AddBadRequest(const absl::Status& status, google::rpc::Status& details) {
  const std::string field = FieldOf(status);
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(field);
  violation->set_description(
      std::string(absl::StripPrefix(MessageOf(status), absl::StrCat(field, ": "))));
  details.add_details()->PackFrom(bad_request);
}

std::string DetailsOf(const absl::Status& status) {
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(MessageOf(status)));
  if (!ReasonOf(status).empty()) AddErrorInfo(status, details);
  if (!FieldOf(status).empty()) AddBadRequest(status, details);
  if (absl::IsUnavailable(status)) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(kRetryDelaySeconds);
    details.add_details()->PackFrom(retry);
  }
  std::string encoded;
  absl::Base64Escape(details.SerializeAsString(), &encoded);
  // gRPC's own peers send and expect it without padding.
  while (!encoded.empty() && encoded.back() == '=') encoded.pop_back();
  return encoded;
}

}  // namespace

StatusTrailers ToTrailers(const absl::Status& status) {
  StatusTrailers trailers;
  trailers.code = absl::StrCat(static_cast<int>(status.code()));
  if (status.ok()) return trailers;
  trailers.message = PercentEncode(MessageOf(status), kMaxEncodedBytes);
  std::string details = DetailsOf(status);
  if (details.size() <= kMaxDetailsBytes) trailers.details = std::move(details);
  return trailers;
}

}  // namespace hookgate
