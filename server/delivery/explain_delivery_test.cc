// What an operator is told of one event in one subscription, and why.

#include "server/delivery/explain_delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate {
namespace {

using Kind = SubscriptionMove::Kind;
using testing::IsEmpty;
using testing::SizeIs;

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }

std::string SettingsFor(const std::string& type) {
  v1::SubscriptionSettings settings;
  settings.set_max_attempts(10);
  if (!type.empty()) settings.mutable_filter()->add_types(type);
  return settings.SerializeAsString();
}

EventFilter FilterFor(const std::string& type) {
  v1::EventFilter filter;
  filter.add_types(type);
  return *EventFilter::Create(filter);
}

// A subscription that began after event 3, and has come to 20. What it has done in between is for
// the tests to say.
class ExplainDeliveryTest : public testing::Test {
 protected:
  ExplainDeliveryTest() {
    event_.type = "batch.failed";
    stored_.position = 20;
    Move({.kind = Kind::kStart, .from = 3, .to = 3, .time = At(1), .settings = SettingsFor("")});
  }

  void Move(SubscriptionMove move) { stored_.moves.push_back(std::move(move)); }

  DeliveryExplanation Explain(Sequence sequence) {
    return ExplainDelivery({.sequence = sequence,
                            .event = event_is_held_ ? &event_ : nullptr,
                            .stored = stored_,
                            .position = position_,
                            .filter = filter_,
                            .place = place_});
  }
  DeliveryState StateOf(Sequence sequence) { return Explain(sequence).state; }

  StoredEvent event_;
  bool event_is_held_ = true;
  StoredExplanation stored_;
  Sequence position_ = 20;
  EventFilter filter_;
  absl::optional<UnsettledPlace> place_;
};

TEST_F(ExplainDeliveryTest, WhatWasStoredBeforeTheStartIsBeforeIt) {
  EXPECT_EQ(StateOf(3), DeliveryState::kBeforeStart);
  EXPECT_EQ(Explain(3).state_time, At(1));
  EXPECT_EQ(StateOf(4), DeliveryState::kNotRemembered) << "it was admitted, and is settled";
}

TEST_F(ExplainDeliveryTest, EachEventIsJudgedByTheFilterOfThen) {
  Move({.kind = Kind::kFilter, .from = 8, .to = 8, .settings = SettingsFor("video.*")});
  Move({.kind = Kind::kFilter, .from = 12, .to = 12, .settings = SettingsFor("batch.*")});
  EXPECT_EQ(StateOf(8), DeliveryState::kNotRemembered);
  EXPECT_EQ(StateOf(9), DeliveryState::kFiltered);
  EXPECT_EQ(Explain(12).filtered_by, FilterList::kTypes);
  EXPECT_EQ(StateOf(13), DeliveryState::kNotRemembered);
  event_is_held_ = false;
  EXPECT_EQ(StateOf(9), DeliveryState::kNotRemembered) << "nobody knows what it was";
}

TEST_F(ExplainDeliveryTest, WhatASeekPassedIsSkippedAndWhatItWentBackForIsJudgedAgain) {
  Move({.kind = Kind::kSeek, .from = 6, .to = 10, .time = At(5)});
  Move({.kind = Kind::kSeek, .from = 15, .to = 8, .time = At(6)});
  Move({.kind = Kind::kFilter, .from = 9, .to = 9, .settings = SettingsFor("video.*")});
  EXPECT_EQ(StateOf(6), DeliveryState::kNotRemembered);
  EXPECT_EQ(StateOf(7), DeliveryState::kSkipped);
  EXPECT_EQ(Explain(7).state_time, At(5));
  EXPECT_EQ(StateOf(9), DeliveryState::kNotRemembered) << "the seek back has it delivered";
  EXPECT_EQ(StateOf(10), DeliveryState::kFiltered) << "by the filter that came after the seek";
}

TEST_F(ExplainDeliveryTest, WhatRetentionTookBeforeItWasReadIsLost) {
  Move({.kind = Kind::kLost, .from = 5, .to = 9, .time = At(7)});
  event_is_held_ = false;
  EXPECT_EQ(StateOf(7), DeliveryState::kLost);
  EXPECT_EQ(Explain(7).state_time, At(7));
}

