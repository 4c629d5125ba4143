#include "server/http/problem.h"

#include <algorithm>
#include <boost/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

namespace json = boost::json;

constexpr char kRetryAfterKey[] = "retry_after_seconds";
constexpr char kDefaultRetryAfter[] = "5";

struct HttpStatus {
  int number;
  const char* title;
};

constexpr HttpStatus kBadRequest = {400, "Bad Request"};
constexpr HttpStatus kUnauthorized = {401, "Unauthorized"};
constexpr HttpStatus kForbidden = {403, "Forbidden"};
constexpr HttpStatus kNotFound = {404, "Not Found"};
constexpr HttpStatus kMethodNotAllowed = {405, "Method Not Allowed"};
constexpr HttpStatus kRequestTimeout = {408, "Request Timeout"};
constexpr HttpStatus kContentTooLarge = {413, "Content Too Large"};
constexpr HttpStatus kUnsupportedMediaType = {415, "Unsupported Media Type"};
constexpr HttpStatus kUnprocessableContent = {422, "Unprocessable Content"};
constexpr HttpStatus kTooManyRequests = {429, "Too Many Requests"};
constexpr HttpStatus kHeaderTooLarge = {431, "Request Header Fields Too Large"};
constexpr HttpStatus kInternalServerError = {500, "Internal Server Error"};
constexpr HttpStatus kServiceUnavailable = {503, "Service Unavailable"};

// What a sender should do decides the status; reasons not named here follow from the status code.
constexpr struct {
  const char* reason;
  HttpStatus status;
} kByReason[] = {
    {reason::kRequestTimeout, kRequestTimeout},    {reason::kBodyTooLarge, kContentTooLarge},
    {reason::kHeaderTooLarge, kHeaderTooLarge},    {reason::kMethodNotAllowed, kMethodNotAllowed},
    {reason::kEncodedBody, kUnsupportedMediaType}, {reason::kInvalidEvent, kUnprocessableContent},
};

HttpStatus StatusOfCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return kBadRequest;
    case absl::StatusCode::kUnauthenticated:
      return kUnauthorized;
    case absl::StatusCode::kPermissionDenied:
      return kForbidden;
    case absl::StatusCode::kNotFound:
      return kNotFound;
    case absl::StatusCode::kResourceExhausted:
      return kTooManyRequests;
    case absl::StatusCode::kUnavailable:
      return kServiceUnavailable;
    default:
      return kInternalServerError;
  }
}

HttpStatus ToHttpStatus(const absl::Status& error) {
  const std::string reason = ReasonOf(error);
  for (const auto& entry : kByReason) {
    if (reason == entry.reason) return entry.status;
  }
  return StatusOfCode(error.code());
}

}  // namespace

HttpResponse ToHttpResponse(const absl::Status& error) {
  const HttpStatus status = ToHttpStatus(error);
  const json::object problem = {
      {"type", "about:blank"},
      {"title", status.title},
      {"status", status.number},
      {"code", ReasonOf(error)},
      {"detail", json::string_view(error.message().data(), error.message().size())}};
  HttpResponse response;
  response.status = status.number;
  response.content_type = "application/problem+json";
  response.body = json::serialize(problem);
  if (status.number == kTooManyRequests.number || status.number == kServiceUnavailable.number) {
    const auto metadata = MetadataOf(error);
    const auto seconds = metadata.find(kRetryAfterKey);
    response.fields.emplace_back("Retry-After",
                                 seconds == metadata.end() ? kDefaultRetryAfter : seconds->second);
  }
  return response;
}

absl::Status RefusalError(HttpRefusal refusal, absl::string_view detail) {
  using Code = absl::StatusCode;
  switch (refusal) {
    case HttpRefusal::kMalformed:
      return ErrorWithReason(Code::kInvalidArgument, reason::kMalformedRequest,
                             absl::StrCat("the request is not valid HTTP/1.1: ", detail));
    case HttpRefusal::kHeaderTooLarge:
      return ErrorWithReason(Code::kInvalidArgument, reason::kHeaderTooLarge, detail);
    case HttpRefusal::kBodyTooLarge:
      return ErrorWithReason(Code::kInvalidArgument, reason::kBodyTooLarge, detail);
    case HttpRefusal::kHeaderTimeout:
    case HttpRefusal::kBodyTimeout:
      return ErrorWithReason(Code::kDeadlineExceeded, reason::kRequestTimeout, detail);
    case HttpRefusal::kTooManyConnections:
      return ErrorWithReason(Code::kUnavailable, reason::kTooManyConnections, detail);
    case HttpRefusal::kTooManyBodies:
      return ErrorWithReason(Code::kUnavailable, reason::kTooManyBodies, detail);
    case HttpRefusal::kDraining:
      return ErrorWithReason(Code::kUnavailable, reason::kDraining, detail);
  }
  return absl::InternalError(detail);
}

void SetRetryAfter(absl::Status& error, absl::Duration delay) {
  const int64_t seconds = absl::ToInt64Seconds(absl::Ceil(delay, absl::Seconds(1)));
  SetMetadata(error, kRetryAfterKey, absl::StrCat(std::max<int64_t>(seconds, 1)));
}

}  // namespace hookgate
