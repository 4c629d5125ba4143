// Subscribe streams by the calls that a server makes; what frames hold is tested in
// subscribe_session_test, and streams over a real connection in rpc_server_test.

#include "server/rpc/subscribe_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "google/protobuf/text_format.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/cursor.h"
#include "server/delivery/tail.h"
#include "server/rpc/caller_pool.h"
#include "tests/support/fake_call.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using hookgate::v1::SubscribeRequest;
using hookgate::v1::SubscribeResponse;

constexpr char kEarliest[] = "start_position: START_POSITION_EARLIEST";

class SubscribeStreamTest : public testing::Test {
 protected:
  SubscribeStreamTest() { tail_.StartAfter(0); }

  static Principal MayRead(const std::string& source) {
    Principal principal;
    principal.name = "reader";
    principal.tokens = {DigestOf("token")};
    principal.subscribe = NameSet({source});
    return principal;
  }

  // One call, whose client is the test.
  struct Subscriber {
    std::shared_ptr<FakeCall> call = std::make_shared<FakeCall>();
    std::shared_ptr<SubscribeStream> stream;

    SubscribeResponse Next() {
      SubscribeResponse response;
      const Message message = call->Next(*stream);
      EXPECT_TRUE(message != nullptr && response.ParseFromString(*message));
      return response;
    }
    // What is sent until the end, and how that is.
    absl::Status ReadToTheEnd() {
      while (call->Next(*stream) != nullptr) {
      }
      return call->AwaitStatus();
    }
  };
  Subscriber Begin() {
    Subscriber subscriber;
    CallInfo info = {.certificate_names = none_};
    EXPECT_TRUE(info.metadata.AddFromWire("authorization", "Bearer token"));
    subscriber.stream =
        std::make_shared<SubscribeStream>(subscriber.call, callers_.Share(info), context_);
    EXPECT_TRUE(subscriber.call->TakeRead());
    return subscriber;
  }
  static void Send(Subscriber& subscriber, const std::string& text) {
    SubscribeRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    subscriber.stream->OnMessage(request.SerializeAsString());
    subscriber.stream->OnHalfClose();
  }
  Subscriber Open(const std::string& text) {
    Subscriber subscriber = Begin();
    Send(subscriber, text);
    return subscriber;
  }

  const std::vector<CertificateName> none_;
  FakeClock clock_;
  AccessControl access_;
  CallGate gate_{access_, clock_, nullptr};
  CallerPool callers_{gate_};
  HeadWatch watch_{clock_};
  Tail tail_{{}, watch_};
  const std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog(&tail_);
  SelectionPool selections_;
  BatchSource batches_{{}, tail_, *log_};
  StreamRegistry registry_{1};
  Executor executor_{1};
  std::shared_ptr<const StreamContext> context_ = std::make_shared<const StreamContext>(
      StreamContext{*log_, selections_, batches_, watch_, executor_, executor_, executor_,
                    registry_, clock_, gate_});
};

TEST_F(SubscribeStreamTest, SendsWhatIsStoredAndThenWhatComes) {
  AppendEvent(*log_);
  Subscriber subscriber = Open(kEarliest);
  EXPECT_TRUE(subscriber.Next().has_opened());
  EXPECT_EQ(subscriber.Next().event_batch().events(0).sequence(), 1);
  EXPECT_TRUE(subscriber.Next().has_caught_up());
  EXPECT_EQ(subscriber.stream->NextMessage(), nullptr);
  AppendEvent(*log_);
  EXPECT_EQ(subscriber.Next().event_batch().events(0).sequence(), 2);
  subscriber.stream->OnEnd(CallEnd::kCancelled);
  EXPECT_EQ(registry_.size(), 0u);
}

TEST_F(SubscribeStreamTest, StartThatTakesALookUpIsFoundOnAnotherThread) {
  AppendEvent(*log_);
  Subscriber subscriber = Open("start_time { seconds: 1 }");
  EXPECT_TRUE(subscriber.Next().has_opened());
  EXPECT_EQ(subscriber.Next().event_batch().events(0).sequence(), 1);
  subscriber.stream->OnEnd(CallEnd::kCancelled);
}

TEST_F(SubscribeStreamTest, RequestThatIsWrongEndsTheCallAndHoldsNoPlace) {
  for (const char* text : {"", "start_position: START_POSITION_UNSPECIFIED", "after_cursor: 'x'"}) {
    Subscriber wrong = Open(text);
    EXPECT_TRUE(absl::IsInvalidArgument(wrong.ReadToTheEnd())) << text;
    wrong.stream->OnEnd(CallEnd::kFinished);
  }
  Subscriber no_request = Begin();
  no_request.stream->OnHalfClose();
  EXPECT_TRUE(absl::IsInvalidArgument(no_request.call->AwaitStatus()));
  no_request.stream->OnEnd(CallEnd::kFinished);
  EXPECT_EQ(registry_.size(), 0u);
}

