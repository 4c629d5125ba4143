#include "client/cli/commands/streams_command.h"

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

using ::testing::SizeIs;

class StreamsTest : public CliTest {
 protected:
  StreamsTest() {
    gateway_.admin.list_streams = [this](const v1::ListStreamsRequest& request,
                                         v1::ListStreamsResponse* response) {
      requests_.push_back(request);
      *response = response_;
      return grpc::Status::OK;
    };
  }

  v1::ListStreamsResponse response_;
  std::vector<v1::ListStreamsRequest> requests_;
};

TEST_F(StreamsTest, PrintsATableThatNobodyCanDisturb) {
  v1::StreamInfo& subscribe = *response_.add_streams();
  subscribe.set_method(v1::StreamInfo::METHOD_SUBSCRIBE);
  subscribe.set_state(v1::StreamInfo::STATE_LIVE);
  subscribe.set_client_name("mailer\x1b");
  subscribe.set_address("ipv4:10.0.0.7:50123");
  subscribe.set_principal("mailer");
  subscribe.mutable_filter()->add_types("batch.*");
  *subscribe.mutable_open_time() = ToProto(clock_.WallNow() - absl::Hours(2));
  subscribe.set_sent_events(12);
  v1::StreamInfo& consume = *response_.add_streams();
  consume.set_method(v1::StreamInfo::METHOD_CONSUME);
  consume.set_state(v1::StreamInfo::STATE_BEHIND);
  consume.set_subscription("billing");
  consume.set_consumer_name("worker-1");
  consume.set_address("ipv4:10.0.0.8:50123");
  consume.mutable_filter();
  *consume.mutable_open_time() = ToProto(clock_.WallNow() - absl::Minutes(3));
  consume.set_lag_events(2000);
  const Outcome outcome = Run({"streams"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "CALL       CLIENT               STATE    LAG  SENT  OPENED     ADDRESS              "
            "PRINCIPAL  EVENTS\n"
            "Subscribe  mailer\\x1b           live       0    12  2 h ago    ipv4:10.0.0.7:50123  "
            "mailer     type batch.*\n"
            "Consume    billing as worker-1  behind  2000     0  3 min ago  ipv4:10.0.0.8:50123  "
            "           every event\n"
            "\n"
            "2 open streams\n");
}

TEST_F(StreamsTest, SaysWhatNothingMeans) {
  EXPECT_EQ(Run({"streams"}).out, "There are no open streams now.\n");
  EXPECT_EQ(Run({"streams", "--subscription=billing"}).out,
            "This subscription has no open stream now.\n");
  ASSERT_THAT(requests_, SizeIs(2));
  EXPECT_EQ(requests_[1].subscription(), "billing");
}

}  // namespace
}  // namespace hookgate::cli
