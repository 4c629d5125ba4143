#include "client/gateway_error.h"

#include <map>
#include <string>
#include <utility>

#include "client/testing/fake_gateway.h"
#include "gmock/gmock.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"

namespace hookgate {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Explained(const grpc::Status& status) {
  return std::string(
      Explain(ReadGatewayError(status), "cannot list events", "gateway:50051").message());
}

TEST(GatewayErrorTest, ReadsWhatTheGatewayAttached) {
  const GatewayError error = ReadGatewayError(
      GatewayStatus(grpc::StatusCode::OUT_OF_RANGE, "CURSOR_OVERTAKEN", "cursor overtaken",
                    {{"earliest_cursor", "c7"}}, absl::Milliseconds(1500)));
  EXPECT_EQ(error.status, absl::OutOfRangeError("cursor overtaken"));
  EXPECT_TRUE(error.FromGateway());
  EXPECT_EQ(error.reason, "CURSOR_OVERTAKEN");
  EXPECT_EQ(error.metadata.at("earliest_cursor"), "c7");
  EXPECT_EQ(error.retry_delay, absl::Milliseconds(1500));
}

TEST(GatewayErrorTest, HasNoReasonWithoutDetails) {
  const GatewayError error =
      ReadGatewayError(grpc::Status(grpc::StatusCode::UNAVAILABLE, "connection refused"));
  EXPECT_EQ(error.status, absl::UnavailableError("connection refused"));
  EXPECT_FALSE(error.FromGateway());
}

TEST(GatewayErrorTest, LeavesOutDetailsThatAreNotReadable) {
  const GatewayError error =
      ReadGatewayError(grpc::Status(grpc::StatusCode::INTERNAL, "broken", "\xff\xff\xff"));
  EXPECT_EQ(error.status, absl::InternalError("broken"));
  EXPECT_FALSE(error.FromGateway());
}

TEST(GatewayErrorTest, IsEmptyWhenTheCallWasFine) {
  EXPECT_TRUE(ReadGatewayError(grpc::Status::OK).status.ok());
  EXPECT_TRUE(Explain({}, "cannot list events", "gateway:50051").ok());
}

// The code alone does not tell: a gateway may answer FAILED_PRECONDITION for a moment, and a proxy
// NOT_FOUND for the time that it takes to restart.
TEST(IsPermanentTest, GoesByTheReasonOfAGatewayAndElseByTheCode) {
  using Code = grpc::StatusCode;
  const auto of_gateway = [](Code code, const char* reason) {
    return IsPermanent(ReadGatewayError(GatewayStatus(code, reason, "")));
  };
  EXPECT_TRUE(of_gateway(Code::FAILED_PRECONDITION, "CURSOR_OF_ANOTHER_LOG"));
  EXPECT_TRUE(of_gateway(Code::NOT_FOUND, "SUBSCRIPTION_NOT_FOUND"));
  EXPECT_TRUE(of_gateway(Code::OUT_OF_RANGE, "NOT_KNOWN_YET"));
  EXPECT_FALSE(of_gateway(Code::FAILED_PRECONDITION, "STORE_UNAVAILABLE"));
  EXPECT_FALSE(of_gateway(Code::RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"));
  EXPECT_FALSE(of_gateway(Code::UNAVAILABLE, "DRAINING"));
  EXPECT_FALSE(of_gateway(Code::FAILED_PRECONDITION, "JOB_RUNNING"));
  EXPECT_FALSE(of_gateway(Code::RESOURCE_EXHAUSTED, "TOO_MANY_ANSWERS"));
  // The request is about an etag, or a name, that is not free any more.
  EXPECT_TRUE(of_gateway(Code::ABORTED, "ETAG_MISMATCH"));
  EXPECT_TRUE(of_gateway(Code::ALREADY_EXISTS, "SUBSCRIPTION_EXISTS"));
  const auto of_the_way = [](Code code, const char* message) {
    return IsPermanent(ReadGatewayError(grpc::Status(code, message)));
  };
  EXPECT_TRUE(of_the_way(Code::UNAUTHENTICATED, "no"));
  EXPECT_TRUE(of_the_way(Code::UNIMPLEMENTED, "no"));
  EXPECT_FALSE(of_the_way(Code::NOT_FOUND, "no"));
  EXPECT_FALSE(of_the_way(Code::ABORTED, "no"));
  EXPECT_FALSE(of_the_way(Code::FAILED_PRECONDITION, "no"));
  EXPECT_FALSE(of_the_way(Code::RESOURCE_EXHAUSTED, "try later"));
  EXPECT_TRUE(of_the_way(Code::RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)"));
  EXPECT_FALSE(IsPermanent({}));
}

// The end of a subscription was text: a program that wanted to go on from the earliest cursor had
// to look for it there.
TEST(GatewayErrorTest, IsReadFromAnExplainedStatus) {
  const absl::Status end =
      Explain(ReadGatewayError(GatewayStatus(grpc::StatusCode::OUT_OF_RANGE, "CURSOR_OVERTAKEN",
                                             "cursor overtaken", {{"earliest_cursor", "c7"}},
                                             absl::Milliseconds(1500))),
              "cannot subscribe", "gateway:50051");
  const GatewayError error = GatewayErrorOf(end);
  EXPECT_EQ(error.status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(error.status.message(), end.message());
  EXPECT_EQ(error.reason, "CURSOR_OVERTAKEN");
  EXPECT_EQ(error.metadata.at("earliest_cursor"), "c7");
  EXPECT_EQ(error.retry_delay, absl::Milliseconds(1500));
  EXPECT_TRUE(IsPermanent(error));
  EXPECT_FALSE(GatewayErrorOf(absl::OutOfRangeError("elsewhere")).FromGateway());
  EXPECT_TRUE(GatewayErrorOf(absl::OkStatus()).status.ok());
}

TEST(ExplainTest, NamesTheEarliestCursorWhenRetentionWasFaster) {
  EXPECT_THAT(Explained(GatewayStatus(grpc::StatusCode::OUT_OF_RANGE, "CURSOR_OVERTAKEN",
                                      "cursor overtaken", {{"earliest_cursor", "c7"}})),
              AllOf(HasSubstr("cannot list events"), HasSubstr("gateway:50051"),
                    HasSubstr("cursor overtaken"), HasSubstr("Retention"), HasSubstr("c7")));
}

TEST(ExplainTest, SaysThatTheLogWasReplaced) {
  EXPECT_THAT(
      Explained(GatewayStatus(grpc::StatusCode::FAILED_PRECONDITION, "CURSOR_OF_ANOTHER_LOG",
                              "another log", {{"earliest_cursor", "c1"}})),
      AllOf(HasSubstr("data folder was replaced"), HasSubstr("c1")));
}

// A subscriber whose gateway had been restored from a backup went on behind the events that were
// stored since. It is refused by a name of its own, and told where to go on.
TEST(ExplainTest, SaysThatTheLogWasPutBack) {
  const auto refusal = [](std::map<std::string, std::string> metadata) {
    return GatewayStatus(grpc::StatusCode::FAILED_PRECONDITION, "CURSOR_OF_ANOTHER_HISTORY",
                         "another history", std::move(metadata));
  };
  EXPECT_THAT(Explained(refusal({{"earliest_cursor", "c1"}})),
              AllOf(HasSubstr("put back to an older state"), HasSubstr("(cursor c1)")));
  EXPECT_THAT(Explained(refusal({{"earliest_cursor", "c1"}, {"common_cursor", "c3"}})),
              AllOf(HasSubstr("(cursor c3)"), HasSubstr("(cursor c1)")));
}

TEST(ExplainTest, TellsCursorsThatAreNotOfThisLog) {
  const auto is_foreign = [](const std::string& reason) {
    return IsForeignCursor(Explain(
        ReadGatewayError(GatewayStatus(grpc::StatusCode::FAILED_PRECONDITION, reason, "no")),
        "cannot subscribe", "gateway:50051"));
  };
  EXPECT_TRUE(is_foreign("CURSOR_OF_ANOTHER_LOG"));
  EXPECT_TRUE(is_foreign("CURSOR_OF_ANOTHER_HISTORY"));
  EXPECT_FALSE(is_foreign("CURSOR_OVERTAKEN"));
  EXPECT_FALSE(is_foreign("SOMETHING_NEW"));
}

TEST(ExplainTest, AsksWhetherAGatewayIsThereWhenNobodyAnswers) {
  EXPECT_THAT(Explained(grpc::Status(grpc::StatusCode::UNAVAILABLE, "connection refused")),
              HasSubstr("Check that a gateway runs there"));
}

TEST(ExplainTest, SuggestsToTryLaterWhenTheGatewayIsBusy) {
  EXPECT_THAT(Explained(GatewayStatus(grpc::StatusCode::RESOURCE_EXHAUSTED, "TOO_MANY_QUERIES",
                                      "too many queries")),
              HasSubstr("Try again later"));
}

}  // namespace
}  // namespace hookgate
