#include "server/delivery/consume_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Action = ConsumeSession::Step::Action;
using hookgate::v1::ConsumeRequest;
using hookgate::v1::ConsumeResponse;

ConsumeRequest Frame(const std::string& text) {
  ConsumeRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  return request;
}

std::string DeliveriesFrame() {
  ConsumeResponse response;
  response.mutable_deliveries()->add_deliveries()->set_delivery_id("d");
  return response.SerializeAsString();
}

ConsumeResponse::AckResults Results(int count) {
  ConsumeResponse::AckResults results;
  for (int i = 0; i < count; ++i) results.add_results()->set_delivery_id("d");
  return results;
}

std::string Describe(const std::string& frame) {
  ConsumeResponse response;
  EXPECT_TRUE(response.ParseFromString(frame));
  switch (response.frame_case()) {
    case ConsumeResponse::kOpened:
      return "opened";
    case ConsumeResponse::kDeliveries:
      return "deliveries";
    case ConsumeResponse::kAckResults:
      return absl::StrCat("results ", response.ack_results().results_size());
    case ConsumeResponse::kDraining:
      return "draining";
    default:
      return "another frame";
  }
}

class ConsumeSessionTest : public testing::Test {
 protected:
  // What the session does, each step in a word, until it waits or has ended.
  std::vector<std::string> RunUntilQuiet() {
    std::vector<std::string> words;
    while (true) {
      const ConsumeSession::Step step = session_.Next();
      switch (step.action) {
        case Action::kWrite:
          words.push_back(Describe(step.frame));
          EXPECT_EQ(step.has_deliveries, words.back() == "deliveries");
          break;
        case Action::kHeartbeat:
          words.push_back("heartbeat");
          break;
        case Action::kWait:
          return words;
        case Action::kEnd:
          words.push_back(absl::StrCat("end ", absl::StatusCodeToString(step.status.code())));
          return words;
      }
    }
  }
  absl::Status Read(const std::string& text) {
    EXPECT_TRUE(session_.TakeRead());
    return session_.Accept(Frame(text));
  }
  void Open() {
    ASSERT_TRUE(Read("open {}").ok());
    ASSERT_TRUE(session_.Opened({}, absl::Seconds(5), /*is_held_back=*/false));
    EXPECT_THAT(RunUntilQuiet(), ElementsAre("opened"));
  }

  FakeClock clock_;
  ConsumeSession session_{clock_};
};

TEST_F(ConsumeSessionTest, NothingIsSentBeforeTheConsumerIsAttached) {
  EXPECT_THAT(RunUntilQuiet(), IsEmpty());
  ASSERT_TRUE(Read("open {}").ok());
  // The subscription may hand something out before its caller knows that the consumer is attached.
  session_.TakeDeliveries(DeliveriesFrame());
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(RunUntilQuiet(), IsEmpty());
  EXPECT_TRUE(session_.Opened({}, absl::Seconds(5), /*is_held_back=*/false));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("opened", "deliveries"));
}

TEST_F(ConsumeSessionTest, ResultsGoBeforeDeliveriesAndTogether) {
  Open();
  session_.TakeItems(3);
  session_.TakeDeliveries(DeliveriesFrame());
  session_.TakeResults(Results(1));
  session_.TakeResults(Results(2));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("results 3", "deliveries"));
}

TEST_F(ConsumeSessionTest, AnAckWithoutItemsIsAnsweredLikeOthers) {
  Open();
  session_.TakeResults({});
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("results 0"));
}

// A consumer of a paused subscription heard nothing for an interval, and looked stuck.
TEST_F(ConsumeSessionTest, WhatHoldsDeliveriesBackIsToldAtOnce) {
  ASSERT_TRUE(Read("open {}").ok());
  ASSERT_TRUE(session_.Opened({}, absl::Seconds(5), /*is_held_back=*/true));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("opened", "heartbeat"));
  clock_.Advance(absl::Seconds(4.9));
  EXPECT_THAT(RunUntilQuiet(), IsEmpty()) << "once";
  clock_.Advance(absl::Seconds(0.1));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("heartbeat"));
}

