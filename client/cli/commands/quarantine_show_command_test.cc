#include "client/cli/commands/quarantine_show_command.h"

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::testing::HasSubstr;

class QuarantineShowTest : public CliTest {
 protected:
  QuarantineShowTest() {
    gateway_.admin.get_quarantined = [this](const v1::GetQuarantinedRequest& request,
                                            v1::GetQuarantinedResponse* response) {
      if (request.id() != 7) {
        return GatewayStatus(grpc::StatusCode::NOT_FOUND, "QUARANTINE_ENTRY_NOT_FOUND",
                             "there is no such entry");
      }
      v1::QuarantinedWebhook& webhook = *response->mutable_webhook();
      webhook.set_id(7);
      webhook.set_source("openai");
      webhook.set_webhook_id("wh_7");
      *webhook.mutable_webhook_time() = ToProto(clock_.WallNow() - absl::Hours(3));
      *webhook.mutable_first_receive_time() = webhook.webhook_time();
      *webhook.mutable_last_receive_time() = ToProto(clock_.WallNow());
      webhook.set_receive_count(2);
      webhook.set_reason("invalid_event");
      webhook.set_detail("data.id: is missing");
      webhook.set_body_bytes(12);
      webhook.set_trace_parent(trace_parent_);
      webhook.set_sender_trace_parent(sender_trace_parent_);
      response->set_raw_body("{\n \"a\": \"\x1b\"}");
      return grpc::Status::OK;
    };
  }

  std::string trace_parent_;
  std::string sender_trace_parent_;
};

TEST_F(QuarantineShowTest, ShowsTheTraceThatTheEventWillHave) {
  EXPECT_THAT(Run({"quarantine", "show", "7"}).out, Not(HasSubstr("trace")));
  trace_parent_ = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  sender_trace_parent_ = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
  EXPECT_THAT(Run({"quarantine", "show", "7"}).out,
              HasSubstr("\nsender trace  00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\n"
                        "trace         00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n"
                        "body:\n"));
}

TEST_F(QuarantineShowTest, ShowsAllFieldsAndTheBody) {
  const Outcome outcome = Run({"quarantine", "show", "7"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "id            7\n"
            "source        openai\n"
            "webhook-id    wh_7\n"
            "webhook time  2025-06-15 14:16:40+02:00 (3 h ago)\n"
            "first came    2025-06-15 14:16:40+02:00 (3 h ago)\n"
            "last came     2025-06-15 17:16:40+02:00 (just now)\n"
            "times         2\n"
            "reason        invalid_event\n"
            "detail        data.id: is missing\n"
            "body bytes    12\n"
            "body:\n"
            "  {\n"
            "   \"a\": \"\\x1b\"}\n");
}

TEST_F(QuarantineShowTest, RawIsTheBodyAndNothingElse) {
  EXPECT_EQ(Run({"quarantine", "show", "--raw", "7"}).out, "{\n \"a\": \"\x1b\"}");
}

TEST_F(QuarantineShowTest, PrintsJsonWithTheBodyInBase64) {
  const Outcome outcome = Run({"quarantine", "show", "7", "--output", "json"});
  EXPECT_THAT(outcome.out, HasSubstr(R"({"webhook":{"id":"7","source":"openai",)"));
  EXPECT_THAT(outcome.out, HasSubstr(R"("raw_body":"ewogImEiOiAiGyJ9"})"));
  EXPECT_EQ(outcome.out.find('\n'), outcome.out.size() - 1);
}

TEST_F(QuarantineShowTest, WhatIsNotThereHasACodeOfItsOwn) {
  const Outcome outcome = Run({"quarantine", "show", "8", "--grpc=gateway:1"});
  EXPECT_EQ(outcome.exit_code, kNotFound);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "hookgate: cannot show 8: the gateway at gateway:1 answered: there is no such entry\n");
}

TEST_F(QuarantineShowTest, NeedsOneId) {
  const Outcome none = Run({"quarantine", "show"});
  EXPECT_EQ(none.exit_code, kWrongUsage);
  EXPECT_EQ(none.err,
            "hookgate: quarantine show: an argument is missing: hookgate quarantine show ID\n"
            "See hookgate quarantine show --help.\n");
  EXPECT_EQ(Run({"quarantine", "show", "1", "2"}).exit_code, kWrongUsage);
  EXPECT_EQ(Run({"quarantine", "show", "0"}).exit_code, kWrongUsage);
  EXPECT_THAT(Run({"quarantine", "show", "wh_1"}).err, HasSubstr("\"wh_1\" is not an id"));
}

}  // namespace
}  // namespace hookgate::cli
