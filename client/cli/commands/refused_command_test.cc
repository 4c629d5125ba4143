#include "client/cli/commands/refused_command.h"

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class RefusedTest : public CliTest {
 protected:
  RefusedTest() {
    gateway_.admin.list_refused = [this](const v1::ListRefusedRequest& request,
                                         v1::ListRefusedResponse* response) {
      requests_.push_back(request);
      *response = response_;
      return grpc::Status::OK;
    };
    response_.set_max_remembered(1000);
  }
  v1::RefusedRequest& Add() {
    v1::RefusedRequest& request = *response_.add_requests();
    request.set_source("openai");
    request.set_peer_address("10.0.0.1");
    request.set_client_address("192.0.2.7");
    request.set_code("signature_mismatch");
    request.set_detail("no signature fits");
    request.set_webhook_id("wh_1");
    request.set_count(3);
    *request.mutable_last_time() = ToProto(clock_.WallNow() - absl::Minutes(3));
    return request;
  }

  v1::ListRefusedResponse response_;
  std::vector<v1::ListRefusedRequest> requests_;
};

TEST_F(RefusedTest, PrintsATableThatNobodyCanDisturb) {
  Add();
  v1::RefusedRequest& stranger = Add();
  stranger.clear_source();
  stranger.set_path("/\x1b[31m");
  stranger.set_code("not_found");
  stranger.set_client_address("10.0.0.1");
  stranger.clear_webhook_id();
  const Outcome outcome = Run({"refused"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(
      outcome.out,
      "LAST CAME  TIMES  SOURCE     CODE                FROM                   WEBHOOK-ID  DETAIL\n"
      "3 min ago      3  openai     signature_mismatch  192.0.2.7 by 10.0.0.1  wh_1        no "
      "signature fits\n"
      "3 min ago      3  /\\x1b[31m  not_found           10.0.0.1                           no "
      "signature fits\n"
      "\n"
      "2 refused requests\n");
}

TEST_F(RefusedTest, AsksForWhatItIsToldTo) {
  Run({"refused", "--source=openai", "--code=rate_limited", "--address=192.0.2.7",
       "--webhook-id=wh_1", "--since=1h", "--limit=7"});
  ASSERT_THAT(requests_, SizeIs(1));
  EXPECT_EQ(requests_[0].source(), "openai");
  EXPECT_EQ(requests_[0].code(), "rate_limited");
  EXPECT_EQ(requests_[0].address(), "192.0.2.7");
  EXPECT_EQ(requests_[0].webhook_id(), "wh_1");
  EXPECT_EQ(*FromProto(requests_[0].since_time(), ""), clock_.WallNow() - absl::Hours(1));
  EXPECT_EQ(requests_[0].page_size(), 7);
}

// "Nothing" must not mean "nobody looked".
TEST_F(RefusedTest, SaysWhatNothingMeans) {
  EXPECT_EQ(Run({"refused"}).out, "Nothing was refused since the gateway was started.\n");
  EXPECT_EQ(Run({"refused", "--source=openai"}).out,
            "None of the refused requests in memory match.\n");
  response_.set_max_remembered(0);
  EXPECT_EQ(Run({"refused"}).out,
            "The gateway remembers no refusals: http.max_remembered_refusals is 0.\n");
  EXPECT_EQ(Run({"refused", "--output=json"}).out, "");
}

TEST_F(RefusedTest, JsonHasTheHeaders) {
  v1::RefusedRequest& request = Add();
  request.add_headers()->set_name("Cookie");
  request.mutable_headers(0)->set_bytes(12);
  EXPECT_THAT(Run({"refused", "--output=json"}).out,
              HasSubstr(R"("headers":[{"name":"Cookie","bytes":"12"}])"));
}

}  // namespace
}  // namespace hookgate::cli
