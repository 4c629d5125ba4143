#include "client/subscriber.h"

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "client/connection.h"
#include "client/gateway_error.h"
#include "client/testing/fake_gateway.h"
#include "common/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "grpcpp/support/status.h"
#include "grpcpp/test/mock_stream.h"
#include "gtest/gtest.h"
#include "hookgate/v1/event_service_mock.grpc.pb.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

using ::hookgate::testing::CaughtUpFrame;
using ::hookgate::testing::DrainingFrame;
using ::hookgate::testing::EventsFrame;
using ::hookgate::testing::FakeGateway;
using ::hookgate::testing::GatewayStatus;
using ::hookgate::testing::HeartbeatFrame;
using ::hookgate::testing::OpenedFrame;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const grpc::Status kBroken(grpc::StatusCode::UNAVAILABLE, "connection reset");

class MemoryCursorStore final : public CursorStore {
 public:
  absl::StatusOr<std::optional<std::string>> Load() override {
    if (!load_error.ok()) return load_error;
    return initial;
  }
  absl::Status Save(absl::string_view cursor) override {
    if (!save_error.ok()) return save_error;
    saved.emplace_back(cursor);
    return absl::OkStatus();
  }

  std::optional<std::string> initial;
  std::vector<std::string> saved;
  absl::Status load_error;
  absl::Status save_error;
};

class SubscriberTest : public ::testing::Test {
 protected:
  // Reconnects quickly, so that tests need not wait.
  Subscriber::Options Options() {
    Subscriber::Options options;
    options.target = gateway_.target();
    options.start = Subscriber::Earliest{};
    options.backoff = {.initial = absl::Milliseconds(1), .maximum = absl::Milliseconds(2)};
    return options;
  }

  // Runs until event `last` was handled; every sequence handled is in handled_.
  absl::Status RunUntil(int64_t last, Subscriber::Options options) {
    Subscriber subscriber(std::move(options));
    return subscriber.Run([this, last, &subscriber](const v1::Event& event) {
      handled_.push_back(event.sequence());
      if (event.sequence() == last) subscriber.Stop();
      return absl::OkStatus();
    });
  }

  std::string AfterCursor(size_t request) {
    return gateway_.subscribe_requests().at(request).after_cursor();
  }

  FakeGateway gateway_;
  std::vector<int64_t> handled_;
};

TEST_F(SubscriberTest, HandlesEventsInOrder) {
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 2), EventsFrame(3, 5)}, kBroken);
  EXPECT_EQ(RunUntil(5, Options()), absl::OkStatus());
  EXPECT_THAT(handled_, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(SubscriberTest, AsksForWhatTheOptionsSay) {
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 1)}, kBroken);
  Subscriber::Options options = Options();
  options.filter.add_types("batch.*");
  options.client_name = "billing";
  options.include_raw_body = true;
  options.heartbeat_interval = absl::Seconds(3);
  options.start = Subscriber::Since{absl::FromUnixSeconds(12)};
  ASSERT_EQ(RunUntil(1, options), absl::OkStatus());
  const v1::SubscribeRequest request = gateway_.subscribe_requests().at(0);
  EXPECT_THAT(request.filter().types(), ElementsAre("batch.*"));
  EXPECT_EQ(request.client_name(), "billing");
  EXPECT_TRUE(request.include_raw_body());
  EXPECT_EQ(request.heartbeat_interval().seconds(), 3);
  EXPECT_EQ(request.start_time().seconds(), 12);
}

TEST_F(SubscriberTest, LosesAndRepeatsNothingOverReconnects) {
  // Each stream serves from the cursor it is asked for, and breaks after two events.
  for (int i = 0; i < 10; ++i) {
    gateway_.AddStream([](const v1::SubscribeRequest& request, FakeGateway::StreamWriter& writer) {
      const int64_t after =
          request.after_cursor().empty() ? 0 : std::stoll(request.after_cursor().substr(1));
      writer.Write(OpenedFrame(absl::StrCat("c", after)));
      writer.Write(EventsFrame(after + 1, after + 1));
      writer.Write(EventsFrame(after + 2, after + 2));
      return kBroken;
    });
  }
  EXPECT_EQ(RunUntil(20, Options()), absl::OkStatus());
  ASSERT_THAT(handled_, SizeIs(20));
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(handled_[i], i + 1);
}

