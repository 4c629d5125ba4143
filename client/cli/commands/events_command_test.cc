#include "client/cli/commands/events_command.h"

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::hookgate::testing::MakeEvent;
using ::testing::EndsWith;
using ::testing::HasSubstr;

using Request = v1::ListEventsRequest;
using Response = v1::ListEventsResponse;

class EventsTest : public CliTest {
 protected:
  // Answers with `count` events, and says that there are more if `more`.
  void Hold(int count, bool more = false) {
    gateway_.list_events = [this, count, more](const Request& request, Response* response) {
      requests_.push_back(request);
      for (int i = 1; i <= count; ++i) *response->add_events() = MakeEvent(i);
      if (more) response->set_next_page_token("more");
      return grpc::Status::OK;
    };
  }

  std::vector<Request> requests_;
};

TEST_F(EventsTest, PrintsATable) {
  Hold(1);
  const Outcome outcome = Run({"events"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "RECEIVED                   AGE        TYPE          SUBJECT  SOURCE  WEBHOOK-ID  "
            "SEQUENCE\n"
            "2025-06-15 17:06:41+02:00  9 min ago  batch.failed  batch_1  openai  wh_1        "
            "       1\n"
            "\n"
            "1 event\n");
}

TEST_F(EventsTest, AsksForEverythingFromTheNewestOn) {
  Hold(1);
  Run({"events"});
  EXPECT_FALSE(requests_.at(0).has_start_time());
  EXPECT_FALSE(requests_.at(0).has_end_time());
  EXPECT_EQ(requests_.at(0).order(), v1::ORDER_NEWEST_FIRST);
  EXPECT_EQ(requests_.at(0).page_size(), 50);
}

TEST_F(EventsTest, AsksForWhatTheFlagsSay) {
  Hold(1);
  Run({"events", "--order", "oldest", "--since", "2d", "--subject", "batch_1"});
  EXPECT_EQ(requests_.at(0).order(), v1::ORDER_OLDEST_FIRST);
  EXPECT_EQ(requests_.at(0).start_time().seconds(),
            absl::ToUnixSeconds(clock_.WallNow() - absl::Hours(48)));
  EXPECT_EQ(requests_.at(0).filter().subjects(0), "batch_1");
}

TEST_F(EventsTest, SaysInWordsThatThereAreNone) {
  Hold(0);
  EXPECT_EQ(Run({"events"}).out, "No events.\n");
  EXPECT_EQ(Run({"events", "--until", "1h"}).out, "No events until 2025-06-15 16:16:40+02:00.\n");
}

TEST_F(EventsTest, SaysThatThereMayBeMore) {
  Hold(2, true);
  EXPECT_THAT(Run({"events", "--limit=2"}).out,
              EndsWith("\nthe first 2 events; there may be more: --limit N or --all shows them\n"));
}

TEST_F(EventsTest, PrintsJsonAlone) {
  Hold(2, true);
  const Outcome outcome = Run({"events", "--limit=2", "--output=json"});
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
  EXPECT_THAT(FirstLine(outcome.out), HasSubstr(R"("subject":"batch_1")"));
  EXPECT_EQ(outcome.err, "");
}

TEST_F(EventsTest, FindsTheGatewayByTheEnvironment) {
  channel_target_ = "127.0.0.1:1";
  variables_["HOOKGATE_GRPC"] = "gateway:7";
  EXPECT_THAT(Run({"events"}).err, HasSubstr("cannot list events at gateway:7: "));
  EXPECT_THAT(Run({"events", "--grpc=other:8"}).err, HasSubstr("at other:8: "));
}

TEST_F(EventsTest, ARefusalIsAFailure) {
  gateway_.list_events = [](const Request&, Response*) {
    return GatewayStatus(grpc::StatusCode::RESOURCE_EXHAUSTED, "TOO_MANY_QUERIES", "too many");
  };
  EXPECT_EQ(Run({"events"}).exit_code, kFailed);
}

}  // namespace
}  // namespace hookgate::cli
