// A real hookgated whose wall clock is set forward and back by hours (a preloaded library) while it
// serves. What is signed for the new time is taken, streams and heartbeats go on at once, sequences
// go on growing, and retention removes nothing that is not old.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/event_stream.h"
#include "tests/support/faulty_machine.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

constexpr char kFromTheBeginning[] =
    "start_position: START_POSITION_EARLIEST heartbeat_interval { nanos: 100000000 }";

class ClockJumpTest : public testing::Test {
 protected:
  ClockJumpTest() { Start(); }

  void TearDown() override {
    if (HasFailure()) std::cerr << gateway_->log();
  }

  void Start() {
    gateway_.reset();
    gateway_ = HookgatedProcess::Start(folder_, {}, machine_.environment());
  }

  void Set(absl::Duration offset) {
    machine_.SetWallOffset(offset);
    offset_ = offset;
  }

  // As a sender whose clock is `offset` ahead of the test's.
  HttpReply Send(absl::Duration offset) {
    SignedWebhook webhook = {.webhook_time = absl::Now() + offset};
    return Exchange(gateway_->http(), webhook.Request()).value_or(HttpReply());
  }
  // Under the next sequence.
  void ExpectStored() {
    const HttpReply reply = Send(offset_);
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.body, HasSubstr(absl::StrCat("\"sequence\":\"", ++head_, "\"")));
  }
  void ExpectRefused(absl::Duration offset) {
    const HttpReply reply = Send(offset);
    EXPECT_EQ(reply.status, 401);
    EXPECT_THAT(reply.body, HasSubstr("timestamp"));
  }

  // The stream brings the newest event, and heartbeats after it.
  void ExpectGoesOn(EventStream& stream) {
    EXPECT_THAT(stream.NextSequences(1), testing::ElementsAre(head_));
    ExpectHeartbeats(stream);
  }
  // Of the gateway's own time, while nothing else happens.
  void ExpectHeartbeats(EventStream& stream) {
    v1::SubscribeResponse frame;
    // One of the time before the jump may have been under way.
    for (int heartbeats = 0; heartbeats < 3;) {
      frame = stream.Next();
      ASSERT_NE(frame.frame_case(), v1::SubscribeResponse::FRAME_NOT_SET) << "no heartbeats";
      if (frame.has_heartbeat()) ++heartbeats;
    }
    const absl::Time server_time = absl::FromUnixSeconds(frame.heartbeat().server_time().seconds());
    EXPECT_LT(absl::AbsDuration(server_time - absl::Now() - offset_), absl::Minutes(2));
    EXPECT_EQ(frame.heartbeat().head_sequence(), head_);
  }

  // By receive_time, in the day before the gateway's now: the default.
  void ExpectFailuresListed(int count) {
    v1::ListRecentFailuresResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        ConnectTo(gateway_->grpc())->ListRecentFailures(&context, {}, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.events_size(), count);
    EXPECT_EQ(response.total_count(), count);
  }

  void ExpectAllThere() {
    EventStream stream(gateway_->grpc(), kFromTheBeginning);
    EXPECT_EQ(stream.EventsUntilCaughtUp().size(), static_cast<size_t>(head_));
  }

  FaultyMachine machine_;
  const std::string folder_ = FreshTestFolder();
  std::unique_ptr<HookgatedProcess> gateway_;
  absl::Duration offset_;
  int64_t head_ = 0;
};

TEST_F(ClockJumpTest, ForwardByHours) {
  ExpectStored();
  EventStream stream(gateway_->grpc(), kFromTheBeginning);
  ExpectGoesOn(stream);
  Set(absl::Hours(5));
  ExpectHeartbeats(stream);
  ExpectStored();
  ExpectRefused(absl::ZeroDuration());
  ExpectGoesOn(stream);
  ExpectFailuresListed(2);
  ExpectAllThere();
}

// The wait for the next heartbeat, which was under way, must not last until the clock is where it
// was.
TEST_F(ClockJumpTest, BackByHours) {
  ExpectStored();
  EventStream stream(gateway_->grpc(), kFromTheBeginning);
  ExpectGoesOn(stream);
  Set(-absl::Hours(5));
  ExpectHeartbeats(stream);
  ExpectStored();
  ExpectRefused(absl::ZeroDuration());
  ExpectGoesOn(stream);
  // The event before was received after now, as this clock has it.
  ExpectFailuresListed(1);
  ExpectAllThere();
}