TEST_F(SubscriberTest, ResumesAfterTheLastEventHandled) {
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 3)}, kBroken);
  gateway_.AddStream({OpenedFrame("c3"), EventsFrame(4, 4)}, kBroken);
  ASSERT_EQ(RunUntil(4, Options()), absl::OkStatus());
  EXPECT_EQ(gateway_.subscribe_requests().at(0).start_position(), v1::START_POSITION_EARLIEST);
  EXPECT_EQ(AfterCursor(1), "c3");
}

TEST_F(SubscriberTest, ResumesFromTheCursorsOfOtherFrames) {
  gateway_.AddStream({OpenedFrame("c0"), CaughtUpFrame("c5")}, kBroken);
  gateway_.AddStream({OpenedFrame("c5"), HeartbeatFrame("c9")}, kBroken);
  gateway_.AddStream({OpenedFrame("c9"), DrainingFrame("c12", absl::ZeroDuration())}, kBroken);
  gateway_.AddStream({OpenedFrame("c12"), EventsFrame(13, 13)}, kBroken);
  ASSERT_EQ(RunUntil(13, Options()), absl::OkStatus());
  EXPECT_EQ(AfterCursor(1), "c5");
  EXPECT_EQ(AfterCursor(2), "c9");
  EXPECT_EQ(AfterCursor(3), "c12");
}

// Between the break and the next stream an event may be stored; "latest" again would skip it.
TEST_F(SubscriberTest, LatestMeansTheMomentOfTheFirstStream) {
  gateway_.AddStream({}, kBroken);  // Never opened: nothing is promised yet.
  gateway_.AddStream({OpenedFrame("c41")}, kBroken);
  gateway_.AddStream({OpenedFrame("c41"), EventsFrame(42, 42)}, kBroken);
  Subscriber::Options options = Options();
  options.start = Subscriber::Latest{};
  ASSERT_EQ(RunUntil(42, options), absl::OkStatus());
  EXPECT_EQ(gateway_.subscribe_requests().at(1).start_position(), v1::START_POSITION_LATEST);
  EXPECT_EQ(AfterCursor(2), "c41");
}

TEST_F(SubscriberTest, SilentStreamIsGivenUpAndResumed) {
  gateway_.AddStream([this](const v1::SubscribeRequest&, FakeGateway::StreamWriter& writer) {
    writer.Write(OpenedFrame("c0", absl::Milliseconds(100)));
    writer.Write(EventsFrame(1, 1));
    return gateway_.Hold();
  });
  gateway_.AddStream({OpenedFrame("c1"), EventsFrame(2, 2)}, kBroken);
  std::vector<absl::Status> breaks;
  Subscriber::Options options = Options();
  options.observers.disconnected = [&breaks](const absl::Status& why, absl::Duration) {
    breaks.push_back(why);
  };
  ASSERT_EQ(RunUntil(2, options), absl::OkStatus());
  EXPECT_THAT(handled_, ElementsAre(1, 2));
  EXPECT_EQ(AfterCursor(1), "c1");
  ASSERT_THAT(breaks, SizeIs(1));
  EXPECT_THAT(std::string(breaks[0].message()), HasSubstr("nothing came"));
  EXPECT_THAT(std::string(breaks[0].message()), HasSubstr("250ms"));
}

TEST_F(SubscriberTest, StreamThatNeverOpensIsGivenUp) {
  gateway_.AddStream(
      [this](const v1::SubscribeRequest&, FakeGateway::StreamWriter&) { return gateway_.Hold(); });
  // More than one: on a busy machine an open stream may come too late as well.
  for (int i = 0; i < 50; ++i) {
    gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 1)}, kBroken);
  }
  Subscriber::Options options = Options();
  options.open_timeout = absl::Milliseconds(200);
  EXPECT_EQ(RunUntil(1, options), absl::OkStatus());
}

