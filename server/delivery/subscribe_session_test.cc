#include "server/delivery/subscribe_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/cursor.h"
#include "server/delivery/tail.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using Action = SubscribeSession::Step::Action;
using hookgate::v1::SubscribeRequest;
using hookgate::v1::SubscribeResponse;

class SubscribeSessionTest : public testing::Test {
 protected:
  explicit SubscribeSessionTest(Tail::Limits limits = {})
      : tail_(limits, watch_), log_(OpenTemporaryLog(&tail_)) {
    tail_.StartAfter(0);
  }

  absl::StatusOr<SubscribeSettings> Settings(const std::string& request_text) {
    SubscribeRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(request_text, &request));
    return SubscribeSettings::FromRequest(request, selections_, *log_);
  }
  SubscribeSession Open(const std::string& request_text) {
    auto settings = Settings(request_text);
    EXPECT_TRUE(settings.ok()) << settings.status();
    return SubscribeSession(*std::move(settings), batches_, *log_, clock_);
  }

  // Carries out steps, and says each in a word, until the session waits or ends.
  std::vector<std::string> RunUntilQuiet(SubscribeSession& session) {
    std::vector<std::string> words;
    while (true) {
      const SubscribeSession::Step step = session.Next();
      switch (step.action) {
        case Action::kWrite:
          words.push_back(Describe(*step.frame));
          break;
        case Action::kReadLog:
          words.push_back("(disk)");
          ReadLog(session);
          break;
        case Action::kPause:
          if (log_->Position().head <= step.seen) return words;
          words.push_back("(pause)");
          break;
        case Action::kWait:
          return words;
        case Action::kEnd:
          words.push_back("end " + absl::StatusCodeToString(step.status.code()));
          return words;
      }
    }
  }

  void ReadLog(SubscribeSession& session) {
    absl::optional<absl::StatusOr<BatchFramePtr>> read;
    EXPECT_TRUE(session.AwaitLog([&](const auto& batch) { read = batch; }));
    batches_.Read(*session.selection(), session.position(), /*ahead=*/0);
    ASSERT_TRUE(read.has_value());
    session.TakeRead(*read);
  }

  static std::string Describe(const std::string& frame) {
    SubscribeResponse response;
    EXPECT_TRUE(response.ParseFromString(frame));
    switch (response.frame_case()) {
      case SubscribeResponse::kOpened:
        return "opened";
      case SubscribeResponse::kEventBatch: {
        std::string text = "events";
        for (const auto& event : response.event_batch().events()) {
          text += " " + std::to_string(event.sequence());
        }
        return text;
      }
      case SubscribeResponse::kCaughtUp:
        return "caught up";
      case SubscribeResponse::kHeartbeat:
        return "heartbeat lag " + std::to_string(response.heartbeat().lag());
      case SubscribeResponse::kDraining:
        return "draining";
      case SubscribeResponse::FRAME_NOT_SET:
        break;
    }
    return "nothing";
  }

  FakeClock clock_;
  HeadWatch watch_{clock_};
  Tail tail_;
  const std::unique_ptr<SqliteEventLog> log_;
  SelectionPool selections_;
  BatchSource batches_{{}, tail_, *log_};
};

TEST_F(SubscribeSessionTest, StoredEventsComeFirstThenCaughtUpThenLiveOnes) {
  AppendEvent(*log_);
  AppendEvent(*log_);
  SubscribeSession session = Open("start_position: START_POSITION_EARLIEST");
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("opened", "events 1 2", "caught up"));
  AppendEvent(*log_);
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("events 3"));
}

TEST_F(SubscribeSessionTest, BetweenTwoSmallBatchesItPauses) {
  SubscribeSession session = Open("start_position: START_POSITION_EARLIEST");
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("opened", "caught up"));
  AppendEvent(*log_);
  ASSERT_EQ(session.Next().action, Action::kWrite);
  AppendEvent(*log_);
  AppendEvent(*log_);
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("(pause)", "events 2 3"));
}

TEST_F(SubscribeSessionTest, LatestSkipsWhatIsStored) {
  AppendEvent(*log_);
  SubscribeSession session = Open("start_position: START_POSITION_LATEST");
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("opened", "caught up"));
  AppendEvent(*log_);
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("events 2"));
}

