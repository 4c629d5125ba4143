// The command line against a real gateway, as its users have it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/program.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class CliTest : public GatewayTest {
 protected:
  void SetUp() override { Start(); }

  // hookgate ARGUMENTS, towards this gateway.
  ProgramOutcome Hookgate(const std::vector<std::string>& arguments, const std::string& in = "") {
    return RunProgram(kHookgate, arguments,
                      {absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc()),
                       absl::StrCat("HOOKGATE_URL=http://", gateway_->http()),
                       absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)},
                      in);
  }
  static size_t LinesOf(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }
};

TEST_F(CliTest, SendSaysHowItWasAnswered) {
  const std::vector<std::string> send = {"send", "--webhook-id", "wh_1"};
  const ProgramOutcome first = Hookgate(send);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("200 stored sequence 1 wh_1"));
  EXPECT_THAT(Hookgate(send).out, HasSubstr("200 duplicate sequence 1 wh_1"));
  const ProgramOutcome forged = Hookgate({"send", "--corrupt-signature"});
  EXPECT_EQ(forged.exit_code, 1);
  EXPECT_THAT(forged.out + forged.err, HasSubstr("401 signature_mismatch"));
  const ProgramOutcome stale = Hookgate({"send", "--age", "10m"});
  EXPECT_THAT(stale.out + stale.err, HasSubstr("401 timestamp_too_old"));
}

TEST_F(CliTest, SampleOfAnyTypeIsStoredAndFound) {
  for (const char* type : {"batch.failed", "response.completed", "live.call.incoming"}) {
    const ProgramOutcome sent = Hookgate({"send", "--type", type});
    EXPECT_EQ(sent.exit_code, 0) << type << ": " << sent.out << sent.err;
  }
  EXPECT_EQ(LinesOf(Hookgate({"events", "--output", "json"}).out), 3u);
  const ProgramOutcome failures = Hookgate({"failures", "--output", "json"});
  EXPECT_EQ(LinesOf(failures.out), 1u);
  EXPECT_THAT(failures.out, HasSubstr(R"("type":"batch.failed")"));
}

TEST_F(CliTest, SubscribePrintsWhatIsStoredAndResumesFromItsFile) {
  for (int i = 1; i <= 3; ++i) Hookgate({"send", "--subject", absl::StrCat("batch_", i)});
  const std::string cursor_file = FreshTestFile("cursor");
  const std::vector<std::string> subscribe = {"subscribe", "--from",      "earliest",
                                              "--output",  "json",        "--cursor-file",
                                              cursor_file, "--max-events"};
  std::vector<std::string> two = subscribe;
  two.push_back("2");
  const ProgramOutcome first = Hookgate(two);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, AllOf(HasSubstr("batch_1"), HasSubstr("batch_2")));
  EXPECT_EQ(LinesOf(first.out), 2u);
  std::vector<std::string> one = subscribe;
  one.push_back("1");
  const ProgramOutcome second = Hookgate(one);
  EXPECT_THAT(second.out, AllOf(HasSubstr("batch_3"), Not(HasSubstr("batch_2"))));
}

TEST_F(CliTest, GetFindsOneEventAndSaysWhenThereIsNone) {
  Hookgate({"send", "--webhook-id", "wh_1", "--file", "-"}, BatchFailedBody("batch_get"));
  EXPECT_THAT(Hookgate({"get", "--webhook-id", "wh_1"}).out, HasSubstr("batch_get"));
  EXPECT_EQ(Hookgate({"get", "--sequence", "1", "--raw"}).out, BatchFailedBody("batch_get"));
  EXPECT_EQ(Hookgate({"get", "--sequence", "2"}).exit_code, 4);
}

TEST_F(CliTest, QuarantineIsShownRetriedAndDiscarded) {
  EXPECT_THAT(Hookgate({"send", "--webhook-id", "wh_bad", "--file", "-"}, "{").err +
                  Hookgate({"send", "--webhook-id", "wh_bad", "--file", "-"}, "{").out,
              HasSubstr("400 body_not_json"));
  EXPECT_THAT(Hookgate({"quarantine", "list"}).out, AllOf(HasSubstr("wh_bad"), HasSubstr(" 2 ")));
  EXPECT_EQ(Hookgate({"quarantine", "show", "1", "--raw"}).out, "{");
  const ProgramOutcome retried = Hookgate({"quarantine", "retry", "1"});
  EXPECT_EQ(retried.exit_code, 1);
  EXPECT_THAT(retried.out, HasSubstr("body_not_json"));
  // Nobody is there to be asked.
  EXPECT_EQ(Hookgate({"quarantine", "discard", "1"}).exit_code, 2);
  EXPECT_EQ(Hookgate({"quarantine", "discard", "1", "--yes"}).exit_code, 0);
  EXPECT_THAT(Hookgate({"quarantine", "list", "--output", "json"}).out, IsEmpty());
  EXPECT_EQ(Hookgate({"quarantine", "show", "1"}).exit_code, 4);
}

TEST_F(CliTest, StatusTellsHowItIs) {
  Hookgate({"send"});
  const ProgramOutcome status = Hookgate({"status"});
  EXPECT_EQ(status.exit_code, 0) << status.err;
  EXPECT_THAT(status.out, AllOf(HasSubstr("1 stored"), HasSubstr("openai"), HasSubstr("just now")));
}

TEST_F(CliTest, WhatIsWrongHasAnExitCodeOfItsOwn) {
  EXPECT_EQ(Hookgate({"no-such-command"}).exit_code, 2);
  EXPECT_EQ(Hookgate({"failures", "--since", "yesterday"}).exit_code, 2);
  gateway_->Signal(SIGTERM);
  gateway_->WaitForExit();
  for (const char* command : {"failures", "events", "status"}) {
    const ProgramOutcome outcome = Hookgate({command});
    EXPECT_EQ(outcome.exit_code, 3) << command;
    EXPECT_THAT(outcome.err, HasSubstr(gateway_->grpc()));
  }
  EXPECT_EQ(Hookgate({"send"}).exit_code, 3);
}

}  // namespace
}  // namespace hookgate