TEST_F(ConsumeSessionTest, SilenceIsBrokenByAHeartbeatEachInterval) {
  Open();
  clock_.Advance(absl::Seconds(4.9));
  EXPECT_THAT(RunUntilQuiet(), IsEmpty());
  clock_.Advance(absl::Seconds(0.1));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("heartbeat"));
  clock_.Advance(absl::Seconds(4));
  session_.TakeDeliveries(DeliveriesFrame());
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("deliveries"));
  clock_.Advance(absl::Seconds(4));
  EXPECT_THAT(RunUntilQuiet(), IsEmpty());
  clock_.Advance(absl::Seconds(1));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("heartbeat"));
}

TEST_F(ConsumeSessionTest, WaitEndsWhenTheNextHeartbeatIsDue) {
  EXPECT_EQ(session_.Next().deadline, absl::InfiniteDuration());
  Open();
  EXPECT_EQ(session_.Next().deadline, clock_.MonotonicNow() + absl::Seconds(5));
}

TEST_F(ConsumeSessionTest, OneFrameIsReadAtATime) {
  EXPECT_TRUE(session_.TakeRead());
  EXPECT_FALSE(session_.TakeRead());
  EXPECT_TRUE(session_.Accept(Frame("open {}")).ok());
  EXPECT_TRUE(session_.TakeRead());
}

// A client that sends acks and reads no results would have them pile up.
TEST_F(ConsumeSessionTest, WhileManyItemsAreUnansweredNothingIsRead) {
  Open();
  ASSERT_TRUE(Read("ack { delivery_ids: 'd' }").ok());
  session_.TakeItems(ConsumeSession::kMaxUnanswered);
  EXPECT_FALSE(session_.TakeRead());
  session_.TakeResults(Results(ConsumeSession::kMaxUnanswered));  // They are not sent yet.
  EXPECT_FALSE(session_.TakeRead());
  RunUntilQuiet();
  EXPECT_TRUE(session_.TakeRead());
}

TEST_F(ConsumeSessionTest, FramesOutOfOrderAreErrors) {
  for (const char* first : {"", "ack {}", "flow {}"}) {
    ConsumeSession session(clock_);
    EXPECT_EQ(ReasonOf(session.Accept(Frame(first))), reason::kInvalidRequest) << first;
  }
  Open();
  for (const char* frame : {"ack {}", "nack {}", "extend {}", "flow {}"}) {
    EXPECT_TRUE(Read(frame).ok()) << frame;
  }
  EXPECT_EQ(ReasonOf(Read("open {}")), reason::kInvalidRequest);
  EXPECT_EQ(ReasonOf(Read("")), reason::kInvalidRequest);
}

TEST_F(ConsumeSessionTest, WhatWasReadIsAnsweredBeforeTheEnd) {
  Open();
  session_.TakeItems(2);
  session_.TakeDeliveries(DeliveriesFrame());
  EXPECT_TRUE(session_.End(absl::OkStatus()));
  EXPECT_FALSE(session_.TakeRead());
  EXPECT_THAT(RunUntilQuiet(), IsEmpty()) << "the deliveries are somebody else's by now";
  session_.TakeDeliveries(DeliveriesFrame());
  session_.TakeResults(Results(2));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("results 2", "end OK"));
  EXPECT_THAT(RunUntilQuiet(), IsEmpty());
}

TEST_F(ConsumeSessionTest, TheFirstEndCounts) {
  Open();
  EXPECT_TRUE(session_.End(absl::NotFoundError("deleted")));
  EXPECT_FALSE(session_.End(absl::OkStatus()));
  EXPECT_FALSE(session_.Drain(absl::Seconds(1)));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("end NOT_FOUND"));
  EXPECT_FALSE(session_.End(absl::OkStatus()));
}

