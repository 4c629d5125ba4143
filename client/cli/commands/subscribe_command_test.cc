#include "client/cli/commands/subscribe_command.h"

#include <cerrno>
#include <fstream>
#include <iterator>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "grpcpp/support/status.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::CaughtUpFrame;
using ::hookgate::testing::DrainingFrame;
using ::hookgate::testing::EventsFrame;
using ::hookgate::testing::GatewayStatus;
using ::hookgate::testing::OpenedFrame;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kLine1[] =
    "2025-06-15 17:06:41+02:00 (9 min ago)  #1  batch.failed  batch_1  openai/wh_1\n";
constexpr char kLine2[] =
    "2025-06-15 17:06:42+02:00 (9 min ago)  #2  batch.failed  batch_2  openai/wh_2\n";

class SubscribeTest : public CliTest {
 protected:
  // Sends `frames`, then nothing more.
  void Stream(std::vector<v1::SubscribeResponse> frames) {
    gateway_.AddStream(
        [this, frames = std::move(frames)](const v1::SubscribeRequest&,
                                           testing::FakeGateway::StreamWriter& writer) {
          for (const auto& frame : frames) writer.Write(frame);
          return gateway_.Hold();
        });
  }

  // As Ctrl-C when stderr has `text`.
  void InterruptAt(const std::string& text) {
    on_err_ = [this, text](const std::string& err) {
      if (err.find(text) != std::string::npos) interrupt_.Trigger();
    };
  }

  v1::SubscribeRequest Request(size_t index = 0) { return gateway_.subscribe_requests().at(index); }
};