TEST_F(SubscriberTest, PermanentErrorsEndRun) {
  for (const grpc::StatusCode code :
       {grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::PERMISSION_DENIED,
        grpc::StatusCode::UNAUTHENTICATED, grpc::StatusCode::UNIMPLEMENTED}) {
    gateway_.AddStream({}, grpc::Status(code, "no"));
    EXPECT_EQ(RunUntil(1, Options()).code(), static_cast<absl::StatusCode>(code));
  }
  for (const grpc::StatusCode code :
       {grpc::StatusCode::OUT_OF_RANGE, grpc::StatusCode::FAILED_PRECONDITION,
        grpc::StatusCode::NOT_FOUND}) {
    gateway_.AddStream({}, GatewayStatus(code, "A_REASON_OF_A_NEWER_GATEWAY", "no"));
    EXPECT_EQ(RunUntil(1, Options()).code(), static_cast<absl::StatusCode>(code));
  }
  EXPECT_THAT(handled_, IsEmpty());
}

// A gateway that was short of file descriptors answered FAILED_PRECONDITION, and subscribers ended
// for good. The reason decides.
TEST_F(SubscriberTest, AReasonOfTheMomentIsTriedAgainWhateverItsCode) {
  for (const char* reason : {"STORE_UNAVAILABLE", "DRAINING", "TOO_MANY_STREAMS"}) {
    gateway_.AddStream({}, GatewayStatus(grpc::StatusCode::FAILED_PRECONDITION, reason, "later"));
  }
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 1)}, kBroken);
  EXPECT_EQ(RunUntil(1, Options()), absl::OkStatus());
}

// An event that is larger than the channel takes ended the stream on this side, again and again.
TEST_F(SubscriberTest, AMessageThatIsTooLargeForThisSideEndsRun) {
  v1::SubscribeResponse large = EventsFrame(1, 1);
  large.mutable_event_batch()->mutable_events(0)->set_raw_body(std::string(1000, 'x'));
  gateway_.AddStream({OpenedFrame("c0"), large}, kBroken);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(500);
  Connection connection(
      gateway_.target(),
      grpc::CreateCustomChannel(gateway_.target(), grpc::InsecureChannelCredentials(), arguments));
  Subscriber subscriber(connection, Options());
  const absl::Status end = subscriber.Run([](const v1::Event&) { return absl::OkStatus(); });
  EXPECT_EQ(end.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(end.message()),
              AllOf(HasSubstr("larger than max"), HasSubstr("larger limit")));
}

TEST_F(SubscriberTest, OvertakenCursorEndsRunAndNamesTheEarliest) {
  gateway_.AddStream({}, GatewayStatus(grpc::StatusCode::OUT_OF_RANGE, "CURSOR_OVERTAKEN",
                                       "cursor c3 was overtaken", {{"earliest_cursor", "c90"}}));
  const absl::Status end = RunUntil(1, Options());
  EXPECT_EQ(end.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(end.message()), AllOf(HasSubstr("cursor c3 was overtaken"),
                                                HasSubstr("c90"), HasSubstr(gateway_.target())));
}

TEST_F(SubscriberTest, CursorOfAnotherHistoryEndsRunAndKeepsTheStoredPosition) {
  gateway_.AddStream(
      {}, GatewayStatus(grpc::StatusCode::FAILED_PRECONDITION, "CURSOR_OF_ANOTHER_HISTORY",
                        "after_cursor is a different event",
                        {{"earliest_cursor", "c0"}, {"common_cursor", "c3"}}));
  const absl::Status end = RunUntil(1, Options());
  EXPECT_EQ(end.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(IsForeignCursor(end));
  EXPECT_THAT(std::string(end.message()),
              AllOf(HasSubstr("a different event"), HasSubstr("c3"), HasSubstr("c0")));
  EXPECT_THAT(handled_, IsEmpty());
}

TEST_F(SubscriberTest, OtherErrorsAreTriedAgain) {
  for (const grpc::StatusCode code :
       {grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::RESOURCE_EXHAUSTED,
        grpc::StatusCode::INTERNAL, grpc::StatusCode::UNKNOWN, grpc::StatusCode::ABORTED,
        grpc::StatusCode::NOT_FOUND, grpc::StatusCode::FAILED_PRECONDITION,
        grpc::StatusCode::OUT_OF_RANGE, grpc::StatusCode::OK}) {
    gateway_.AddStream({}, grpc::Status(code, "later"));
  }
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 1)}, kBroken);
  EXPECT_EQ(RunUntil(1, Options()), absl::OkStatus());
}