// The status needs no room at the client: an error must reach one that has left none.
TEST_F(ConsumeSessionTest, TheEndIsAtHandOnceNothingIsOwed) {
  Open();
  EXPECT_EQ(session_.TakeEnd(), absl::nullopt);
  session_.TakeItems(1);
  EXPECT_TRUE(session_.End(absl::NotFoundError("deleted")));
  EXPECT_EQ(session_.TakeEnd(), absl::nullopt);
  session_.TakeResults(Results(1));
  EXPECT_EQ(session_.TakeEnd(), absl::nullopt);
  EXPECT_THAT(Describe(session_.Next().frame), "results 1");
  EXPECT_EQ(session_.TakeEnd(), absl::NotFoundError("deleted"));
  EXPECT_EQ(session_.TakeEnd(), absl::nullopt);
  EXPECT_THAT(RunUntilQuiet(), IsEmpty());
}

TEST_F(ConsumeSessionTest, DrainSaysGoodbyeBehindResults) {
  Open();
  session_.TakeItems(1);
  EXPECT_TRUE(session_.Drain(absl::Seconds(1)));
  EXPECT_THAT(RunUntilQuiet(), IsEmpty());
  session_.TakeResults(Results(1));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("results 1", "draining", "end UNAVAILABLE"));
}

TEST_F(ConsumeSessionTest, NoFrameComesBeforeOpened) {
  ASSERT_TRUE(Read("open {}").ok());
  EXPECT_TRUE(session_.Drain(absl::Seconds(1)));
  EXPECT_FALSE(session_.Opened({}, absl::Seconds(5), /*is_held_back=*/false));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("end UNAVAILABLE"));
}

TEST_F(ConsumeSessionTest, ItemsThatCannotBeSettledGetNoResultAndHoldNothingUp) {
  Open();
  session_.TakeItems(2);
  session_.DropItems(2);
  EXPECT_TRUE(session_.End(absl::UnavailableError("the disk fails")));
  EXPECT_THAT(RunUntilQuiet(), ElementsAre("end UNAVAILABLE"));
}

TEST_F(ConsumeSessionTest, NothingIsSentToAClientThatHasGone) {
  Open();
  session_.TakeItems(1);
  session_.TakeDeliveries(DeliveriesFrame());
  EXPECT_TRUE(session_.Abandon());
  EXPECT_FALSE(session_.Abandon());
  session_.TakeResults(Results(1));
  session_.TakeDeliveries(DeliveriesFrame());
  EXPECT_THAT(RunUntilQuiet(), IsEmpty());
  EXPECT_FALSE(session_.End(absl::OkStatus()));
  EXPECT_FALSE(session_.TakeRead());
}

TEST_F(ConsumeSessionTest, OpenOutOfRangeNamesTheField) {
  const auto field_of = [](const std::string& open) {
    return FieldOf(ConsumeSettings::FromRequest(Frame("open {" + open + "}").open()).status());
  };
  EXPECT_EQ(field_of("limits { max_outstanding_messages: -1 }"),
            "open.limits.max_outstanding_messages");
  EXPECT_EQ(field_of("limits { max_outstanding_messages: 10001 }"),
            "open.limits.max_outstanding_messages");
  EXPECT_EQ(field_of("limits { max_outstanding_bytes: 268435457 }"),
            "open.limits.max_outstanding_bytes");
  EXPECT_EQ(field_of("heartbeat_interval {}"), "open.heartbeat_interval");
  EXPECT_EQ(field_of("heartbeat_interval { seconds: 601 }"), "open.heartbeat_interval");
  EXPECT_EQ(field_of("heartbeat_interval { nanos: -1 }"), "open.heartbeat_interval");
}