TEST_F(SubscribeTest, PrintsEventsToStdoutAndTheRestToStderr) {
  Stream({OpenedFrame("c0"), EventsFrame(1, 2), CaughtUpFrame("c2")});
  const Outcome outcome = Run({"subscribe", "--grpc=gateway:1", "--max-events=2"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out, std::string(kLine1) + kLine2);
  EXPECT_EQ(outcome.err,
            "hookgate: the stream from gateway:1 is open; no events are held yet\n"
            "hookgate: 2 events; to go on from here: --after c2\n");
}

TEST_F(SubscribeTest, PrintsOneJsonObjectALine) {
  Stream({OpenedFrame("c0"), EventsFrame(1, 2)});
  const Outcome outcome = Run({"subscribe", "--output=json", "--max-events=2"});
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
  EXPECT_EQ(FirstLine(outcome.out),
            R"({"sequence":"1","cursor":"c1","source":"openai","webhook_id":"wh_1",)"
            R"("type":"batch.failed","subject":"batch_1","webhook_time":"2025-06-15T15:06:41Z",)"
            R"("receive_time":"2025-06-15T15:06:41Z","durability":"DURABILITY_LOCAL_DISK",)"
            R"("batch_failed":{"id":"evt_1","data":{"id":"batch_1"},"type":"batch.failed"}})");
}

// A source that is not configured was waited for, without end and without a word.
TEST_F(SubscribeTest, ASourceThatThereIsNotEndsIt) {
  gateway_.AddStream(
      {}, GatewayStatus(grpc::StatusCode::NOT_FOUND, "UNKNOWN_SOURCE", "there is no source opnai"));
  const Outcome outcome = Run({"subscribe", "--source", "opnai"});
  EXPECT_EQ(outcome.exit_code, kNotFound);
  EXPECT_THAT(outcome.err, HasSubstr("there is no source opnai"));
}

TEST_F(SubscribeTest, EndsAfterSoManyWithinAFrame) {
  Stream({OpenedFrame("c0"), EventsFrame(1, 5)});
  const Outcome outcome = Run({"subscribe", "--max-events=1"});
  EXPECT_EQ(outcome.out, kLine1);
  EXPECT_THAT(outcome.err, EndsWith("hookgate: 1 event; to go on from here: --after c1\n"));
}

TEST_F(SubscribeTest, AsksForTheLatestUnlessSaid) {
  Stream({OpenedFrame("c0"), EventsFrame(1, 1)});
  Run({"subscribe", "--max-events=1"});
  EXPECT_EQ(Request().start_position(), v1::START_POSITION_LATEST);
  EXPECT_EQ(Request().client_name(), "hookgate");
  EXPECT_EQ(Request().heartbeat_interval().seconds(), 15);
  EXPECT_FALSE(Request().include_raw_body());
}

TEST_F(SubscribeTest, AsksForTheStartThatIsSaid) {
  for (int i = 0; i < 3; ++i) Stream({OpenedFrame("c0"), EventsFrame(1, 1)});
  Run({"subscribe", "--max-events=1", "--from=earliest"});
  EXPECT_EQ(Request(0).start_position(), v1::START_POSITION_EARLIEST);
  Run({"subscribe", "--max-events=1", "--after=c7"});
  EXPECT_EQ(Request(1).after_cursor(), "c7");
  Run({"subscribe", "--max-events=1", "--since=1h"});
  EXPECT_EQ(Request(2).start_time().seconds(), absl::ToUnixSeconds(clock_.WallNow()) - 3600);
}

TEST_F(SubscribeTest, AsksForWhatTheFlagsSay) {
  Stream({OpenedFrame("c0"), EventsFrame(1, 1)});
  Run({"subscribe", "--max-events=1", "--source=a", "--type=b.*", "--type=c", "--subject=d",
       "--name=me", "--heartbeat=2s", "--raw"});
  EXPECT_THAT(Request().filter().sources(), ElementsAre("a"));
  EXPECT_THAT(Request().filter().types(), ElementsAre("b.*", "c"));
  EXPECT_THAT(Request().filter().subjects(), ElementsAre("d"));
  EXPECT_EQ(Request().client_name(), "me");
  EXPECT_EQ(Request().heartbeat_interval().seconds(), 2);
  EXPECT_TRUE(Request().include_raw_body());
}

TEST_F(SubscribeTest, RawShowsTheBodyOnALineOfItsOwn) {
  v1::SubscribeResponse frame = EventsFrame(1, 1);
  frame.mutable_event_batch()->mutable_events(0)->set_raw_body("{\n\x1b}");
  Stream({OpenedFrame("c0"), frame});
  EXPECT_EQ(Run({"subscribe", "--raw", "--max-events=1"}).out,
            std::string(kLine1) + "{\\n\\x1b}\n");
}

TEST_F(SubscribeTest, ContradictingStartsAreWrongUsage) {
  const Outcome outcome = Run({"subscribe", "--from=latest", "--since=1h"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, StartsWith("hookgate: subscribe: --from and --since contradict"));
}

TEST_F(SubscribeTest, CtrlCAfterWorkingIsFine) {
  Stream({OpenedFrame("c0"), EventsFrame(1, 1), CaughtUpFrame("c9")});
  InterruptAt("caught up; waiting for new events");
  const Outcome outcome = Run({"subscribe"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out, kLine1);
  EXPECT_THAT(outcome.err, EndsWith("hookgate: caught up; waiting for new events\n"
                                    "hookgate: 1 event; to go on from here: --after c9\n"));
}

TEST_F(SubscribeTest, CtrlCBeforeAnyStreamIsAnInterruption) {
  channel_target_ = "127.0.0.1:1";
  InterruptAt("reconnecting in ");
  const Outcome outcome = Run({"subscribe"});
  EXPECT_EQ(outcome.exit_code, kInterrupted);
  EXPECT_THAT(outcome.err, HasSubstr("Check that a gateway runs there"));
}

TEST_F(SubscribeTest, SaysWhyAndWhenItReconnects) {
  gateway_.AddStream(
      {OpenedFrame("c0"), EventsFrame(1, 1), DrainingFrame("c1", absl::ZeroDuration())},
      GatewayStatus(grpc::StatusCode::UNAVAILABLE, "DRAINING", "the gateway goes down"));
  Stream({OpenedFrame("c1"), EventsFrame(2, 2)});
  const Outcome outcome = Run({"subscribe", "--grpc=gateway:1", "--max-events=2"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out, std::string(kLine1) + kLine2);
  EXPECT_EQ(
      outcome.err,
      "hookgate: the stream from gateway:1 is open; no events are held yet\n"
      "hookgate: the gateway is shutting down gracefully\n"
      "hookgate: reconnecting in 0 s: cannot subscribe: the gateway at gateway:1 answered: the "
      "gateway goes down. Try again later.\n"
      "hookgate: the stream from gateway:1 is open; no events are held yet\n"
      "hookgate: 2 events; to go on from here: --after c2\n");
  EXPECT_EQ(Request(1).after_cursor(), "c1");
}

TEST_F(SubscribeTest, SaysTheSameReasonOnce) {
  const grpc::Status full =
      GatewayStatus(grpc::StatusCode::RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", "full");
  gateway_.AddStream({}, full);
  gateway_.AddStream({}, full);
  Stream({OpenedFrame("c0"), EventsFrame(1, 1)});
  const std::string err = Run({"subscribe", "--max-events=1"}).err;
  EXPECT_THAT(err, HasSubstr("answered: full. Try again later.\n"));
  EXPECT_EQ(err.find("full"), err.rfind("full"));
  EXPECT_THAT(err, HasSubstr(": as before\n"));
}

TEST_F(SubscribeTest, AGatewayThatHoldsEventsSaysWhich) {
  v1::SubscribeResponse opened = OpenedFrame("c7");
  opened.mutable_opened()->set_earliest_sequence(3);
  opened.mutable_opened()->set_head_sequence(8);
  Stream({opened, EventsFrame(8, 8)});
  EXPECT_THAT(Run({"subscribe", "--max-events=1"}).err,
              HasSubstr("is open; events 3 to 8 are held"));
}

TEST_F(SubscribeTest, ARefusalForGoodEndsIt) {
  gateway_.AddStream({}, GatewayStatus(grpc::StatusCode::OUT_OF_RANGE, "CURSOR_OVERTAKEN",
                                       "the cursor is overtaken", {{"earliest_cursor", "c7"}}));
  const Outcome outcome = Run({"subscribe", "--after=c1"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("start from the earliest event (cursor c7)"));
}

// A script has to tell a cursor that is of no use any more from a gateway that refuses otherwise.
TEST_F(SubscribeTest, ACursorOfAnotherHistoryHasAnExitCodeOfItsOwn) {
  const std::string path = ::testing::TempDir() + "cursor_of_another_history";
  std::ofstream(path) << "c6\n";
  gateway_.AddStream({}, GatewayStatus(grpc::StatusCode::FAILED_PRECONDITION,
                                       "CURSOR_OF_ANOTHER_HISTORY", "the log was put back",
                                       {{"earliest_cursor", "c0"}, {"common_cursor", "c3"}}));
  const Outcome outcome = Run({"subscribe", "--cursor-file", path});
  EXPECT_EQ(outcome.exit_code, kForeignCursor);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("(cursor c3)"), HasSubstr("(cursor c0)"),
                                 HasSubstr(path), HasSubstr("remove that file")));
  std::string kept;
  std::getline(std::ifstream(path) >> std::ws, kept);
  EXPECT_EQ(kept, "c6");
}

TEST_F(SubscribeTest, TheCursorFileKeepsThePosition) {
  const std::string path = ::testing::TempDir() + "cursor";
  std::remove(path.c_str());
  Stream({OpenedFrame("c0"), EventsFrame(1, 3)});
  Stream({OpenedFrame("c2"), EventsFrame(3, 3)});
  const Outcome first =
      Run({"subscribe", "--from=earliest", "--cursor-file", path, "--max-events=2"});
  EXPECT_EQ(first.exit_code, kSuccess);
  EXPECT_THAT(first.err, EndsWith("hookgate: 2 events\n"));
  const Outcome second =
      Run({"subscribe", "--from=earliest", "--cursor-file", path, "--max-events=1"});
  EXPECT_EQ(Request(1).after_cursor(), "c2");
  EXPECT_THAT(second.out, HasSubstr("#3"));
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "c3\n");
}

TEST_F(SubscribeTest, ACursorFileThatCannotBeReadEndsIt) {
  const Outcome outcome = Run({"subscribe", "--cursor-file", ::testing::TempDir()});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr(::testing::TempDir()));
}

// Its exit code said that the gateway has no such source.
TEST_F(SubscribeTest, ACursorFileThatCannotBeMadeEndsItAsAFailure) {
  Stream({OpenedFrame("c0"), EventsFrame(1, 1)});
  const std::string path = ::testing::TempDir() + "no_such_folder/cursor";
  const Outcome outcome = Run({"subscribe", "--cursor-file", path});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("cannot save the subscriber's position"));
}

// `hookgate subscribe | head -1`
TEST_F(SubscribeTest, AReaderThatWentAwayEndsItQuietly) {
  Stream({OpenedFrame("c0"), EventsFrame(1, 1)});
  out_error_ = EPIPE;
  const Outcome outcome = Run({"subscribe", "--grpc=gateway:1"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "hookgate: the stream from gateway:1 is open; no events are held yet\n");
}

TEST_F(SubscribeTest, OutputThatCannotBeWrittenEndsItWithAnError) {
  const std::string path = ::testing::TempDir() + "full_cursor";
  std::remove(path.c_str());
  Stream({OpenedFrame("c0"), EventsFrame(1, 1)});
  out_error_ = ENOSPC;
  const Outcome outcome = Run({"subscribe", "--cursor-file", path});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err,
              EndsWith("hookgate: cannot write the output: No space left on device\n"));
  // What was not printed comes again.
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "c0\n");
}

}  // namespace
}  // namespace hookgate::cli