TEST_F(ClockJumpTest, ThereAndBackAgainManyTimes) {
  ExpectStored();
  EventStream stream(gateway_->grpc(), kFromTheBeginning);
  ExpectGoesOn(stream);
  for (int hours : {7, -3, 20, 0, -20, 1, 0}) {
    SCOPED_TRACE(hours);
    Set(absl::Hours(hours));
    ExpectHeartbeats(stream);
    ExpectStored();
    ExpectGoesOn(stream);
  }
  ExpectAllThere();
}

// A start trims at once, and its clock may be wrong.
TEST_F(ClockJumpTest, RestartOnAClockThatWasSetBackRemovesNothing) {
  for (int i = 0; i < 3; ++i) ExpectStored();
  Set(-absl::Hours(24 * 60));
  Start();
  ExpectStored();
  ExpectAllThere();
  Set(absl::ZeroDuration());
  Start();
  ExpectStored();
  // What was received by the clock that was wrong looks old now, and stays.
  ExpectAllThere();
}

// It removed all that there was, within a second.
TEST_F(ClockJumpTest, StartOnAClockThatIsYearsAheadRemovesNothing) {
  for (int i = 0; i < 3; ++i) ExpectStored();
  Set(absl::Hours(24 * 3650));
  Start();
  ExpectStored();
  ExpectAllThere();
  Set(absl::ZeroDuration());
  Start();
  // The event of the time when the clock was ahead hides none of those of before and after.
  ExpectStored();
  ExpectAllThere();
  EventStream stream(gateway_->grpc(), "start_time { seconds: 1700000000 }");
  EXPECT_EQ(stream.EventsUntilCaughtUp().size(), static_cast<size_t>(head_));
  EventStream in_the_future(gateway_->grpc(),
                            absl::StrCat("start_time { seconds: ",
                                         absl::ToUnixSeconds(absl::Now() + absl::Hours(24)), " }"));
  EXPECT_THAT(in_the_future.NextSequences(2), testing::ElementsAre(4, 5));
}

// hookgate, and what it says on standard error.
class ListeningProgram {
 public:
  ListeningProgram(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment) {
    int err[2];
    EXPECT_EQ(pipe2(err, O_CLOEXEC), 0);
    read_ = err[0];
    const int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    pid_ = StartProgram(kHookgate, arguments, environment, "/dev/null", out,
                        absl::StrCat("/proc/self/fd/", err[1]));
    close(err[1]);
    close(out);
  }
  ~ListeningProgram() {
    kill(pid_, SIGKILL);
    WaitForProgram(pid_);
    close(read_);
  }

  // Whether it says so, now or ever.
  bool Says(absl::string_view text) {
    while (!absl::StrContains(said_, text)) {
      char bytes[4096];
      const ssize_t count = read(read_, bytes, sizeof(bytes));
      if (count <= 0) return false;
      said_.append(bytes, static_cast<size_t>(count));
    }
    said_.erase(0, said_.find(std::string(text)) + text.size());
    return true;
  }

 private:
  int read_ = -1;
  pid_t pid_ = 0;
  std::string said_;  // after what was asked for last
};

// What a subscriber waits for, a sign of life or the end of a pause, must not last until its clock
// is where it was: the stream would look alive and deliver nothing.
TEST_F(ClockJumpTest, SubscriberWhoseClockIsSetBackNoticesSilenceAndComesBack) {
  FaultyMachine machine;
  std::vector<std::string> environment = machine.environment();
  environment.push_back(absl::StrCat("HOOKGATE_GRPC=", gateway_->grpc()));
  ListeningProgram subscriber({"subscribe", "--heartbeat=200ms", "--timeout=1s"}, environment);
  ASSERT_TRUE(subscriber.Says("caught up"));
  gateway_->Signal(SIGSTOP);
  machine.SetWallOffset(-absl::Hours(5));
  EXPECT_TRUE(subscriber.Says("nothing came from the gateway"));
  machine.SetWallOffset(-absl::Hours(10));
  EXPECT_TRUE(subscriber.Says("reconnecting"));
  machine.SetWallOffset(-absl::Hours(15));
  gateway_->Signal(SIGCONT);
  EXPECT_TRUE(subscriber.Says("is open"));
}

// A polite end has a bound in time, whatever the clock does.
TEST_F(ClockJumpTest, PoliteEndAfterAJumpBack) {
  ExpectStored();
  EventStream stream(gateway_->grpc(), kFromTheBeginning);
  ExpectGoesOn(stream);
  Set(-absl::Hours(5));
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
}

}  // namespace
}  // namespace hookgate