TEST_F(SubscriberTest, DrainingDelayIsHonoured) {
  constexpr absl::Duration kDelay = absl::Milliseconds(60);
  gateway_.AddStream({OpenedFrame("c0"), DrainingFrame("c0", kDelay)},
                     GatewayStatus(grpc::StatusCode::UNAVAILABLE, "DRAINING", "draining"));
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 1)}, kBroken);
  absl::Duration delay;
  absl::Duration disconnected_at;
  absl::Duration opened_at;
  Subscriber::Options options = Options();
  options.observers.disconnected = [&](const absl::Status&, absl::Duration wait) {
    delay = wait;
    disconnected_at = SystemClock().MonotonicNow();
  };
  options.observers.opened = [&](const v1::SubscribeResponse::Opened&) {
    opened_at = SystemClock().MonotonicNow();
  };
  ASSERT_EQ(RunUntil(1, options), absl::OkStatus());
  EXPECT_EQ(delay, kDelay);
  EXPECT_GE(opened_at - disconnected_at, kDelay);
}

TEST_F(SubscriberTest, WaitsAtLeastAsLongAsAnErrorAsksFor) {
  gateway_.AddStream({}, GatewayStatus(grpc::StatusCode::RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS",
                                       "full", {}, absl::Milliseconds(40)));
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 1)}, kBroken);
  absl::Duration delay;
  Subscriber::Options options = Options();
  options.observers.disconnected = [&](const absl::Status&, absl::Duration wait) { delay = wait; };
  ASSERT_EQ(RunUntil(1, options), absl::OkStatus());
  EXPECT_EQ(delay, absl::Milliseconds(40));
}

TEST_F(SubscriberTest, BackoffGrowsUntilAStreamDelivers) {
  for (int i = 0; i < 3; ++i) gateway_.AddStream({OpenedFrame("c0")}, kBroken);
  gateway_.AddStream({OpenedFrame("c0"), HeartbeatFrame("c0")}, kBroken);
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 1)}, kBroken);
  std::vector<absl::Duration> delays;
  Subscriber::Options options = Options();
  options.backoff = {.initial = absl::Milliseconds(2), .maximum = absl::Seconds(1)};
  options.observers.disconnected = [&delays](const absl::Status&, absl::Duration delay) {
    delays.push_back(delay);
  };
  ASSERT_EQ(RunUntil(1, options), absl::OkStatus());
  ASSERT_THAT(delays, SizeIs(4));
  EXPECT_GE(delays[2], absl::Milliseconds(4));
  EXPECT_LE(delays[3], absl::Milliseconds(2));
}

TEST_F(SubscriberTest, HandlerErrorEndsRunAndTheEventIsNotHandled) {
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 3)}, kBroken);
  MemoryCursorStore store;
  Subscriber::Options options = Options();
  options.cursor_store = &store;
  Subscriber subscriber(options);
  const absl::Status end = subscriber.Run([](const v1::Event& event) {
    return event.sequence() < 2 ? absl::OkStatus() : absl::InternalError("disk full");
  });
  EXPECT_EQ(end, absl::InternalError("disk full"));
  EXPECT_EQ(store.saved.back(), "c1");
}

TEST_F(SubscriberTest, ALoopHandlesAnEventByAskingForTheNext) {
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 2)}, kBroken);
  gateway_.AddStream({OpenedFrame("c2"), EventsFrame(3, 4)}, kBroken);
  MemoryCursorStore store;
  Subscriber::Options options = Options();
  options.cursor_store = &store;
  options.save_interval = absl::ZeroDuration();
  Subscriber subscriber(options);
  for (const v1::Event& event : subscriber.Events()) {
    handled_.push_back(event.sequence());
    const int64_t before = event.sequence() - 1;
    EXPECT_EQ(store.saved.back(), absl::StrCat("c", before));
    if (event.sequence() == 4) subscriber.Stop();
  }
  EXPECT_EQ(subscriber.end(), absl::OkStatus());
  EXPECT_THAT(handled_, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(store.saved.back(), "c4");
  EXPECT_EQ(subscriber.Next(), nullptr);
}

