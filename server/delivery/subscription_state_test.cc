#include "server/delivery/subscription_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace hookgate {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class SubscriptionStateTest : public testing::Test {
 protected:
  SubscriptionStateTest() { state_.Attach(1, "a", {}); }

  void OfferMany(Sequence first, Sequence last) {
    for (Sequence s = first; s <= last; ++s) state_.Offer({{.sequence = s, .bytes = 10}}, s);
  }
  std::vector<Lease> Take(StreamId stream = 1) { return state_.Assign({stream}, 100, 1000, now_); }
  Lease TakeOne(StreamId stream = 1) {
    const std::vector<Lease> leases = Take(stream);
    EXPECT_THAT(leases, SizeIs(1));
    return leases.empty() ? Lease() : leases[0];
  }
  void Pass(absl::Duration duration) {
    now_.wall += duration;
    now_.monotonic += duration;
    state_.Tick(now_, random_);
  }

  std::mt19937_64 random_;
  Instant now_{absl::FromUnixSeconds(1'750'000'000), absl::Hours(1)};
  const DeliveryPolicy policy_{.max_attempts = 2};
  SubscriptionState state_{StoredSubscription(), policy_, now_};
};

TEST_F(SubscriptionStateTest, BackoffDoublesUpToItsMaximum) {
  const DeliveryPolicy policy{.minimum_backoff = absl::Seconds(1),
                              .maximum_backoff = absl::Seconds(5)};
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(RedeliveryDelay(policy, 1, random_), absl::Seconds(1));
    EXPECT_LE(RedeliveryDelay(policy, 2, random_), absl::Seconds(2));
    const absl::Duration late = RedeliveryDelay(policy, 1000, random_);
    EXPECT_GE(late, absl::Seconds(1));
    EXPECT_LE(late, absl::Seconds(5));
  }
}

TEST_F(SubscriptionStateTest, NackedEventComesAgainAfterItsDelayAsTheNextAttempt) {
  OfferMany(1, 1);
  const Lease first = TakeOne();
  EXPECT_EQ(state_.Nack(first.id, {.reason = "busy", .delay = absl::Seconds(7)}, now_, random_),
            AckOutcome::kOk);
  EXPECT_EQ(state_.Nack(first.id, {}, now_, random_), AckOutcome::kLeaseLost);
  Pass(absl::Seconds(6));
  EXPECT_THAT(Take(), IsEmpty());
  Pass(absl::Seconds(1));
  const Lease second = TakeOne();
  EXPECT_EQ(second.attempt, 2);
  EXPECT_EQ(second.cause, DeliveryCause::kNacked);
  EXPECT_EQ(second.nack_reason, "busy");
}

TEST_F(SubscriptionStateTest, LapsedEventDiesAfterItsLastAttemptAndCanBeRedriven) {
  OfferMany(1, 1);
  for (int attempt = 1; attempt <= 2; ++attempt) {
    EXPECT_EQ(TakeOne().attempt, attempt);
    Pass(absl::Seconds(30));
    Pass(absl::Minutes(10));
  }
  EXPECT_THAT(Take(), IsEmpty());
  ASSERT_THAT(state_.dead(), SizeIs(1));
  EXPECT_EQ(state_.dead().at(1).attempts, 2);
  EXPECT_EQ(state_.dead().at(1).cause, DeliveryCause::kDeadlinePassed);
  EXPECT_EQ(state_.Redrive(1, 1, now_), SubscriptionState::RedriveOutcome::kRedriven);
  EXPECT_EQ(state_.Redrive(1, 1, now_), SubscriptionState::RedriveOutcome::kNotFound);
  const Lease again = TakeOne();
  EXPECT_EQ(again.attempt, 1);
  EXPECT_EQ(again.cause, DeliveryCause::kRedriven);
}

TEST_F(SubscriptionStateTest, EndOfTheStreamGivesBackAtOnceWithoutCounting) {
  OfferMany(1, 1);
  TakeOne();
  state_.Detach(1, DeliveryCause::kStreamEnded, /*keep_leases=*/false, now_);
  state_.Attach(2, "b", {});
  const Lease again = TakeOne(2);
  EXPECT_EQ(again.attempt, 1);
  EXPECT_EQ(again.cause, DeliveryCause::kStreamEnded);
}

