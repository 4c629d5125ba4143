#include <gmock/gmock.h>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"

namespace hookgate::cli {
namespace {

using ::testing::HasSubstr;

class ReadyCommandTest : public CliTest {
 protected:
  void Answer(int status, const std::string& body) {
    answer_ = [status, body](const HttpRequest&) {
      HttpAnswer answer;
      answer.status = status;
      answer.body = body;
      return answer;
    };
  }
};

TEST_F(ReadyCommandTest, AGatewayThatIsReadyIsFine) {
  Answer(200, R"({"status":"ready"})");
  const Outcome outcome = Run({"ready"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out, "ready\n");
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].url.ToString(), "http://127.0.0.1:9090/readyz");
  EXPECT_EQ(post_timeouts_[0], absl::Seconds(5));
}

TEST_F(ReadyCommandTest, OneThatIsNotSaysWhy) {
  Answer(503, R"({"status":"not_ready","reasons":["draining","the disk is full\u001b[2J"]})");
  variables_["HOOKGATE_ADMIN_URL"] = "http://gateway.example:9091";
  const Outcome outcome = Run({"ready", "--timeout=1s"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out, HasSubstr("not ready: draining; the disk is full"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
  EXPECT_EQ(asked_[0].url.ToString(), "http://gateway.example:9091/readyz");
  EXPECT_EQ(post_timeouts_[0], absl::Seconds(1));
}

// A port that something else listens on must not pass for a gateway.
TEST_F(ReadyCommandTest, WhatIsNotAGatewayIsNotReady) {
  for (const auto& [status, body] :
       std::vector<std::pair<int, std::string>>{{200, "<html>It works!</html>"},
                                                {200, "[]"},
                                                {200, R"({"status":17})"},
                                                {200, R"({"status":"ok"})"},
                                                {503, R"({"status":"ready"})"},
                                                {404, R"({"code":"not_found"})"}}) {
    Answer(status, body);
    const Outcome outcome = Run({"ready"});
    EXPECT_EQ(outcome.exit_code, kFailed) << body;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("is not the admin address of a gateway"));
  }
}

TEST_F(ReadyCommandTest, NobodyThereIsAnExitCodeOfItsOwn) {
  answer_ = [](const HttpRequest&) -> absl::StatusOr<HttpAnswer> {
    return absl::UnavailableError("cannot connect to 127.0.0.1:9090: Connection refused");
  };
  const Outcome outcome = Run({"ready"});
  EXPECT_EQ(outcome.exit_code, kUnreachable);
  EXPECT_THAT(outcome.err, HasSubstr("Connection refused. Check that 127.0.0.1:9090 is"));
  EXPECT_EQ(Run({"ready", "--url=127.0.0.1:9090"}).exit_code, kWrongUsage);
}

}  // namespace
}  // namespace hookgate::cli
