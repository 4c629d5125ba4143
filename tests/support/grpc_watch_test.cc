#include "tests/support/grpc_watch.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "tests/support/secret_watch.h"
#include "tests/support/untyped_call.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Discloses what it is told to.
class Discloser : public v1::AdminService::Service {
 public:
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest*,
                         v1::GetStatusResponse* response) override {
    if (!metadata.empty()) context->AddTrailingMetadata("x-test", metadata);
    response->add_not_ready_reasons(answer);
    return status;
  }

  std::string answer = "well";
  std::string metadata;
  grpc::Status status;
};

class GrpcWatchTest : public testing::Test {
 protected:
  GrpcWatchTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&discloser_);
    server_ = builder.BuildAndStart();
    channel_ =
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
  }

  // What the watch says of one call.
  template <typename Call>
  std::vector<std::string> FailuresOf(const Call& call) {
    testing::TestPartResultArray failures;
    {
      testing::ScopedFakeTestPartResultReporter reporter(
          testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &failures);
      call();
    }
    std::vector<std::string> messages;
    for (int i = 0; i < failures.size(); ++i) {
      messages.emplace_back(failures.GetTestPartResult(i).message());
    }
    return messages;
  }
  std::vector<std::string> FailuresOfTypedCall() {
    return FailuresOf([this] {
      grpc::ClientContext context;
      v1::GetStatusResponse response;
      (void)v1::AdminService::NewStub(channel_)->GetStatus(&context, {}, &response);
    });
  }

  Discloser discloser_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(GrpcWatchTest, AnswersWithoutSecretsPass) {
  EXPECT_THAT(FailuresOfTypedCall(), IsEmpty());
  discloser_.status = grpc::Status(grpc::StatusCode::NOT_FOUND, "there is none");
  EXPECT_THAT(FailuresOfTypedCall(), IsEmpty());
}

TEST_F(GrpcWatchTest, SecretInAnAnswerIsFound) {
  discloser_.answer = kTestSecret;
  EXPECT_THAT(FailuresOfTypedCall(),
              ElementsAre(HasSubstr("answer of /hookgate.v1.AdminService/GetStatus discloses")));
}

TEST_F(GrpcWatchTest, SecretInAStatusIsFound) {
  discloser_.status = grpc::Status(grpc::StatusCode::NOT_FOUND, kTestSecret);
  EXPECT_THAT(FailuresOfTypedCall(), ElementsAre(HasSubstr("status of")));
  discloser_.status = grpc::Status(grpc::StatusCode::NOT_FOUND, "no", kTestSecret);
  EXPECT_THAT(FailuresOfTypedCall(), testing::Contains(HasSubstr("status details of")));
}

TEST_F(GrpcWatchTest, SecretInMetadataIsFound) {
  discloser_.metadata = kTestSecret;
  EXPECT_THAT(FailuresOfTypedCall(), ElementsAre(HasSubstr("metadata of")));
}

TEST_F(GrpcWatchTest, SecretInAnUntypedAnswerIsFound) {
  discloser_.answer = kTestSecret;
  EXPECT_THAT(FailuresOf([this] {
                grpc::ClientContext context;
                (void)CallUntyped(channel_, context, "/hookgate.v1.AdminService/GetStatus", "");
              }),
              ElementsAre(HasSubstr("answer of")));
}

}  // namespace
}  // namespace hookgate