TEST_F(SubscriberTest, ALoopThatIsLeftHasNotHandledItsLastEvent) {
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 9)}, kBroken);
  MemoryCursorStore store;
  Subscriber::Options options = Options();
  options.cursor_store = &store;
  {
    Subscriber subscriber(options);
    while (subscriber.Next()->sequence() != 3) {
    }
  }
  EXPECT_EQ(store.saved.back(), "c2");
}

TEST_F(SubscriberTest, ALoopIsToldHowItEnds) {
  gateway_.AddStream({}, GatewayStatus(grpc::StatusCode::OUT_OF_RANGE, "CURSOR_OVERTAKEN", "gone",
                                       {{"earliest_cursor", "c90"}}));
  Subscriber subscriber(Options());
  EXPECT_EQ(subscriber.Next(), nullptr);
  EXPECT_EQ(GatewayErrorOf(subscriber.end()).metadata.at("earliest_cursor"), "c90");
}

// A token without TLS was left out, and the gateway asked for one.
TEST_F(SubscriberTest, OptionsThatCannotBeRightEndRunBeforeAnyCall) {
  Subscriber::Options options = Options();
  options.target = "gateway.example:50051";
  options.security.token = "secret";
  EXPECT_EQ(RunUntil(1, options).code(), absl::StatusCode::kInvalidArgument);
  options.target = "http://127.0.0.1:50051";
  options.security = {};
  EXPECT_EQ(RunUntil(1, options).code(), absl::StatusCode::kInvalidArgument);
}

// The gateway takes an old token away: the stream ends, and a client that had the new one in its
// file gave up all the same.
TEST_F(SubscriberTest, ARefusedTokenIsFinalUnlessTheFileHoldsAnotherByThen) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/token");
  std::ofstream(path) << "old";
  gateway_.AddStream([&path](const v1::SubscribeRequest&, FakeGateway::StreamWriter& writer) {
    writer.Write(OpenedFrame("c0"));
    std::ofstream(path) << "new";
    return GatewayStatus(grpc::StatusCode::UNAUTHENTICATED, "UNAUTHENTICATED", "unknown token");
  });
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 1)},
                     GatewayStatus(grpc::StatusCode::UNAUTHENTICATED, "UNAUTHENTICATED", "again"));
  Subscriber::Options options = Options();
  options.security.token_file = path;
  EXPECT_EQ(RunUntil(9, options).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(handled_, ElementsAre(1));
}

// A service's own tests had to start a server to have a subscriber of it see an event.
TEST_F(SubscriberTest, RunsOnMocksOfTheStubs) {
  auto reader = std::make_unique<grpc::testing::MockClientReader<v1::SubscribeResponse>>();
  EXPECT_CALL(*reader, Read)
      .WillOnce([](v1::SubscribeResponse* frame) {
        *frame = EventsFrame(1, 1);
        return true;
      })
      .WillRepeatedly(::testing::Return(false));
  EXPECT_CALL(*reader, Finish)
      .WillRepeatedly(::testing::Return(grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "no")));
  auto events = std::make_unique<v1::MockEventServiceStub>();
  EXPECT_CALL(*events, SubscribeRaw).WillOnce(::testing::Return(reader.release()));
  Connection::Stubs stubs;
  stubs.events = std::move(events);
  Connection connection("mock", std::move(stubs));
  Subscriber subscriber(connection, Options());
  EXPECT_EQ(subscriber.Next()->sequence(), 1);
  EXPECT_EQ(subscriber.Next(), nullptr);
  EXPECT_EQ(subscriber.end().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(SubscriberTest, StopEndsAStreamThatWaitsForEvents) {
  gateway_.AddStream([this](const v1::SubscribeRequest&, FakeGateway::StreamWriter& writer) {
    writer.Write(OpenedFrame("c0"));
    return gateway_.Hold();
  });
  absl::Notification opened;
  Subscriber::Options options = Options();
  options.observers.opened = [&opened](const v1::SubscribeResponse::Opened&) { opened.Notify(); };
  Subscriber subscriber(options);
  std::thread stopper([&] {
    opened.WaitForNotification();
    subscriber.Stop();
  });
  EXPECT_EQ(subscriber.Run([](const v1::Event&) { return absl::OkStatus(); }), absl::OkStatus());
  stopper.join();
}

TEST_F(SubscriberTest, StopEndsAWaitBeforeTheNextTry) {
  gateway_.AddStream({OpenedFrame("c0"), DrainingFrame("c0", absl::Hours(1))}, kBroken);
  absl::Notification disconnected;
  Subscriber::Options options = Options();
  options.observers.disconnected = [&](const absl::Status&, absl::Duration) {
    disconnected.Notify();
  };
  Subscriber subscriber(options);
  std::thread stopper([&] {
    disconnected.WaitForNotification();
    subscriber.Stop();
  });
  EXPECT_EQ(subscriber.Run([](const v1::Event&) { return absl::OkStatus(); }), absl::OkStatus());
  stopper.join();
}

TEST_F(SubscriberTest, StopBeforeRunEndsItAtOnce) {
  Subscriber subscriber(Options());
  subscriber.Stop();
  EXPECT_EQ(subscriber.Run([](const v1::Event&) { return absl::OkStatus(); }), absl::OkStatus());
  EXPECT_THAT(gateway_.subscribe_requests(), IsEmpty());
}

TEST_F(SubscriberTest, StopInTheHandlerLeavesTheRestOfTheFrameUnhandled) {
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 9)}, kBroken);
  MemoryCursorStore store;
  Subscriber::Options options = Options();
  options.cursor_store = &store;
  ASSERT_EQ(RunUntil(4, options), absl::OkStatus());
  EXPECT_THAT(handled_, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(store.saved.back(), "c4");
}

