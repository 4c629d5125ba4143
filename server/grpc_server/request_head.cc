#include "server/grpc_server/request_head.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/grpc_server/timeout.h"

namespace hookgate {
namespace {

constexpr size_t kBytesOfEachField = 32;  // RFC 9113, section 6.5.2
constexpr size_t kMaxQuoted = 64;

// "application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"; but not
// "application/grpc-web", nor "application/grpc+json": its messages would be read as protobuf.
bool IsGrpc(absl::string_view content_type) {
  const absl::string_view type =
      absl::StripAsciiWhitespace(content_type.substr(0, content_type.find(';')));
  return absl::EqualsIgnoreCase(type, "application/grpc") ||
         absl::EqualsIgnoreCase(type, "application/grpc+proto");
}

}  // namespace

void RequestHead::Begin(size_t max_bytes) {
  *this = RequestHead();
  max_bytes_ = max_bytes;
}

void RequestHead::Add(absl::string_view name, absl::string_view value) {
  const size_t each = name.size() + kBytesOfEachField;
  list_bytes_ += each + value.size();
  // Values with commas between them are kept as so many fields.
  if (absl::EndsWith(name, "-bin")) {
    list_bytes_ += each * static_cast<size_t>(std::count(value.begin(), value.end(), ','));
  }
  if (!too_large()) Keep(name, value);
}

void RequestHead::Keep(absl::string_view name, absl::string_view value) {
  if (name == ":method") {
    is_post_ = value == "POST";
  } else if (name == ":path") {
    path_ = std::string(value);
  } else if (name == "content-type") {
    is_grpc_ = IsGrpc(value);
  } else if (name == "grpc-timeout") {
    timeout_ = ParseGrpcTimeout(value);
    if (!timeout_.has_value() && malformed_.empty()) malformed_ = std::string(name);
  } else if (name == "grpc-encoding") {
    if (value != "identity") encoding_ = std::string(value.substr(0, kMaxQuoted));
  } else if (absl::StartsWith(name, ":") || name == "te" || name == "grpc-accept-encoding") {
    // Not metadata.
  } else if (!metadata_.AddFromWire(name, value) && malformed_.empty()) {
    malformed_ = std::string(name.substr(0, kMaxQuoted));
  }
}

int RequestHead::http_status() const {
  if (too_large()) return 200;  // Not all of it is known.
  if (!is_post_) return 405;
  return is_grpc_ ? 200 : 415;
}

absl::Status RequestHead::Check() const {
  if (too_large()) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kHeaderTooLarge,
        absl::StrCat("the metadata of a call may have ", max_bytes_,
                     " bytes, counting names, values and 32 for each of them; these have more"));
  }
  if (!encoding_.empty()) {
    return absl::UnimplementedError(absl::StrCat(
        "grpc-encoding ", encoding_, " is not read here: send messages without compression"));
  }
  if (!malformed_.empty()) {
    return ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kMalformedRequest,
                           malformed_ == "grpc-timeout"
                               ? "grpc-timeout must be one to eight digits and H, M, S, m, u or n"
                               : absl::StrCat("the value of ", malformed_, " is not base64"));
  }
  return absl::OkStatus();
}

}  // namespace hookgate
