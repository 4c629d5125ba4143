#include "server/http/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using Code = absl::StatusCode;

TEST(ProblemTest, DocumentSaysWhatWentWrongForCodeAndForPeople) {
  const HttpResponse response =
      ToHttpResponse(ErrorWithReason(Code::kUnauthenticated, reason::kSignatureMismatch, "why"));
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.content_type, "application/problem+json");
  EXPECT_EQ(response.body, R"({"type":"about:blank","title":"Unauthorized","status":401,)"
                           R"("code":"signature_mismatch","detail":"why"})");
  EXPECT_THAT(response.fields, IsEmpty());
}

TEST(ProblemTest, DetailIsEscaped) {
  const std::string detail = "a \"quoted\" \\ line\n\x01</script>";
  const HttpResponse response = ToHttpResponse(absl::InvalidArgumentError(detail));
  const json::value problem = json::parse(response.body);
  EXPECT_EQ(problem.at("detail").as_string(), detail);
  EXPECT_EQ(response.body.find('\n'), std::string::npos);
}

TEST(ProblemTest, ReasonDecidesTheStatusAndThenTheCode) {
  const struct {
    Code code;
    const char* reason;
    int status;
  } cases[] = {
      {Code::kInvalidArgument, reason::kMalformedRequest, 400},
      {Code::kInvalidArgument, reason::kBodyNotJson, 400},
      {Code::kUnauthenticated, reason::kMissingHeader, 401},
      {Code::kUnauthenticated, reason::kTimestampTooOld, 401},
      {Code::kPermissionDenied, reason::kAddressNotAllowed, 403},
      {Code::kNotFound, reason::kUnknownSource, 404},
      {Code::kInvalidArgument, reason::kMethodNotAllowed, 405},
      {Code::kDeadlineExceeded, reason::kRequestTimeout, 408},
      {Code::kInvalidArgument, reason::kBodyTooLarge, 413},
      {Code::kInvalidArgument, reason::kEncodedBody, 415},
      {Code::kInvalidArgument, reason::kInvalidEvent, 422},
      {Code::kResourceExhausted, reason::kRateLimited, 429},
      {Code::kInvalidArgument, reason::kHeaderTooLarge, 431},
      {Code::kInternal, "", 500},
      {Code::kUnknown, "", 500},
      {Code::kUnavailable, reason::kQueueFull, 503},
      {Code::kUnavailable, reason::kStoreUnavailable, 503},
      {Code::kUnavailable, "", 503},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.reason);
    const HttpResponse response = ToHttpResponse(ErrorWithReason(c.code, c.reason, "detail"));
    EXPECT_EQ(response.status, c.status);
    const json::value problem = json::parse(response.body);
    EXPECT_EQ(problem.at("status").as_int64(), c.status);
    EXPECT_EQ(problem.at("code").as_string(), c.reason);
  }
}

TEST(ProblemTest, EveryRefusalHasItsStatusAndCode) {
  const struct {
    HttpRefusal refusal;
    int status;
    const char* code;
  } cases[] = {
      {HttpRefusal::kMalformed, 400, "malformed_request"},
      {HttpRefusal::kHeaderTooLarge, 431, "header_too_large"},
      {HttpRefusal::kBodyTooLarge, 413, "body_too_large"},
      {HttpRefusal::kHeaderTimeout, 408, "request_timeout"},
      {HttpRefusal::kBodyTimeout, 408, "request_timeout"},
      {HttpRefusal::kTooManyConnections, 503, "too_many_connections"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.code);
    const absl::Status error = RefusalError(c.refusal, "what was wrong");
    EXPECT_EQ(ReasonOf(error), c.code);
    const HttpResponse response = ToHttpResponse(error);
    EXPECT_EQ(response.status, c.status);
    EXPECT_THAT(response.body, HasSubstr("what was wrong"));
  }
}

TEST(ProblemTest, RetryAfterIsRoundedUpToWholeSeconds) {
  const struct {
    absl::Duration delay;
    const char* seconds;
  } cases[] = {
      {absl::ZeroDuration(), "1"},     {absl::Nanoseconds(1), "1"}, {absl::Seconds(1), "1"},
      {absl::Milliseconds(1001), "2"}, {absl::Minutes(2), "120"},
  };
  for (const auto& c : cases) {
    absl::Status error = absl::ResourceExhaustedError("slower");
    SetRetryAfter(error, c.delay);
    EXPECT_THAT(ToHttpResponse(error).fields, ElementsAre(Pair("Retry-After", c.seconds)));
  }
}

TEST(ProblemTest, RetryAfterIsThereWheneverRetryingHelps) {
  EXPECT_THAT(ToHttpResponse(absl::UnavailableError("")).fields,
              ElementsAre(Pair("Retry-After", "5")));
  EXPECT_THAT(ToHttpResponse(absl::ResourceExhaustedError("")).fields,
              ElementsAre(Pair("Retry-After", "5")));
  EXPECT_THAT(ToHttpResponse(absl::NotFoundError("")).fields, IsEmpty());
}

}  // namespace
}  // namespace hookgate