TEST_F(ExplainDeliveryTest, WhatHappenedBeforeTheMovesThatAreKeptIsNotRemembered) {
  stored_.moves = {{.kind = Kind::kSeek, .from = 10, .to = 12},
                   {.kind = Kind::kSeek, .from = 14, .to = 16}};
  EXPECT_EQ(StateOf(9), DeliveryState::kNotRemembered);
  EXPECT_EQ(StateOf(11), DeliveryState::kSkipped);
  EXPECT_EQ(StateOf(13), DeliveryState::kNotRemembered) << "which filter was in force then?";
  stored_.moves = {{.kind = Kind::kUpgraded, .from = 10, .to = 10, .settings = SettingsFor("x")}};
  EXPECT_EQ(StateOf(10), DeliveryState::kNotRemembered);
  EXPECT_EQ(StateOf(11), DeliveryState::kFiltered);
  stored_.moves = {};
  EXPECT_EQ(StateOf(11), DeliveryState::kNotRemembered);
}

TEST_F(ExplainDeliveryTest, WhatIsAfterThePositionIsNotReachedAndMayNeverBeAdmitted) {
  EXPECT_EQ(StateOf(21), DeliveryState::kNotReached);
  EXPECT_FALSE(Explain(21).filtered_by.has_value());
  filter_ = FilterFor("video.*");
  EXPECT_EQ(StateOf(21), DeliveryState::kNotReached);
  EXPECT_EQ(Explain(21).filtered_by, FilterList::kTypes);
}

// The position is stored with the next change alone: what a filter refused since is known all the
// same.
TEST_F(ExplainDeliveryTest, WhatWasPassedSinceTheLastCommitIsFiltered) {
  position_ = 25;
  filter_ = FilterFor("video.*");
  EXPECT_EQ(StateOf(24), DeliveryState::kFiltered);
  filter_ = EventFilter();
  place_ = UnsettledPlace{.assigned = true};
  EXPECT_EQ(StateOf(24), DeliveryState::kNotReached) << "it is being taken: nothing is durable";
}

TEST_F(ExplainDeliveryTest, LeasedSaysWhoHasItSinceWhenAndUntilWhen) {
  stored_.delivery.unsettled = UnsettledEvent{.delivery = 7,
                                              .attempts = 1,
                                              .leased = true,
                                              .nack_reason = "busy",
                                              .first_delivery_time = At(10),
                                              .last_delivery_time = At(20)};
  stored_.delivery.history = DeliveryHistory{.time = At(12),
                                             .consumer = "a",
                                             .number = 1,
                                             .first_delivery_time = At(10),
                                             .count = 1,
                                             .attempts = {{.number = 1,
                                                           .consumer = "a",
                                                           .begin = At(10),
                                                           .end = At(12),
                                                           .how = DeliveryEnd::kNacked,
                                                           .reason = "busy"}}};
  place_ = UnsettledPlace{
      .leased = true, .consumer = "b", .attempt = 2, .delivery_time = At(20), .until = At(50)};
  const DeliveryExplanation leased = Explain(9);
  EXPECT_EQ(leased.state, DeliveryState::kLeased);
  EXPECT_EQ(leased.consumer, "b");
  EXPECT_EQ(leased.attempt, 2);
  EXPECT_EQ(leased.state_time, At(20));
  EXPECT_EQ(leased.until, At(50));
  EXPECT_EQ(leased.reason, "busy");
  EXPECT_EQ(leased.last_end, DeliveryEnd::kNacked);
  EXPECT_EQ(leased.delivery_count, 2);
  EXPECT_EQ(leased.first_delivery_time, At(10));
  ASSERT_THAT(leased.attempts, SizeIs(2));
  EXPECT_EQ(leased.attempts[0].end, At(12));
  EXPECT_FALSE(leased.attempts[1].end.has_value());
}

