#include "client/cli/commands/quarantine_list_command.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class QuarantineListTest : public CliTest {
 protected:
  // Answers with entries `newest` to 1, in pages of at most `page`.
  void Hold(int newest, int page = 1000) {
    gateway_.admin.list_quarantined = [this, newest, page](
                                          const v1::ListQuarantinedRequest& request,
                                          v1::ListQuarantinedResponse* response) {
      requests_.push_back(request);
      const int first = request.page_token().empty() ? newest : std::stoi(request.page_token());
      const int last = std::max(first - std::min(request.page_size(), page), 0);
      for (int i = first; i > last; --i) *response->add_webhooks() = Entry(i);
      if (last > 0) response->set_next_page_token(absl::StrCat(last));
      return grpc::Status::OK;
    };
  }

  v1::QuarantinedWebhook Entry(int id) {
    v1::QuarantinedWebhook webhook;
    webhook.set_id(id);
    webhook.set_source("openai");
    webhook.set_webhook_id(absl::StrCat("wh_", id));
    *webhook.mutable_last_receive_time() = ToProto(clock_.WallNow() - absl::Minutes(3));
    webhook.set_receive_count(2);
    webhook.set_reason("invalid_event");
    webhook.set_detail("data.id: \x1b is missing");
    return webhook;
  }

  std::vector<v1::ListQuarantinedRequest> requests_;
};

TEST_F(QuarantineListTest, PrintsATableThatNobodyCanDisturb) {
  Hold(2);
  const Outcome outcome = Run({"quarantine", "list"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "ID  LAST CAME  TIMES  SOURCE  WEBHOOK-ID  REASON         DETAIL\n"
            " 2  3 min ago      2  openai  wh_2        invalid_event  data.id: \\x1b is missing\n"
            " 1  3 min ago      2  openai  wh_1        invalid_event  data.id: \\x1b is missing\n"
            "\n"
            "2 webhooks in quarantine\n");
}

TEST_F(QuarantineListTest, PrintsOneJsonObjectALine) {
  Hold(1);
  EXPECT_EQ(Run({"quarantine", "list", "--output=json"}).out,
            R"({"id":"1","source":"openai","webhook_id":"wh_1","receive_count":"2",)"
            R"("reason":"invalid_event","detail":"data.id: \u001b is missing","body_bytes":"0",)"
            R"("trace_parent":"","sender_trace_parent":"","sender_trace_state":"",)"
            R"("last_receive_time":"2025-06-15T15:13:40Z"})"
            "\n");
}

TEST_F(QuarantineListTest, SaysInWordsThatThereIsNothing) {
  Hold(0);
  EXPECT_EQ(Run({"quarantine", "list"}).out, "The quarantine is empty.\n");
  const Outcome of_source = Run({"quarantine", "list", "--source=staging"});
  EXPECT_EQ(of_source.exit_code, kSuccess);
  EXPECT_EQ(of_source.out, "Nothing from this source is in quarantine.\n");
  EXPECT_EQ(requests_.back().source(), "staging");
  EXPECT_EQ(Run({"quarantine", "list", "--output=json"}).out, "");
}

TEST_F(QuarantineListTest, StopsAtTheLimitAndSaysSo) {
  Hold(60);
  EXPECT_THAT(Run({"quarantine", "list"}).out,
              HasSubstr("\nthe first 50 webhooks in quarantine; there are more: --limit N or --all "
                        "shows them\n"));
  EXPECT_THAT(requests_, SizeIs(1));
  EXPECT_EQ(requests_[0].page_size(), 50);
}

TEST_F(QuarantineListTest, AllGoesFromPageToPage) {
  Hold(60, 25);
  EXPECT_THAT(Run({"quarantine", "list", "--all"}).out, HasSubstr("\n60 webhooks in quarantine\n"));
  EXPECT_THAT(requests_, SizeIs(3));
}

// What came before is not lost.
TEST_F(QuarantineListTest, APageThatFailsIsSaidAfterThoseBefore) {
  gateway_.admin.list_quarantined = [this](const v1::ListQuarantinedRequest& request,
                                           v1::ListQuarantinedResponse* response) {
    if (!request.page_token().empty()) {
      return GatewayStatus(grpc::StatusCode::UNAVAILABLE, "STORE_UNAVAILABLE", "the disk is gone");
    }
    *response->add_webhooks() = Entry(1);
    response->set_next_page_token("2");
    return grpc::Status::OK;
  };
  const Outcome outcome = Run({"quarantine", "list", "--all", "--grpc=gateway:1"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out, HasSubstr("wh_1"));
  EXPECT_EQ(outcome.err,
            "hookgate: cannot list webhooks in quarantine: the gateway at gateway:1 answered: the "
            "disk is gone. Try again later.\n");
}

TEST_F(QuarantineListTest, LimitAndAllContradictEachOther) {
  const Outcome outcome = Run({"quarantine", "list", "--all", "--limit=3"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, HasSubstr("See hookgate quarantine list --help."));
}

TEST_F(QuarantineListTest, NobodyThereIsUnreachable) {
  channel_target_ = "127.0.0.1:1";
  EXPECT_EQ(Run({"quarantine", "list"}).exit_code, kUnreachable);
}

}  // namespace
}  // namespace hookgate::cli
