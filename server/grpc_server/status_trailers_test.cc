#include "server/grpc_server/status_trailers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

google::rpc::Status DetailsIn(const StatusTrailers& trailers) {
  std::string bytes;
  google::rpc::Status details;
  EXPECT_TRUE(absl::Base64Unescape(trailers.details, &bytes));
  EXPECT_TRUE(details.ParseFromString(bytes));
  return details;
}

template <typename Detail>
bool FindDetail(const absl::Status& status, Detail& detail) {
  const google::rpc::Status details = DetailsIn(ToTrailers(status));
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&detail)) return true;
  }
  return false;
}

TEST(StatusTrailersTest, CodeMessageReasonAndMetadataReachTheClient) {
  absl::Status status =
      ErrorWithReason(absl::StatusCode::kOutOfRange, reason::kCursorOvertaken, "too old: 100%");
  SetMetadata(status, "earliest_cursor", "c");
  const StatusTrailers trailers = ToTrailers(status);
  EXPECT_EQ(trailers.code, "11");
  EXPECT_EQ(trailers.message, "too old: 100%25");
  EXPECT_EQ(DetailsIn(trailers).message(), "too old: 100%");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(FindDetail(status, info));
  EXPECT_EQ(info.reason(), "CURSOR_OVERTAKEN");
  EXPECT_EQ(info.domain(), "hookgate");
  EXPECT_EQ(info.metadata().at("earliest_cursor"), "c");
}

// The path of a call and the like are repeated to whoever sent them. protobuf wrote a line to
// stderr about each that was no UTF-8, and clients could not read the details.
TEST(StatusTrailersTest, BytesThatAreNoUtf8AreWritten) {
  testing::internal::CaptureStderr();
  const StatusTrailers trailers = ToTrailers(absl::UnimplementedError("no \xff\xc3 \xc3\xa9 here"));
  EXPECT_EQ(trailers.message, "no \\xff\\xc3 %C3%A9 here");
  EXPECT_EQ(DetailsIn(trailers).message(), "no \\xff\\xc3 \xc3\xa9 here");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), IsEmpty());
}

TEST(StatusTrailersTest, WrongFieldIsAViolationOfItsOwn) {
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(FindDetail(InvalidField("filter.types[0]", "is empty"), bad_request));
  EXPECT_EQ(bad_request.field_violations(0).field(), "filter.types[0]");
  EXPECT_EQ(bad_request.field_violations(0).description(), "is empty");
}

TEST(StatusTrailersTest, UnavailableSaysWhenToComeBack) {
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(FindDetail(absl::UnavailableError("x"), retry));
  EXPECT_GT(retry.retry_delay().seconds(), 0);
}

TEST(StatusTrailersTest, OkIsACodeAlone) {
  const StatusTrailers trailers = ToTrailers(absl::OkStatus());
  EXPECT_EQ(trailers.code, "0");
  EXPECT_THAT(trailers.message, IsEmpty());
  EXPECT_THAT(trailers.details, IsEmpty());
}

TEST(StatusTrailersTest, BinaryFieldsHaveNoPadding) {
  for (const char* message : {"a", "ab", "abc"}) {
    EXPECT_THAT(ToTrailers(absl::InternalError(message)).details, Not(HasSubstr("=")));
  }
}

// Clients take 8 KiB of trailers: an error about a name of a megabyte came as another error.
TEST(StatusTrailersTest, LongMessagesAreCutAndTheReasonStays) {
  std::string name;
  while (name.size() < 1 << 20) name += "\xc3\xbc";
  absl::Status status =
      ErrorWithReason(absl::StatusCode::kNotFound, reason::kSubscriptionNotFound, name);
  const StatusTrailers trailers = ToTrailers(status);
  EXPECT_LE(trailers.message.size() + trailers.details.size(), 7168);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(FindDetail(status, info));
  EXPECT_EQ(info.reason(), "SUBSCRIPTION_NOT_FOUND");
  EXPECT_EQ(DetailsIn(trailers).message().size(), 1024);
  SetMetadata(status, "everything", name);
  EXPECT_THAT(ToTrailers(status).details, IsEmpty());
}

}  // namespace
}  // namespace hookgate
