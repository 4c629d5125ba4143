// Subscribe streams by the calls that a server makes; what frames hold is tested in
// subscribe_session_test, and streams over a real connection in rpc_server_test.

#include "server/rpc/subscribe_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
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
  const std::shared_ptr<const StreamContext> context_ = std::make_shared<const StreamContext>(
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