TEST_F(SubscribeStreamTest, DrainThatComesWhileTheStartIsLookedUpIsHeard) {
  Subscriber subscriber = Begin();
  subscriber.stream->Drain(absl::Seconds(1));
  Send(subscriber, "start_time { seconds: 1 }");
  EXPECT_TRUE(subscriber.Next().has_opened());
  EXPECT_TRUE(subscriber.Next().has_draining());
  EXPECT_EQ(ReasonOf(subscriber.ReadToTheEnd()), reason::kDraining);
  subscriber.stream->OnEnd(CallEnd::kFinished);
}

TEST_F(SubscribeStreamTest, ConnectionThatIsTooOldIsLeftInGoodOrder) {
  Subscriber subscriber = Open(kEarliest);
  EXPECT_TRUE(subscriber.Next().has_opened());
  subscriber.stream->OnGoAway();
  EXPECT_TRUE(subscriber.Next().has_draining());
  EXPECT_EQ(ReasonOf(subscriber.ReadToTheEnd()), reason::kDraining);
  subscriber.stream->OnEnd(CallEnd::kFinished);
}

TEST_F(SubscribeStreamTest, RightThatIsLostEndsTheStream) {
  access_.Replace(AccessPolicy({MayRead("openai")}));
  Subscriber subscriber = Open(absl::StrCat(kEarliest, " filter { sources: 'openai' }"));
  EXPECT_TRUE(subscriber.Next().has_opened());
  subscriber.stream->Recheck();
  EXPECT_TRUE(subscriber.Next().has_caught_up());
  access_.Replace(AccessPolicy({MayRead("other")}));
  subscriber.stream->Recheck();
  EXPECT_TRUE(absl::IsPermissionDenied(subscriber.ReadToTheEnd()));
  subscriber.stream->OnEnd(CallEnd::kFinished);
}

// A stream whose client does not read falls behind, and nobody could see it.
TEST_F(SubscribeStreamTest, SaysWhoItIsAndHowFarItHasCome) {
  using hookgate::v1::StreamInfo;
  // The metric had another meaning of "behind" than the listing.
  const auto describe = [this](Subscriber& subscriber) {
    StreamInfo info;
    EXPECT_TRUE(subscriber.stream->Describe(info));
    StreamsBehind behind;
    subscriber.stream->CountIfBehind(log_->Position().head, behind);
    EXPECT_EQ(behind.subscribe, info.state() == StreamInfo::STATE_BEHIND ? 1 : 0);
    EXPECT_EQ(behind.consume, 0);
    return info;
  };
  Subscriber subscriber = Begin();
  EXPECT_EQ(describe(subscriber).state(), StreamInfo::STATE_OPENING);
  Send(subscriber, absl::StrCat(kEarliest,
                                " client_name: 'a' heartbeat_interval { seconds: 3 } "
                                "filter { types: 'batch.*' types: 'a.b' }"));
  AppendEvent(*log_);
  AppendEvent(*log_, {.type = "other"});
  StreamInfo info = describe(subscriber);
  EXPECT_EQ(info.method(), StreamInfo::METHOD_SUBSCRIBE);
  EXPECT_EQ(info.state(), StreamInfo::STATE_BEHIND);  // Not caught up yet.
  EXPECT_EQ(info.client_name(), "a");
  EXPECT_EQ(info.lag_events(), 2);
  EXPECT_EQ(info.heartbeat_interval().seconds(), 3);
  EXPECT_THAT(info.filter().types(), testing::ElementsAre("a.b", "batch.*"));
  EXPECT_TRUE(info.filter().sources().empty());
  EXPECT_TRUE(subscriber.Next().has_opened());
  EXPECT_TRUE(subscriber.Next().has_event_batch());
  EXPECT_TRUE(subscriber.Next().has_caught_up());
  info = describe(subscriber);
  EXPECT_EQ(info.state(), StreamInfo::STATE_LIVE);
  EXPECT_EQ(info.lag_events(), 0);
  EXPECT_EQ(info.sent_events(), 1);
  EXPECT_GT(info.sent_bytes(), 0);
  EXPECT_EQ(*ResolveCursor(info.cursor(), "cursor", *log_), 2);
  for (int64_t i = 0; i <= kMaxLiveLag; ++i) AppendEvent(*log_);
  info = describe(subscriber);
  EXPECT_EQ(info.state(), StreamInfo::STATE_BEHIND);
  EXPECT_EQ(info.lag_events(), kMaxLiveLag + 1);
  EXPECT_EQ(info.sent_events(), 1);
  subscriber.stream->OnEnd(CallEnd::kCancelled);
}

// A client whose replica died went on at another one that had not applied its last event yet, and
// was told that events were gone.
class SubscribeAheadTest : public SubscribeStreamTest {
 protected:
  static constexpr absl::Duration kPatience = absl::Seconds(5);