TEST_F(SubscribeSessionTest, CursorGoesOnExactlyAfterItsEvent) {
  for (int i = 0; i < 3; ++i) AppendEvent(*log_);
  SubscribeSession session = Open("after_cursor: \"" + FormatCursor(log_->history(), 1) + "\"");
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("opened", "events 2 3", "caught up"));
}

TEST_F(SubscribeSessionTest, StartTimeBeginsAtTheFirstEventAtOrAfterIt) {
  for (int64_t second : {10, 20, 30}) {
    AppendEvent(*log_, {.receive_time = absl::FromUnixSeconds(second)});
  }
  SubscribeSession at = Open("start_time { seconds: 20 }");
  EXPECT_THAT(RunUntilQuiet(at), ElementsAre("opened", "events 2 3", "caught up"));
  SubscribeSession later = Open("start_time { seconds: 31 }");
  EXPECT_THAT(RunUntilQuiet(later), ElementsAre("opened", "caught up"));
}

TEST_F(SubscribeSessionTest, FilteredEventsAreSkippedButThePositionMovesOverThem) {
  AppendEvent(*log_, {.type = "batch.failed"});
  AppendEvent(*log_, {.type = "batch.completed"});
  SubscribeSession session = Open(R"(start_position: START_POSITION_EARLIEST
                                     filter { types: "batch.failed" })");
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("opened", "events 1", "caught up"));
  EXPECT_EQ(session.position(), 2);
}

TEST_F(SubscribeSessionTest, SilenceIsBrokenByAHeartbeatEachInterval) {
  SubscribeSession session = Open(R"(start_position: START_POSITION_EARLIEST
                                     heartbeat_interval { seconds: 5 })");
  RunUntilQuiet(session);
  clock_.Advance(absl::Seconds(4.9));
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre());
  clock_.Advance(absl::Seconds(0.1));
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("heartbeat lag 0"));
  clock_.Advance(absl::Seconds(5));
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("heartbeat lag 0"));
}

TEST_F(SubscribeSessionTest, WaitEndsWhenTheNextHeartbeatIsDue) {
  SubscribeSession session = Open("start_position: START_POSITION_EARLIEST");
  session.Next();
  session.Next();
  const SubscribeSession::Step wait = session.Next();
  ASSERT_EQ(wait.action, Action::kWait);
  EXPECT_EQ(wait.deadline, clock_.MonotonicNow() + absl::Seconds(15));
}

TEST_F(SubscribeSessionTest, DrainSaysGoodbyeAndEndsUnavailable) {
  AppendEvent(*log_);
  SubscribeSession session = Open("start_position: START_POSITION_EARLIEST");
  session.Next();
  session.Drain(absl::Seconds(1));
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("draining", "end UNAVAILABLE"));
}

TEST_F(SubscribeSessionTest, RawBodyIsOnlySentWhenAskedFor) {
  AppendEvent(*log_, {.raw_body = "the body"});
  for (bool wanted : {false, true}) {
    SubscribeSession session =
        Open(std::string("start_position: START_POSITION_EARLIEST include_raw_body: ") +
             (wanted ? "true" : "false"));
    session.Next();
    SubscribeResponse response;
    ASSERT_TRUE(response.ParseFromString(*session.Next().frame));
    EXPECT_EQ(response.event_batch().events(0).raw_body(), wanted ? "the body" : "");
  }
}

TEST_F(SubscribeSessionTest, BadRequestsNameTheField) {
  EXPECT_EQ(FieldOf(Settings("").status()), "start");
  EXPECT_EQ(FieldOf(Settings("start_position: START_POSITION_UNSPECIFIED").status()),
            "start_position");
  EXPECT_EQ(FieldOf(Settings("after_cursor: \"\"").status()), "after_cursor");
  EXPECT_EQ(FieldOf(Settings("start_time { nanos: -1 }").status()), "start_time");
  const std::string latest = "start_position: START_POSITION_LATEST ";
  EXPECT_EQ(FieldOf(Settings(latest + "heartbeat_interval {}").status()), "heartbeat_interval");
  EXPECT_EQ(FieldOf(Settings(latest + "heartbeat_interval { seconds: 601 }").status()),
            "heartbeat_interval");
  EXPECT_EQ(FieldOf(Settings(latest + "filter { types: \"\" }").status()), "filter.types[0]");
  EXPECT_EQ(FieldOf(Settings(latest + "client_name: \"" + std::string(201, 'x') + "\"").status()),
            "client_name");
}