// There were 21, of which the manual says that they are 20 at most.
TEST_F(ExplainDeliveryTest, AttemptsAreBoundedWithTheOneThatHasNotEnded) {
  stored_.delivery.unsettled = UnsettledEvent{.leased = true, .last_delivery_time = At(500)};
  stored_.delivery.history = DeliveryHistory{.count = 30};
  for (int i = 11; i <= 30; ++i) {
    stored_.delivery.history->attempts.push_back({.number = i, .begin = At(i), .end = At(i)});
  }
  place_ = UnsettledPlace{
      .leased = true, .consumer = "b", .attempt = 31, .delivery_time = At(500), .until = At(510)};
  const DeliveryExplanation leased = Explain(9);
  ASSERT_THAT(leased.attempts, SizeIs(20));
  EXPECT_EQ(leased.attempts.front().number, 12);
  EXPECT_EQ(leased.attempts.back().number, 31);
  EXPECT_EQ(leased.delivery_count, 31);
}

TEST_F(ExplainDeliveryTest, WaitingAfterARestartSaysWhoHadIt) {
  stored_.delivery.unsettled =
      UnsettledEvent{.delivery = 7, .leased = true, .consumer = "a", .last_delivery_time = At(20)};
  place_ = UnsettledPlace{.attempt = 1,
                          .until = At(30),
                          .interrupted = DeliveryAttempt{.number = 1,
                                                         .delivery = 7,
                                                         .consumer = "a",
                                                         .begin = At(20),
                                                         .end = At(30),
                                                         .how = DeliveryEnd::kGatewayRestarted}};
  const DeliveryExplanation waiting = Explain(9);
  EXPECT_EQ(waiting.state, DeliveryState::kWaiting);
  EXPECT_EQ(waiting.attempt, 1);
  EXPECT_EQ(waiting.until, At(30));
  EXPECT_EQ(waiting.last_end, DeliveryEnd::kGatewayRestarted);
  EXPECT_EQ(waiting.consumer, "a");
  ASSERT_THAT(waiting.attempts, SizeIs(1));
  EXPECT_EQ(waiting.attempts[0].consumer, "a");
}

TEST_F(ExplainDeliveryTest, AckedAtOnceNeedsNoAttempts) {
  stored_.delivery.history =
      DeliveryHistory{.outcome = DeliveryOutcome::kAcked,
                      .time = At(12),
                      .consumer = "a",
                      .number = 1,
                      .first_delivery_time = At(10),
                      .last_delivery_time = At(10),
                      .count = 1,
                      .attempts = {{.number = 1, .consumer = "a", .begin = At(10), .end = At(12)}}};
  const DeliveryExplanation acked = Explain(9);
  EXPECT_EQ(acked.state, DeliveryState::kAcked);
  EXPECT_EQ(acked.consumer, "a");
  EXPECT_EQ(acked.state_time, At(12));
  EXPECT_EQ(acked.first_delivery_time, At(10));
  EXPECT_THAT(acked.attempts, IsEmpty());
  EXPECT_EQ(StateOf(25), DeliveryState::kAcked) << "it stays so after a seek back";
  stored_.delivery.history->outcome = DeliveryOutcome::kSkipped;
  EXPECT_EQ(StateOf(25), DeliveryState::kNotReached) << "but is not skipped if it comes again";
}

TEST_F(ExplainDeliveryTest, DeadLetterSaysWhyEvenIfItsHistoryIsGone) {
  stored_.delivery.dead = DeadEvent{.attempts = 3,
                                    .lost = 1,
                                    .cause = DeliveryCause::kDeadlinePassed,
                                    .nack_reason = "slow",
                                    .first_delivery_time = At(1),
                                    .dead_letter_time = At(9)};
  const DeliveryExplanation dead = Explain(9);
  EXPECT_EQ(dead.state, DeliveryState::kDead);
  EXPECT_EQ(dead.last_end, DeliveryEnd::kDeadlinePassed);
  EXPECT_EQ(dead.reason, "slow");
  EXPECT_EQ(dead.attempt, 3);
  EXPECT_EQ(dead.lost_deliveries, 1);
  EXPECT_EQ(dead.state_time, At(9));
  EXPECT_EQ(dead.delivery_count, 4);
}

}  // namespace
}  // namespace hookgate