TEST_F(SubscriptionStateTest, RestartGivesBackAtOnceWithoutCounting) {
  OfferMany(1, 2);
  const std::vector<Lease> leases = Take();
  ASSERT_THAT(leases, SizeIs(2));
  state_.Ack(leases[1].id, now_);
  SubscriptionChanges changes = state_.TakeChanges();
  StoredSubscription stored;
  stored.position = *changes.position;
  stored.unsettled = changes.unsettled;
  SubscriptionState restarted(stored, policy_, now_);
  restarted.Attach(1, "a", {});
  const std::vector<Lease> again = restarted.Assign({1}, 100, 1000, now_);
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].id.sequence, 1);
  EXPECT_EQ(again[0].attempt, 1);
  EXPECT_EQ(again[0].cause, DeliveryCause::kGatewayRestarted);
}

TEST_F(SubscriptionStateTest, LateAckIsTakenAndTheNewerHolderHearsAlready) {
  OfferMany(1, 1);
  const Lease first = TakeOne();
  Pass(absl::Seconds(30));
  Pass(absl::Minutes(10));
  const Lease second = TakeOne();
  EXPECT_EQ(state_.Extend(first.id, absl::nullopt, now_), AckOutcome::kLeaseLost);
  EXPECT_EQ(state_.Ack(first.id, now_), AckOutcome::kOk);
  EXPECT_EQ(state_.Ack(second.id, now_), AckOutcome::kAlready);
  EXPECT_EQ(state_.Ack({1, 99}, now_), AckOutcome::kUnknown);
  EXPECT_EQ(state_.in_flight(), 0);
}

TEST_F(SubscriptionStateTest, ExtendedLeaseLapsesLater) {
  OfferMany(1, 1);
  const Lease lease = TakeOne();
  EXPECT_EQ(state_.Extend(lease.id, absl::Minutes(2), now_), AckOutcome::kOk);
  Pass(absl::Seconds(119));
  EXPECT_EQ(state_.in_flight(), 1);
  Pass(absl::Seconds(1));
  EXPECT_EQ(state_.in_flight(), 0);
}

TEST_F(SubscriptionStateTest, LimitsHoldPerNameAndNewLimitsTakeNothingBack) {
  state_.Attach(2, "a", {.max_messages = 3});
  OfferMany(1, 10);
  EXPECT_THAT(state_.Assign({1, 2}, 100, 1000, now_), SizeIs(3));
  state_.SetLimits(1, {.max_messages = 0});
  EXPECT_EQ(state_.in_flight(), 3);
  EXPECT_THAT(Take(), IsEmpty());
  state_.Attach(3, "b", {.max_messages = 100});
  EXPECT_THAT(Take(3), SizeIs(7));
}

TEST_F(SubscriptionStateTest, EventLargerThanTheByteLimitComesAlone) {
  state_.SetLimits(1, {.max_messages = 10, .max_bytes = 5});
  OfferMany(1, 2);
  const Lease lease = TakeOne();
  EXPECT_THAT(Take(), IsEmpty());
  state_.Ack(lease.id, now_);
  EXPECT_EQ(TakeOne().id.sequence, 2);
}

TEST_F(SubscriptionStateTest, SeekForgetsDeliveries) {
  OfferMany(1, 3);
  const std::vector<Lease> leases = Take();
  ASSERT_THAT(leases, SizeIs(3));
  state_.Seek(1);
  EXPECT_EQ(state_.Ack(leases[2].id, now_), AckOutcome::kUnknown);
  EXPECT_EQ(state_.offered_to(), 1);
  OfferMany(2, 2);
  EXPECT_EQ(TakeOne().attempt, 1);
}

TEST_F(SubscriptionStateTest, WhatRetentionRemovedUnsettledIsCounted) {
  OfferMany(1, 2);
  ASSERT_THAT(Take(), SizeIs(2));
  EXPECT_EQ(state_.Overtaken(2), 1);
  EXPECT_EQ(state_.Overtaken(6), 4);  // 2, and 3 to 5, which had not been taken
  EXPECT_EQ(state_.Overtaken(6), 0);
  EXPECT_EQ(state_.lost(), 5);
  EXPECT_EQ(state_.position(), 5);
}

}  // namespace
}  // namespace hookgate