TEST_F(ConsumeSessionTest, WhatOpenDoesNotSayHasItsDefaultAndZeroIsZero) {
  const auto unset = ConsumeSettings::FromRequest(ConsumeRequest::Open());
  ASSERT_TRUE(unset.ok());
  EXPECT_EQ(unset->limits.max_messages, 1000);
  EXPECT_EQ(unset->limits.max_bytes, 16 << 20);
  EXPECT_EQ(unset->heartbeat_interval, absl::Seconds(15));
  const auto zero = ConsumeSettings::FromRequest(
      Frame("open { limits { max_outstanding_messages: 0 max_outstanding_bytes: 0 } }").open());
  ASSERT_TRUE(zero.ok());
  EXPECT_EQ(zero->limits.max_messages, 0);
  EXPECT_EQ(zero->limits.max_bytes, 0);
}

TEST_F(ConsumeSessionTest, FlowOutOfRangeIsMovedIntoIt) {
  const ConsumerLimits limits = ConsumeSettings::ClampedLimits(
      Frame("flow { max_outstanding_messages: -1 max_outstanding_bytes: 1000000000000 }").flow());
  EXPECT_EQ(limits.max_messages, 0);
  EXPECT_EQ(limits.max_bytes, 256 << 20);
}

// Whatever the order in which things happen: Opened comes first, each item that was read has one
// result, what is unanswered is bounded, and nothing comes after the end, which comes once.
TEST_F(ConsumeSessionTest, HoldsInEveryOrder) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    ConsumeSession session(clock_);
    std::vector<std::string> sent;
    int64_t unsettled = 0, items = 0, results = 0;
    const auto settle = [&](int64_t count) {
      session.TakeResults(Results(static_cast<int>(count)));
      unsettled -= count;
    };
    const auto send = [&] {
      const ConsumeSession::Step step = session.Next();
      if (step.action == Action::kWait) return false;
      if (step.action == Action::kEnd) sent.push_back("end");
      if (step.action == Action::kHeartbeat) sent.push_back("heartbeat");
      if (step.action != Action::kWrite) return true;
      sent.push_back(Describe(step.frame));
      ConsumeResponse response;
      EXPECT_TRUE(response.ParseFromString(step.frame));
      results += response.ack_results().results_size();
      return true;
    };
    bool opening = false, open = false;
    for (int i = 0; i < 60; ++i) {
      switch (random() % 8) {
        case 0:
          if ((opening && !open) || !session.TakeRead()) break;
          if (!opening) {
            EXPECT_TRUE(session.Accept(Frame("open {}")).ok());
            opening = true;
          } else if (open) {
            EXPECT_TRUE(session.Accept(Frame("ack {}")).ok());
            const int64_t more = random() % 4000;
            session.TakeItems(more);
            unsettled += more;
            items += more;
            EXPECT_LT(items - results, ConsumeSession::kMaxUnanswered + 4000);
          }
          break;
        case 1:
          if (opening && !open) open = session.Opened({}, absl::Seconds(5), /*is_held_back=*/false);
          break;
        case 2:
          if (unsettled > 0) settle(std::min<int64_t>(unsettled, 1 + random() % 4000));
          break;
        case 3:
          session.TakeDeliveries(DeliveriesFrame());
          break;
        case 4:
          clock_.Advance(absl::Seconds(3));
          break;
        case 5:
          if (random() % 10 == 0) session.End(absl::OkStatus());
          break;
        case 6:
          if (random() % 10 == 0) session.Drain(absl::Seconds(1));
          break;
        default:
          send();
      }
    }
    session.End(absl::OkStatus());
    if (unsettled > 0) settle(unsettled);
    while (send()) {
    }
    ASSERT_FALSE(sent.empty());
    EXPECT_EQ(sent.back(), "end");
    EXPECT_EQ(std::count(sent.begin(), sent.end(), "end"), 1);
    EXPECT_EQ(std::count(sent.begin(), sent.end(), "opened"), open ? 1 : 0);
    EXPECT_EQ(sent.front(), open ? "opened" : "end");
    EXPECT_EQ(results, items);
    const auto draining = std::find(sent.begin(), sent.end(), "draining");
    EXPECT_TRUE(draining == sent.end() || draining + 2 == sent.end());
  }
}

}  // namespace
}  // namespace hookgate
