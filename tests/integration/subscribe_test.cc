// Streams of a real gateway: resume, cursors that do not fit, slow readers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/delivery/cursor.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/event_stream.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kEarliest[] = "start_position: START_POSITION_EARLIEST";

std::string After(const std::string& cursor) {
  return absl::StrCat("after_cursor: '", cursor, "'");
}

class SubscribeTest : public GatewayTest {
 protected:
  void StoreMany(int count) {
    HttpClient client(gateway_->http());
    for (int i = 0; i < count; ++i) {
      client.Send(SignedWebhook{}.Request());
      ASSERT_EQ(client.ReadReply()->status, 200);
    }
  }
  // How the stream that asks for `request` ends, having delivered nothing.
  grpc::Status Refusal(const std::string& request) {
    EventStream stream(gateway_->grpc(), request);
    EXPECT_EQ(stream.Next().frame_case(), v1::SubscribeResponse::FRAME_NOT_SET);
    return stream.Finish();
  }
};

// P4: also when the gateway did not end politely.
TEST_F(SubscribeTest, CursorResumesExactlyAcrossRestarts) {
  Start();
  StoreMany(3);
  std::string cursor;
  {
    EventStream stream(gateway_->grpc(), kEarliest);
    cursor = stream.NextEvents(2).at(1).cursor();
  }
  for (const bool politely : {true, false}) {
    politely ? gateway_->Signal(SIGTERM) : gateway_->Signal(SIGKILL);
    gateway_->WaitForExit();
    Start();
    StoreMany(1);
    EventStream stream(gateway_->grpc(), After(cursor));
    const auto events = stream.EventsUntilCaughtUp();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[1].sequence(), events[0].sequence() + 1);
    cursor = events[0].cursor();
  }
}

TEST_F(SubscribeTest, CursorOfAFrameResumesToo) {
  Start();
  StoreMany(2);
  EventStream stream(gateway_->grpc(), kEarliest);
  std::string cursor;
  while (cursor.empty()) cursor = stream.Next().caught_up().cursor();
  StoreMany(1);
  EXPECT_THAT(EventStream(gateway_->grpc(), After(cursor)).NextSequences(1), ElementsAre(3));
}

TEST_F(SubscribeTest, FilterChoosesAndTheCursorMovesOverTheRest) {
  Start();
  Store({.body = BatchFailedBody("batch_1")});
  Store({.body = R"({"type":"moon.landed","data":{"id":"moon_1"}})"});
  Store({.body = BatchFailedBody("batch_2")});
  const auto sequences = [&](const std::string& filter) {
    EventStream stream(gateway_->grpc(), absl::StrCat(kEarliest, " filter { ", filter, " }"));
    std::vector<int64_t> found;
    for (const auto& event : stream.EventsUntilCaughtUp()) found.push_back(event.sequence());
    return found;
  };
  EXPECT_THAT(sequences("types: 'batch.*'"), ElementsAre(1, 3));
  EXPECT_THAT(sequences("types: 'moon.landed'"), ElementsAre(2));
  EXPECT_THAT(sequences("subjects: 'batch_2'"), ElementsAre(3));
  EXPECT_THAT(sequences("subjects: 'elsewhere'"), ElementsAre());
}

TEST_F(SubscribeTest, StartTimeBeginsAtTheFirstEventReceivedSince) {
  Start();
  StoreMany(1);
  const absl::Time between = absl::Now();
  StoreMany(1);
  EventStream stream(gateway_->grpc(),
                     absl::StrCat("start_time { seconds: ", absl::ToUnixNanos(between) / 1000000000,
                                  " nanos: ", absl::ToUnixNanos(between) % 1000000000, " }"));
  EXPECT_THAT(stream.NextSequences(1), ElementsAre(2));
}