class SmallTailTest : public SubscribeSessionTest {
 protected:
  SmallTailTest() : SubscribeSessionTest({.max_events = 2}) {}
};

TEST_F(SmallTailTest, WhoFallsBehindIsServedFromDiskWithoutAHole) {
  SubscribeSession session = Open("start_position: START_POSITION_EARLIEST");
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("opened", "caught up"));
  for (int i = 0; i < 5; ++i) AppendEvent(*log_);
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("(disk)", "events 1 2 3 4 5", "caught up"));
}

TEST_F(SmallTailTest, HeartbeatsComeWhileMuchThatDoesNotMatchIsReadFromDisk) {
  for (int i = 0; i < 5; ++i) AppendEvent(*log_);
  SubscribeSession session = Open(R"(start_position: START_POSITION_EARLIEST
                                     filter { subjects: "none" })");
  session.Next();
  ASSERT_EQ(session.Next().action, Action::kReadLog);
  clock_.Advance(absl::Seconds(15));
  ReadLog(session);
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("heartbeat lag 0", "caught up"));
}

// Streams that waited for the disk behind others sent no heartbeats for 24 s.
TEST_F(SmallTailTest, HeartbeatsComeWhileTheDiskLetsItWait) {
  for (int i = 0; i < 5; ++i) AppendEvent(*log_);
  SubscribeSession session = Open("start_position: START_POSITION_EARLIEST");
  session.Next();
  ASSERT_EQ(session.Next().action, Action::kReadLog);
  absl::optional<absl::StatusOr<BatchFramePtr>> read;
  ASSERT_TRUE(session.AwaitLog([&](const auto& batch) { read = batch; }));
  EXPECT_EQ(session.Next().deadline, clock_.MonotonicNow() + absl::Seconds(15));
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Seconds(15));
    EXPECT_THAT(RunUntilQuiet(session), ElementsAre("heartbeat lag 5"));
  }
  batches_.Read(*session.selection(), session.position(), /*ahead=*/0);
  session.TakeRead(*read);
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("events 1 2 3 4 5", "caught up"));
}

TEST_F(SmallTailTest, DrainDoesNotWaitForTheDisk) {
  for (int i = 0; i < 5; ++i) AppendEvent(*log_);
  SubscribeSession session = Open("start_position: START_POSITION_EARLIEST");
  session.Next();
  ASSERT_EQ(session.Next().action, Action::kReadLog);
  ASSERT_TRUE(session.AwaitLog([](const auto&) {}));
  session.Drain(absl::Seconds(1));
  EXPECT_THAT(RunUntilQuiet(session), ElementsAre("draining", "end UNAVAILABLE"));
}

// Retention does not wait for subscribers; the one it overtakes must hear of it.
TEST_F(SmallTailTest, OvertakenWhileReadingIsAnErrorThatNamesTheEarliest) {
  SubscribeSession session = Open("start_position: START_POSITION_EARLIEST");
  RunUntilQuiet(session);
  for (int i = 1; i <= 5; ++i) AppendEvent(*log_, {.receive_time = absl::FromUnixSeconds(i)});
  ASSERT_EQ(*log_->Trim({2, 2}), 2);
  ASSERT_EQ(session.Next().action, Action::kReadLog);
  ReadLog(session);
  const SubscribeSession::Step end = session.Next();
  ASSERT_EQ(end.action, Action::kEnd);
  EXPECT_EQ(ReasonOf(end.status), reason::kCursorOvertaken);
  EXPECT_EQ(MetadataOf(end.status).at("earliest_cursor"), FormatCursor(log_->history(), 2));
}

}  // namespace
}  // namespace hookgate
