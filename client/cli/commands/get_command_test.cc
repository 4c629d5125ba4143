#include "client/cli/commands/get_command.h"

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::hookgate::testing::MakeEvent;
using ::testing::HasSubstr;

using Request = v1::GetEventRequest;
using Response = v1::GetEventResponse;

class GetTest : public CliTest {
 protected:
  GetTest() {
    gateway_.get_event = [this](const Request& request, Response* response) {
      request_ = request;
      *response->mutable_event() = MakeEvent(7);
      if (request.include_raw_body())
        response->mutable_event()->set_raw_body("{\n \"a\": \"\x1b\"}");
      return grpc::Status::OK;
    };
  }

  Request request_;
};

TEST_F(GetTest, ShowsTheWholeEvent) {
  const Outcome outcome = Run({"get", "--sequence=7"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "sequence      7\n"
            "type          batch.failed\n"
            "subject       batch_7\n"
            "source        openai\n"
            "webhook-id    wh_7\n"
            "webhook time  2025-06-15 17:06:47+02:00 (9 min ago)\n"
            "received      2025-06-15 17:06:47+02:00 (9 min ago)\n"
            "durability    on the gateway's disk\n"
            "cursor        c7\n"
            "payload (BatchFailedWebhookEvent):\n"
            "  {\n"
            "   \"id\": \"evt_7\",\n"
            "   \"data\": {\n"
            "    \"id\": \"batch_7\"\n"
            "   },\n"
            "   \"type\": \"batch.failed\"\n"
            "  }\n");
  EXPECT_EQ(request_.sequence(), 7);
  EXPECT_FALSE(request_.include_raw_body());
}

// "Did you mean --sequence batch_abc?" was no help.
TEST_F(GetTest, AStrayIdIsSentToExplain) {
  EXPECT_THAT(Run({"get", "7"}).err, HasSubstr("Did you mean --sequence 7?"));
  EXPECT_THAT(Run({"get", "batch_abc"}).err, HasSubstr("hookgate explain batch_abc"));
}

TEST_F(GetTest, FindsByTheSendersKey) {
  Run({"get", "--webhook-id=wh_7"});
  EXPECT_EQ(request_.webhook().source(), "openai");
  EXPECT_EQ(request_.webhook().webhook_id(), "wh_7");
  Run({"get", "--webhook-id=wh_7", "--source=staging"});
  EXPECT_EQ(request_.webhook().source(), "staging");
}

TEST_F(GetTest, PrintsJson) {
  const Outcome outcome = Run({"get", "--sequence=7", "--output=json"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_THAT(outcome.out, HasSubstr(R"({"sequence":"7","cursor":"c7",)"));
  EXPECT_EQ(outcome.out.find('\n'), outcome.out.size() - 1);
}

TEST_F(GetTest, RawIsTheBodyAndNothingElse) {
  EXPECT_EQ(Run({"get", "--sequence=7", "--raw"}).out, "{\n \"a\": \"\x1b\"}");
  EXPECT_TRUE(request_.include_raw_body());
}

TEST_F(GetTest, NothingFoundHasACodeOfItsOwn) {
  gateway_.get_event = [](const Request&, Response*) {
    return GatewayStatus(grpc::StatusCode::NOT_FOUND, "EVENT_NOT_FOUND", "there is no such event");
  };
  const Outcome outcome = Run({"get", "--webhook-id=wh_9", "--grpc=gateway:1"});
  EXPECT_EQ(outcome.exit_code, kNotFound);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(
      outcome.err,
      "hookgate: cannot get event openai/wh_9: the gateway at gateway:1 answered: there is no "
      "such event\n");
}

TEST_F(GetTest, NobodyThereIsUnreachable) {
  channel_target_ = "127.0.0.1:1";
  EXPECT_EQ(Run({"get", "--sequence=7"}).exit_code, kUnreachable);
}

TEST_F(GetTest, NeedsOneKey) {
  const Outcome none = Run({"get"});
  EXPECT_EQ(none.exit_code, kWrongUsage);
  EXPECT_THAT(none.err, HasSubstr("no event is selected: give --webhook-id ID or --sequence N"));
  EXPECT_EQ(Run({"get", "--sequence=1", "--webhook-id=x"}).exit_code, kWrongUsage);
  EXPECT_EQ(Run({"get", "--sequence=1", "--source=x"}).exit_code, kWrongUsage);
  EXPECT_EQ(Run({"get", "--sequence=0"}).exit_code, kWrongUsage);
}

}  // namespace
}  // namespace hookgate::cli