TEST_F(SubscriberTest, StoredCursorGoesBeforeTheStart) {
  gateway_.AddStream({OpenedFrame("c7"), EventsFrame(8, 8)}, kBroken);
  MemoryCursorStore store;
  store.initial = "c7";
  Subscriber::Options options = Options();
  options.cursor_store = &store;
  ASSERT_EQ(RunUntil(8, options), absl::OkStatus());
  EXPECT_EQ(AfterCursor(0), "c7");
  EXPECT_THAT(store.saved, ElementsAre("c8"));
}

TEST_F(SubscriberTest, PositionIsSavedAfterEachFrameAndWithinOneWhenTheIntervalHasPassed) {
  gateway_.AddStream(
      {OpenedFrame("c0"), EventsFrame(1, 5), HeartbeatFrame("c6"), EventsFrame(7, 7)}, kBroken);
  FakeClock clock;
  MemoryCursorStore store;
  Subscriber::Options options = Options();
  options.cursor_store = &store;
  options.clock = &clock;
  options.save_interval = absl::Seconds(1);
  Subscriber subscriber(options);
  ASSERT_EQ(subscriber.Run([&](const v1::Event& event) {
    if (event.sequence() == 3) clock.Advance(absl::Seconds(1));
    if (event.sequence() == 7) subscriber.Stop();
    return absl::OkStatus();
  }),
            absl::OkStatus());
  EXPECT_THAT(store.saved, ElementsAre("c0", "c3", "c5", "c6", "c7"));
}

TEST_F(SubscriberTest, PositionThatCannotBeLoadedEndsRun) {
  MemoryCursorStore store;
  store.load_error = absl::DataLossError("damaged");
  Subscriber::Options options = Options();
  options.cursor_store = &store;
  EXPECT_EQ(RunUntil(1, options), absl::DataLossError("damaged"));
  EXPECT_THAT(gateway_.subscribe_requests(), IsEmpty());
}

TEST_F(SubscriberTest, PositionThatCannotBeSavedEndsRun) {
  gateway_.AddStream({OpenedFrame("c0"), EventsFrame(1, 2)}, kBroken);
  MemoryCursorStore store;
  store.save_error = absl::ResourceExhaustedError("disk full");
  Subscriber::Options options = Options();
  options.cursor_store = &store;
  const absl::Status end = RunUntil(2, options);
  EXPECT_EQ(end.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(end.message()), HasSubstr("disk full"));
}

TEST_F(SubscriberTest, FramesOfANewerGatewayArePassedOver) {
  gateway_.AddStream({OpenedFrame("c0"), v1::SubscribeResponse(), EventsFrame(1, 1)}, kBroken);
  EXPECT_EQ(RunUntil(1, Options()), absl::OkStatus());
}

}  // namespace
}  // namespace hookgate