  SubscribeAheadTest() {
    StreamContext context = *context_;
    context.cursors_ahead = {.patience = kPatience,
                             .is_complete = [this] { return complete_.load(); }};
    context_ = std::make_shared<const StreamContext>(context);
  }

  std::string After(Sequence sequence) const {
    return absl::StrCat("after_cursor: '", log_->epoch(), "-", sequence, "'");
  }
  // Until the stream waits for the log, or has ended.
  void LetLookUp(Subscriber& subscriber) {
    absl::Notification looked_up;
    executor_.Post([&] { looked_up.Notify(); });
    looked_up.WaitForNotification();
    EXPECT_EQ(subscriber.stream->NextMessage(), nullptr);
  }

  std::atomic<bool> complete_ = true;
};

TEST_F(SubscribeAheadTest, CursorThatIsAheadWaitsForItsEvent) {
  AppendEvent(*log_);
  Subscriber subscriber = Open(After(3));
  LetLookUp(subscriber);
  EXPECT_EQ(subscriber.call->status(), absl::nullopt);
  AppendEvent(*log_);
  LetLookUp(subscriber);
  EXPECT_EQ(subscriber.call->status(), absl::nullopt);
  AppendEvent(*log_);
  AppendEvent(*log_);
  EXPECT_TRUE(subscriber.Next().has_opened());
  EXPECT_EQ(subscriber.Next().event_batch().events(0).sequence(), 4);
  subscriber.stream->OnEnd(CallEnd::kCancelled);
}

TEST_F(SubscribeAheadTest, CursorOfAnEventThatDoesNotComeIsRefusedInTheEnd) {
  Subscriber subscriber = Open(After(3));
  LetLookUp(subscriber);
  EXPECT_EQ(subscriber.call->status(), absl::nullopt);
  clock_.Advance(kPatience);
  watch_.CheckDeadlines();
  const absl::Status refused = subscriber.ReadToTheEnd();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_EQ(ReasonOf(refused), reason::kCursorOfAnotherHistory);
  subscriber.stream->OnEnd(CallEnd::kFinished);
}

// What is not here yet is not gone: a client that was told so would begin again, and repeat events.
TEST_F(SubscribeAheadTest, ReplicaThatIsBehindDoesNotSayThatEventsAreGone) {
  complete_ = false;
  Subscriber subscriber = Open(After(3));
  LetLookUp(subscriber);
  clock_.Advance(kPatience);
  watch_.CheckDeadlines();
  const absl::Status refused = subscriber.ReadToTheEnd();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_EQ(ReasonOf(refused), reason::kReplicaBehind);
  subscriber.stream->OnEnd(CallEnd::kFinished);
}

TEST_F(SubscribeAheadTest, WhatWaitingCannotMendIsRefusedAtOnce) {
  const std::string other_log = "after_cursor: '0123456789abcdef-3'";
  for (const std::string& text : {other_log, std::string("after_cursor: 'x'")}) {
    Subscriber subscriber = Open(text);
    EXPECT_FALSE(subscriber.ReadToTheEnd().ok());
    subscriber.stream->OnEnd(CallEnd::kFinished);
  }
}

TEST_F(SubscribeAheadTest, WaitEndsWithTheServerAndWithTheClient) {
  Subscriber drained = Open(After(3));
  LetLookUp(drained);
  drained.stream->Drain(absl::Seconds(1));
  EXPECT_EQ(ReasonOf(drained.ReadToTheEnd()), reason::kDraining);
  drained.stream->OnEnd(CallEnd::kFinished);
  EXPECT_EQ(registry_.size(), 0u);

  Subscriber gone = Open(After(3));
  LetLookUp(gone);
  gone.stream->OnEnd(CallEnd::kCancelled);
  EXPECT_EQ(registry_.size(), 0u);
  EXPECT_EQ(gone.stream.use_count(), 1);
}

TEST_F(SubscribeStreamTest, CursorThatIsAheadOfAGatewayThatIsAloneIsRefusedAtOnce) {
  Subscriber subscriber = Open(absl::StrCat("after_cursor: '", log_->epoch(), "-3'"));
  EXPECT_EQ(ReasonOf(subscriber.ReadToTheEnd()), reason::kCursorOfAnotherHistory);
  subscriber.stream->OnEnd(CallEnd::kFinished);
}

TEST_F(SubscribeStreamTest, NewsForAStreamThatHasEndedAreLost) {
  Subscriber subscriber = Open(kEarliest);
  EXPECT_TRUE(subscriber.Next().has_opened());
  subscriber.stream->OnEnd(CallEnd::kConnectionLost);
  subscriber.stream->Wake();
  subscriber.stream->Drain(absl::Seconds(1));
  EXPECT_EQ(subscriber.stream->NextMessage(), nullptr);
}

}  // namespace
}  // namespace hookgate
