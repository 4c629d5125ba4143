#include "server/rpc/grpc_status.h"

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

template <typename Detail>
bool FindDetail(const grpc::Status& status, Detail& detail) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&detail)) return true;
  }
  return false;
}

TEST(GrpcStatusTest, CodeMessageReasonAndMetadataReachTheClient) {
  absl::Status status =
      ErrorWithReason(absl::StatusCode::kOutOfRange, reason::kCursorOvertaken, "too old");
  SetMetadata(status, "earliest_cursor", "c");
  const grpc::Status sent = ToGrpcStatus(status);
  EXPECT_EQ(sent.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(sent.error_message(), "too old");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(FindDetail(sent, info));
  EXPECT_EQ(info.reason(), "CURSOR_OVERTAKEN");
  EXPECT_EQ(info.domain(), "hookgate");
  EXPECT_EQ(info.metadata().at("earliest_cursor"), "c");
}

TEST(GrpcStatusTest, WrongFieldIsAViolationOfItsOwn) {
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(FindDetail(ToGrpcStatus(InvalidField("filter.types[0]", "is empty")), bad_request));
  EXPECT_EQ(bad_request.field_violations(0).field(), "filter.types[0]");
  EXPECT_EQ(bad_request.field_violations(0).description(), "is empty");
}

TEST(GrpcStatusTest, UnavailableSaysWhenToComeBack) {
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(FindDetail(ToGrpcStatus(absl::UnavailableError("x")), retry));
  EXPECT_GT(retry.retry_delay().seconds(), 0);
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
}

}  // namespace
}  // namespace hookgate