TEST_F(SubscribeTest, RequestsThatCannotBeMetSayWhy) {
  Start();
  for (const auto& [request, field] : std::vector<std::pair<std::string, std::string>>{
           {"", "start"},
           {"after_cursor: 'rubbish'", "after_cursor"},
           {"start_position: START_POSITION_UNSPECIFIED", "start_position"},
           {absl::StrCat(kEarliest, " heartbeat_interval { nanos: 1 }"), "heartbeat_interval"},
           {absl::StrCat(kEarliest, " filter { types: 'a*b' }"), "filter.types[0]"}}) {
    const grpc::Status status = Refusal(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << request;
    EXPECT_THAT(status.error_message(), HasSubstr(field));
    EXPECT_THAT(status.error_details(), HasSubstr("INVALID_REQUEST"));
  }
}

TEST_F(SubscribeTest, CursorOfAnotherLogIsRefusedAndTheEarliestIsNamed) {
  Start();
  StoreMany(1);
  const grpc::Status status = Refusal(After("0123456789abcdef-1-00000000"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_details(), HasSubstr("CURSOR_OF_ANOTHER_LOG"));
  EXPECT_THAT(status.error_details(), HasSubstr("earliest_cursor"));
}

// A log that was put back from a backup has the epoch, but not the events.
TEST_F(SubscribeTest, CursorBeyondTheHeadIsRefused) {
  Start();
  StoreMany(1);
  std::string cursor = StoredEvents()[0].cursor();
  cursor.back() = '9';
  EXPECT_EQ(Refusal(After(cursor)).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(SubscribeTest, CursorThatRetentionHasOvertakenIsRefusedAndTheEarliestIsNamed) {
  std::string overtaken;
  std::string earliest;
  {
    const auto log = OpenTemporaryLog(nullptr, data_dir_);
    for (int i = 0; i < 3; ++i) {
      AppendEvent(*log, {.receive_time = absl::Now() - absl::Hours(24 * 40)});
    }
    AppendEvent(*log, {.receive_time = absl::Now()});
    overtaken = FormatCursor(log->history(), 1);
    earliest = FormatCursor(log->history(), 3);
  }
  Start();  // Keeps events for 30 days.
  v1::SubscribeResponse opened;
  do {
    opened = EventStream(gateway_->grpc(), kEarliest).Next();
    ASSERT_TRUE(opened.has_opened());
  } while (opened.opened().earliest_sequence() == 1);
  EXPECT_EQ(opened.opened().earliest_sequence(), 4);

  const grpc::Status status = Refusal(After(overtaken));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_THAT(status.error_details(), HasSubstr("CURSOR_OVERTAKEN"));
  EXPECT_THAT(status.error_details(), HasSubstr(earliest));
  EXPECT_THAT(EventStream(gateway_->grpc(), After(earliest)).NextSequences(1), ElementsAre(4));
}

// P5: while one does not read at all, senders and the other subscriber go on; and it gets
// everything once it reads.
TEST_F(SubscribeTest, StalledSubscriberDelaysNobodyAndMissesNothing) {
  Start();
  const std::string with_bodies = absl::StrCat(kEarliest, " include_raw_body: true");
  EventStream stalled(gateway_->grpc(), with_bodies);
  ASSERT_TRUE(stalled.Next().has_opened());
  EventStream live(gateway_->grpc(), with_bodies);

  // Far more than gRPC's windows and the gateway's memory of the newest events hold.
  constexpr int kSenders = 4;
  constexpr int kWebhooksEach = 60;
  const std::string body =
      absl::StrCat(R"({"type":"big","text":")", std::string(500'000, 'x'), "\"}");
  std::vector<std::thread> senders;
  for (int i = 0; i < kSenders; ++i) {
    senders.emplace_back([&] {
      HttpClient client(gateway_->http());
      for (int j = 0; j < kWebhooksEach; ++j) {
        client.Send(SignedWebhook{.body = body}.Request());
        EXPECT_EQ(client.ReadReply()->status, 200);
      }
    });
  }
  std::vector<int64_t> all;
  for (int64_t i = 1; i <= kSenders * kWebhooksEach; ++i) all.push_back(i);
  EXPECT_EQ(live.NextSequences(all.size()), all);
  for (std::thread& sender : senders) sender.join();
  EXPECT_EQ(stalled.NextSequences(all.size()), all);
}

TEST_F(SubscribeTest, HeartbeatsProveThatASilentStreamIsAlive) {
  Start();
  StoreMany(1);
  EventStream stream(gateway_->grpc(),
                     absl::StrCat(kEarliest, " heartbeat_interval { nanos: 100000000 }"));
  stream.EventsUntilCaughtUp();
  for (int i = 0; i < 2; ++i) {
    const v1::SubscribeResponse frame = stream.Next();
    ASSERT_TRUE(frame.has_heartbeat());
    EXPECT_EQ(frame.heartbeat().head_sequence(), 1);
    EXPECT_EQ(frame.heartbeat().lag(), 0);
    EXPECT_FALSE(frame.heartbeat().cursor().empty());
  }
}

TEST_F(SubscribeTest, StreamsAboveTheLimitAreRefused) {
  StartWithConfig(R"(grpc { max_streams: 1 })");
  EventStream first(gateway_->grpc(), kEarliest);
  ASSERT_TRUE(first.Next().has_opened());
  const grpc::Status status = Refusal(kEarliest);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_details(), HasSubstr("TOO_MANY_STREAMS"));
}

}  // namespace
}  // namespace hookgate
