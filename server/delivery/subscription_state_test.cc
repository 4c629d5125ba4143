#include "server/delivery/subscription_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

absl::optional<int64_t> TenBytes(Sequence, bool) { return 10; }

class SubscriptionStateTest : public testing::Test {
 protected:
  SubscriptionStateTest() { state_.Attach(1, "a", {}); }

  void OfferMany(Sequence first, Sequence last) {
    for (Sequence s = first; s <= last; ++s) state_.Offer({{.sequence = s}}, s);
  }
  // Assigned, and not handed out.
  std::vector<Lease> Assign(std::vector<AttachmentId> streams, size_t max = 100) {
    return state_.Assign(streams, max, 1000, now_, TenBytes);
  }
  std::vector<Lease> Take(std::vector<AttachmentId> streams, size_t max = 100) {
    std::vector<Lease> leases = Assign(streams, max);
    for (Lease& lease : leases) lease.expire_time = *state_.HandOut(lease.id, now_);
    return leases;
  }
  std::vector<Lease> Take(AttachmentId stream = 1) {
    return Take(std::vector<AttachmentId>{stream});
  }
  Lease TakeOne(AttachmentId stream = 1) {
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
  const SubscriptionChanges changes = state_.TakeChanges();
  ASSERT_THAT(changes.dead, SizeIs(1));
  const DeadEvent& dead = changes.dead[0];
  EXPECT_EQ(dead.attempts, 2);
  EXPECT_EQ(dead.cause, DeliveryCause::kDeadlinePassed);
  EXPECT_EQ(state_.Redrive(1, 1, now_), SubscriptionState::RedriveOutcome::kRedriven);
  EXPECT_EQ(state_.Redrive(1, 1, now_), SubscriptionState::RedriveOutcome::kNotFound);
  const Lease again = TakeOne();
  EXPECT_EQ(again.attempt, 1);
  EXPECT_EQ(again.cause, DeliveryCause::kRedriven);
}

// Each way in which an attempt or an event ends is counted, once, with the changes that store it.
TEST_F(SubscriptionStateTest, WhatEndsIsCountedOnce) {
  state_.Offer({{.sequence = 1, .receive_time = absl::FromUnixMicros(71)}}, 1);
  OfferMany(2, 4);
  const std::vector<Lease> leases = Take();
  ASSERT_THAT(leases, SizeIs(4));
  state_.Ack(leases[0].id, now_);
  state_.Ack(leases[0].id, now_);  // It was acked already.
  state_.Nack(leases[1].id, {.dead_letter = true}, now_, random_);
  state_.Nack(leases[1].id, {}, now_, random_);  // It has no lease any more.
  state_.Nack(leases[2].id, {}, now_, random_);
  Pass(absl::Seconds(30));  // The deadline of the fourth.
  SettlementCounts counts = state_.TakeCounts();
  EXPECT_THAT(counts.acked_us, ElementsAre(71));
  EXPECT_EQ(counts.nacked, 2);
  EXPECT_EQ(counts.deadline_passed, 1);
  EXPECT_EQ(counts.dead_lettered, 1);
  EXPECT_EQ(counts.discarded, 0);
  EXPECT_EQ(counts.lost, 0);
  EXPECT_EQ(state_.TakeCounts().nacked, 0);

  // The third is out of attempts; the fourth has one left, and is lost to retention.
  Pass(absl::Minutes(10));
  for (const Lease& lease : Take()) {
    if (lease.id.sequence == 3) state_.Nack(lease.id, {}, now_, random_);
  }
  counts = state_.TakeCounts();
  EXPECT_EQ(counts.nacked, 1);
  EXPECT_EQ(counts.dead_lettered, 1);
  state_.DropBefore(5, /*admits_all=*/true, now_);
  EXPECT_EQ(state_.TakeCounts().lost, 1);

  // A redrive discards nothing, and an ack of a dead letter settles it.
  EXPECT_EQ(state_.Redrive(2, 1, now_), SubscriptionState::RedriveOutcome::kRedriven);
  EXPECT_EQ(state_.Ack(leases[2].id, now_), AckOutcome::kOk);
  counts = state_.TakeCounts();
  EXPECT_EQ(counts.discarded, 0);
  EXPECT_THAT(counts.acked_us, SizeIs(1));
  EXPECT_FALSE(state_.Discard(3, now_));
}

TEST_F(SubscriptionStateTest, DiscardedDeadLettersAreCounted) {
  OfferMany(1, 1);
  state_.Nack(TakeOne().id, {.dead_letter = true}, now_, random_);
  state_.TakeCounts();
  EXPECT_TRUE(state_.Discard(1, now_));
  EXPECT_FALSE(state_.Discard(1, now_));
  EXPECT_EQ(state_.TakeCounts().discarded, 1);
}

TEST_F(SubscriptionStateTest, EndOfTheStreamGivesBackAtOnceWithoutCounting) {
  OfferMany(1, 1);
  TakeOne();
  state_.Detach(1, DeliveryCause::kStreamEnded, /*keep_leases=*/false, now_, random_);
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
  const std::vector<Lease> again = restarted.Assign({1}, 100, 1000, now_, TenBytes);
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
  EXPECT_THAT(Take({1, 2}), SizeIs(3));
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

// Events that a stream without raw bodies had taken came to one with them as a single frame of
// 10 MB, since they were counted as they had been sent before.
TEST_F(SubscriptionStateTest, LeaseCountsWhatItsStreamIsSent) {
  const auto size = [](Sequence, bool include_raw_body) { return include_raw_body ? 600 : 10; };
  OfferMany(1, 10);
  EXPECT_THAT(state_.Assign({1}, 100, 1000, now_, size), SizeIs(10));
  EXPECT_EQ(state_.consumers(now_)[0].bytes, 100);
  state_.Detach(1, DeliveryCause::kStreamEnded, /*keep_leases=*/false, now_, random_);
  state_.Attach(2, "b", {.max_bytes = 2000}, /*include_raw_body=*/true);
  EXPECT_THAT(state_.Assign({2}, 100, 1000, now_, size), SizeIs(1)) << "of the frame";
  EXPECT_THAT(state_.Assign({2}, 100, 5000, now_, size), SizeIs(2)) << "of the consumer";
  EXPECT_EQ(state_.consumers(now_)[0].bytes, 1800);
}

TEST_F(SubscriptionStateTest, OnlyWhatIsAtHandIsGiven) {
  OfferMany(1, 4);
  const auto first_two = [](Sequence sequence, bool) -> absl::optional<int64_t> {
    return sequence <= 2 ? absl::optional<int64_t>(10) : absl::nullopt;
  };
  EXPECT_THAT(state_.Wanted({1}, 10, now_, first_two).sequences, IsEmpty()) << "give those first";
  EXPECT_THAT(state_.Assign({1}, 100, 1000, now_, first_two), SizeIs(2));
  EXPECT_THAT(state_.Wanted({1}, 10, now_, first_two).sequences, ElementsAre(3, 4));
  EXPECT_THAT(state_.Wanted({1}, 1, now_, first_two).sequences, ElementsAre(3));
}

// Bodies of 1 MB each were read for consumers that had not asked for any.
TEST_F(SubscriptionStateTest, RawBodiesAreWantedOnlyForStreamsThatCouldTakeThem) {
  const auto nothing = [](Sequence, bool) { return absl::optional<int64_t>(); };
  OfferMany(1, 4);
  state_.Attach(2, "b", {}, /*include_raw_body=*/true);
  EXPECT_FALSE(state_.Wanted({1}, 10, now_, nothing).include_raw_body);
  EXPECT_TRUE(state_.Wanted({1, 2}, 10, now_, nothing).include_raw_body);
  state_.SetLimits(2, {.max_messages = 0});
  EXPECT_FALSE(state_.Wanted({1, 2}, 10, now_, nothing).include_raw_body) << "it has no credit";
  EXPECT_THAT(state_.Wanted({2}, 10, now_, nothing).sequences, IsEmpty());
}

TEST_F(SubscriptionStateTest, SeekForgetsDeliveries) {
  OfferMany(1, 3);
  const std::vector<Lease> leases = Take();
  ASSERT_THAT(leases, SizeIs(3));
  state_.Seek(1, now_);
  EXPECT_EQ(state_.Ack(leases[2].id, now_), AckOutcome::kUnknown);
  EXPECT_EQ(state_.offered_to(), 1);
  OfferMany(2, 2);
  EXPECT_EQ(TakeOne().attempt, 1);
}

// What is added to the history of an event by what happens to it.
TEST_F(SubscriptionStateTest, HistorySaysHowEachAttemptEndedAndWhatCameOfIt) {
  OfferMany(1, 1);
  const absl::Time begin = now_.wall;
  const Lease first = TakeOne();
  state_.TakeChanges();
  now_.wall += absl::Seconds(2);
  state_.Nack(first.id, {.reason = "busy", .delay = absl::ZeroDuration()}, now_, random_);
  std::vector<HistoryEntry> history = state_.TakeChanges().history;
  ASSERT_THAT(history, SizeIs(1));
  EXPECT_EQ(history[0].sequence, 1);
  ASSERT_TRUE(history[0].attempt.has_value());
  EXPECT_EQ(history[0].attempt->consumer, "a");
  EXPECT_EQ(history[0].attempt->number, 1);
  EXPECT_EQ(history[0].attempt->begin, begin);
  EXPECT_EQ(history[0].attempt->end, begin + absl::Seconds(2));
  EXPECT_EQ(history[0].attempt->how, DeliveryEnd::kNacked);
  EXPECT_EQ(history[0].attempt->reason, "busy");
  EXPECT_FALSE(history[0].outcome.has_value());

  TakeOne();
  Pass(absl::Seconds(30));  // Its second attempt, and so its last.
  history = state_.TakeChanges().history;
  ASSERT_THAT(history, SizeIs(1)) << "one row is written once";
  EXPECT_EQ(history[0].attempt->number, 2);
  EXPECT_EQ(history[0].attempt->how, DeliveryEnd::kDeadlinePassed);
  EXPECT_EQ(history[0].outcome, DeliveryOutcome::kDead);

  state_.Redrive(1, 1, now_);
  EXPECT_EQ(state_.TakeChanges().history.at(0).outcome, DeliveryOutcome::kOpen);
  const Lease again = TakeOne();
  state_.Ack(again.id, now_);
  history = state_.TakeChanges().history;
  ASSERT_THAT(history, SizeIs(1));
  EXPECT_EQ(history[0].attempt->how, DeliveryEnd::kAcked);
  EXPECT_EQ(history[0].outcome, DeliveryOutcome::kAcked);
  EXPECT_FALSE(history[0].late_ack.has_value());
}

TEST_F(SubscriptionStateTest, WhatWasNeverHandedOutIsNoAttempt) {
  OfferMany(1, 1);
  const std::vector<Lease> leases = Assign({1});
  state_.ReturnLease(leases.at(0).id, now_);
  EXPECT_THAT(state_.TakeChanges().history, IsEmpty());
}

TEST_F(SubscriptionStateTest, DiscardAndLateAckOfADeadLetterAreInItsHistory) {
  OfferMany(1, 2);
  const std::vector<Lease> leases = Take();
  for (const Lease& lease : leases) state_.Nack(lease.id, {.dead_letter = true}, now_, random_);
  state_.TakeChanges();
  EXPECT_TRUE(state_.Discard(1, now_));
  EXPECT_EQ(state_.Ack(leases.at(1).id, now_), AckOutcome::kOk);
  const std::vector<HistoryEntry> history = state_.TakeChanges().history;
  ASSERT_THAT(history, SizeIs(2));
  EXPECT_EQ(history[0].outcome, DeliveryOutcome::kDiscarded);
  EXPECT_EQ(history[1].outcome, DeliveryOutcome::kAcked);
  EXPECT_EQ(history[1].late_ack, leases[1].id.number);
}

// Who had an event when the process ended was forgotten with the process.
TEST_F(SubscriptionStateTest, WhoHadAnEventWhenTheGatewayWasKilledIsKnownAfterwards) {
  OfferMany(1, 1);
  const absl::Time begin = now_.wall;
  const Lease lost = TakeOne();
  const SubscriptionChanges changes = state_.TakeChanges();
  EXPECT_EQ(changes.unsettled.at(0).consumer, "a");
  now_.wall += absl::Minutes(5);
  SubscriptionState restarted({.position = *changes.position, .unsettled = changes.unsettled},
                              policy_, now_);
  const absl::optional<UnsettledPlace> place = restarted.PlaceOf(1, now_);
  ASSERT_TRUE(place.has_value() && place->interrupted.has_value());
  EXPECT_FALSE(place->leased);
  EXPECT_EQ(place->interrupted->consumer, "a");
  EXPECT_EQ(place->interrupted->begin, begin);
  EXPECT_EQ(place->interrupted->end, begin + absl::Minutes(5));
  EXPECT_THAT(restarted.TakeChanges().history, IsEmpty()) << "a start writes nothing for that";
  restarted.Attach(2, "b", {});
  restarted.Assign({2}, 10, 1000, now_, TenBytes);
  const std::vector<HistoryEntry> history = restarted.TakeChanges().history;
  ASSERT_THAT(history, SizeIs(1));
  EXPECT_EQ(history[0].attempt->how, DeliveryEnd::kGatewayRestarted);
  EXPECT_EQ(history[0].attempt->delivery, lost.id.number);
  EXPECT_FALSE(restarted.PlaceOf(1, now_)->interrupted.has_value());
}

TEST_F(SubscriptionStateTest, PlaceSaysUntilWhenOnTheWallClock) {
  OfferMany(1, 1);
  EXPECT_FALSE(state_.PlaceOf(1, now_).has_value());
  const Lease lease = TakeOne();
  const absl::optional<UnsettledPlace> leased = state_.PlaceOf(1, now_);
  EXPECT_TRUE(leased->leased);
  EXPECT_EQ(leased->consumer, "a");
  EXPECT_EQ(leased->until, lease.expire_time);
  state_.Nack(lease.id, {.delay = absl::Minutes(7)}, now_, random_);
  const absl::optional<UnsettledPlace> waiting = state_.PlaceOf(1, now_);
  EXPECT_FALSE(waiting->leased);
  EXPECT_EQ(waiting->attempt, 2);
  EXPECT_EQ(waiting->until, now_.wall + absl::Minutes(7));
}

TEST_F(SubscriptionStateTest, SeeksAndNewFiltersAreNoted) {
  OfferMany(1, 3);
  const std::vector<Lease> leases = Take();
  state_.TakeChanges();
  state_.Seek(2, now_);
  state_.NoteNewFilter("settings", now_);
  const SubscriptionChanges changes = state_.TakeChanges();
  ASSERT_THAT(changes.moves, SizeIs(2));
  EXPECT_EQ(changes.moves[0].kind, SubscriptionMove::Kind::kSeek);
  EXPECT_EQ(changes.moves[0].from, 3);
  EXPECT_EQ(changes.moves[0].to, 2);
  EXPECT_EQ(changes.moves[1].kind, SubscriptionMove::Kind::kFilter);
  EXPECT_EQ(changes.moves[1].from, 2);
  EXPECT_EQ(changes.moves[1].settings, "settings");
  ASSERT_THAT(changes.history, SizeIs(3));
  EXPECT_EQ(changes.history[1].outcome, DeliveryOutcome::kSkipped);
  EXPECT_EQ(changes.history[1].attempt->how, DeliveryEnd::kSeek);
  EXPECT_FALSE(changes.history[2].outcome.has_value()) << "it comes again";
}

TEST_F(SubscriptionStateTest, WhatRetentionRemovedUnsettledIsCounted) {
  OfferMany(1, 2);
  ASSERT_THAT(Take(), SizeIs(2));
  EXPECT_EQ(state_.DropBefore(2, /*admits_all=*/false, now_).events, 1);
  const Loss loss = state_.DropBefore(6, /*admits_all=*/false, now_);
  EXPECT_EQ(loss.events, 4);  // 2, and 3 to 5, which had not been taken
  EXPECT_EQ(loss.unread, 3);
  EXPECT_EQ(state_.DropBefore(6, /*admits_all=*/false, now_).events, 0);
  EXPECT_EQ(state_.DropBefore(8, /*admits_all=*/true, now_).unread, 0) << "each of them was owed";
  EXPECT_EQ(state_.lost(), 7);
  EXPECT_EQ(state_.lost_unread(), 3);
  EXPECT_EQ(state_.position(), 7);
}

// After a restart it looked again at all that its filter had not admitted, by the filter of then.
TEST_F(SubscriptionStateTest, APositionThatRanAheadIsStoredInTheEnd) {
  Pass(absl::Minutes(1));
  state_.Offer({}, 7);  // None of them is admitted.
  EXPECT_THAT(Take(), IsEmpty());
  ASSERT_EQ(state_.position(), 7);
  EXPECT_FALSE(state_.TakeChanges().position.has_value()) << "it costs no commit of its own";
  const absl::Duration store_at = state_.NextTick(now_);
  ASSERT_LE(store_at, now_.monotonic + absl::Seconds(10));
  Pass(store_at - now_.monotonic);
  EXPECT_EQ(state_.TakeChanges().position->position, 7);
  EXPECT_EQ(state_.NextTick(now_), absl::InfiniteDuration());
  EXPECT_FALSE(state_.TakeChanges().position.has_value());
  // Who ends the process does not wait for so long.
  state_.Offer({}, 9);
  state_.StorePosition();
  EXPECT_EQ(state_.TakeChanges().position->position, 9);
  state_.StorePosition();
  EXPECT_FALSE(state_.TakeChanges().position.has_value()) << "it is stored";
}

// A commit that waited for six seconds made leases of five: events reached their consumer with no
// time left, and were dead letters at once.
TEST_F(SubscriptionStateTest, ALeaseBeginsWhenItIsHandedOut) {
  OfferMany(1, 1);
  const std::vector<Lease> assigned = Assign({1});
  ASSERT_THAT(assigned, SizeIs(1));
  state_.TakeChanges();
  EXPECT_EQ(state_.NextTick(now_), absl::InfiniteDuration());
  Pass(absl::Minutes(10));  // So long takes its commit.
  ASSERT_TRUE(state_.Holds(assigned[0].id));
  EXPECT_EQ(state_.Extend(assigned[0].id, absl::nullopt, now_), AckOutcome::kUnknown);
  EXPECT_EQ(state_.HandOut(assigned[0].id, now_), now_.wall + policy_.ack_deadline);
  EXPECT_EQ(state_.NextTick(now_), now_.monotonic + policy_.ack_deadline);
  Pass(policy_.ack_deadline - absl::Microseconds(1));
  EXPECT_TRUE(state_.Holds(assigned[0].id));
  Pass(absl::Microseconds(1));
  EXPECT_FALSE(state_.Holds(assigned[0].id));
  EXPECT_EQ(state_.HandOut(assigned[0].id, now_), absl::nullopt);
}

// An event that kills its consumer came first again, at once and as attempt 1, for ever, and
// nothing behind it was reached.
TEST_F(SubscriptionStateTest, AnEventThatEndsItsConsumersEndsAsADeadLetterAndHoldsUpNobody) {
  OfferMany(1, 20);
  std::vector<int> lost_before;
  std::vector<Sequence> handled;
  for (int life = 0; life < 1000 && state_.dead_letters() == 0; ++life) {
    state_.Attach(2, "b", {.max_messages = 1});
    const std::vector<Lease> leases = Take(2);
    DeliveryCause end = DeliveryCause::kStreamEnded;
    if (leases.empty()) {
      Pass(absl::Seconds(1));
    } else if (leases[0].id.sequence == 1) {
      EXPECT_EQ(leases[0].attempt, 1) << "it is no attempt";
      lost_before.push_back(leases[0].lost_deliveries);
      end = DeliveryCause::kStreamLost;
    } else {
      state_.Ack(leases[0].id, now_);
      handled.push_back(leases[0].id.sequence);
    }
    state_.Detach(2, end, /*keep_leases=*/false, now_, random_);
  }
  EXPECT_THAT(lost_before, testing::ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(handled, SizeIs(19)) << "what was behind it was reached meanwhile";
  const SubscriptionChanges changes = state_.TakeChanges();
  ASSERT_THAT(changes.dead, SizeIs(1));
  EXPECT_EQ(changes.dead[0].sequence, 1);
  EXPECT_EQ(changes.dead[0].cause, DeliveryCause::kStreamLost);
  EXPECT_EQ(changes.dead[0].lost, 6);
  EXPECT_EQ(changes.dead[0].attempts, 0);
}

TEST_F(SubscriptionStateTest, TheFirstLostDeliveryIsForgivenAndLaterOnesBackOff) {
  OfferMany(1, 1);
  TakeOne();
  state_.Detach(1, DeliveryCause::kStreamLost, false, now_, random_);
  state_.Attach(2, "b", {});
  const Lease second = TakeOne(2);
  EXPECT_EQ(second.cause, DeliveryCause::kStreamLost);
  EXPECT_EQ(second.lost_deliveries, 1);
  state_.Detach(2, DeliveryCause::kStreamLost, false, now_, random_);
  state_.Attach(3, "c", {});
  EXPECT_THAT(Take(3), IsEmpty());
  Pass(policy_.minimum_backoff);
  EXPECT_EQ(TakeOne(3).lost_deliveries, 2);
}

// What was assigned, and whose commit was not through, never reached the consumer that was lost.
TEST_F(SubscriptionStateTest, OnlyWhatWasHandedOutCanBeLost) {
  OfferMany(1, 1);
  ASSERT_THAT(Assign({1}), SizeIs(1));
  state_.Detach(1, DeliveryCause::kStreamLost, false, now_, random_);
  state_.Attach(2, "b", {});
  const Lease again = TakeOne(2);
  EXPECT_EQ(again.lost_deliveries, 0);
  EXPECT_EQ(again.cause, DeliveryCause::kNew);
}

// A consumer holds a thousand events when one of them kills it, again and again: the others must
// not end as dead letters with it.
TEST_F(SubscriptionStateTest, ThoseBesideTheGuiltyOneDoNotShareItsSentence) {
  constexpr Sequence kPoison = 500;
  OfferMany(1, 1000);
  int ends = 0;
  while (state_.unsettled() > 0 || state_.position() < 1000) {
    ASSERT_LT(++ends, 1000);
    state_.Attach(2, "b", {.max_messages = 1000});
    bool dead = false;
    while (!dead) {
      std::vector<Lease> leases;
      for (int batch = 0; batch < 10; ++batch) {
        for (Lease& lease : Take(2)) leases.push_back(std::move(lease));
      }
      if (leases.empty()) break;
      // It handles a few of them, if it lives so long.
      for (const Lease& lease : leases) {
        dead = dead || lease.id.sequence == kPoison;
      }
      for (size_t i = 0; !dead && i < leases.size(); ++i) state_.Ack(leases[i].id, now_);
    }
    state_.Detach(2, dead ? DeliveryCause::kStreamLost : DeliveryCause::kStreamEnded, false, now_,
                  random_);
    Pass(absl::Minutes(1));
  }
  EXPECT_EQ(state_.dead_letters(), 1);
  EXPECT_TRUE(state_.IsDead(kPoison));
}

// Events that were due came before new ones, always: with enough of them nothing new was reached.
TEST_F(SubscriptionStateTest, WhatIsDueAndWhatIsNewTakeTurns) {
  OfferMany(1, 10);
  for (const Lease& lease : Take(std::vector<AttachmentId>{1}, 6)) {
    state_.Nack(lease.id, {.delay = absl::ZeroDuration()}, now_, random_);
  }
  std::vector<bool> is_new;
  while (is_new.size() < 8) {
    const std::vector<Lease> leases = Take(std::vector<AttachmentId>{1}, 1);
    ASSERT_THAT(leases, SizeIs(1));
    is_new.push_back(leases[0].cause == DeliveryCause::kNew);
    state_.Ack(leases[0].id, now_);
  }
  EXPECT_EQ(std::count(is_new.begin(), is_new.end(), true), 4);
}

// A redelivery of an event that cannot be read keeps new ones from nobody.
TEST_F(SubscriptionStateTest, WhatIsNotAtHandHoldsUpNobody) {
  OfferMany(1, 1);
  state_.Nack(TakeOne().id, {.delay = absl::ZeroDuration()}, now_, random_);
  OfferMany(2, 2);
  const auto only_the_second = [](Sequence sequence, bool) {
    return sequence == 2 ? absl::optional<int64_t>(10) : absl::nullopt;
  };
  EXPECT_THAT(state_.Wanted({1}, 10, now_, only_the_second).sequences, testing::ElementsAre(1));
  EXPECT_THAT(state_.Assign({1}, 10, 1000, now_, only_the_second), SizeIs(1));
}

// Ten thousand events that merely waited for their back-off stopped a subscription without a word.
TEST_F(SubscriptionStateTest, WaitingEventsStopNothing) {
  OfferMany(1, 20'001);
  for (int batch = 0; batch < 20; ++batch) {
    for (const Lease& lease : state_.Assign({1}, 1000, 1 << 20, now_, [](Sequence, bool) {
           return absl::optional<int64_t>(10);
         })) {
      state_.HandOut(lease.id, now_);
      state_.Nack(lease.id, {.delay = absl::Hours(1)}, now_, random_);
    }
  }
  EXPECT_EQ(state_.waiting(), 20'000);
  EXPECT_THAT(state_.conditions(), IsEmpty());
  EXPECT_EQ(TakeOne().id.sequence, 20'001);
}

TEST_F(SubscriptionStateTest, EachBoundIsToldAndEndsWithItsCause) {
  SubscriptionState state(StoredSubscription(), policy_, now_,
                          {.max_leased = 2, .max_unsettled = 3, .max_dead_letters = 1});
  state.Attach(1, "a", {});
  for (Sequence s = 1; s <= 5; ++s) state.Offer({{.sequence = s}}, s);
  const auto take = [&] {
    const std::vector<Lease> leases = state.Assign(
        {1}, 100, 1000, now_, [](Sequence, bool) { return absl::optional<int64_t>(10); });
    for (const Lease& lease : leases) state.HandOut(lease.id, now_);
    return leases;
  };
  const std::vector<Lease> first = take();
  ASSERT_THAT(first, SizeIs(2));
  EXPECT_THAT(state.conditions(), testing::ElementsAre(SubscriptionCondition::kLeasesFull));
  state.Nack(first[0].id, {.delay = absl::Hours(1)}, now_, random_);
  EXPECT_THAT(state.conditions(), IsEmpty());
  const std::vector<Lease> third = take();
  ASSERT_THAT(third, SizeIs(1));
  EXPECT_THAT(state.conditions(), testing::ElementsAre(SubscriptionCondition::kLeasesFull,
                                                       SubscriptionCondition::kUnsettledFull));
  state.Nack(third[0].id, {.delay = absl::Hours(1)}, now_, random_);
  EXPECT_THAT(take(), IsEmpty()) << "three are unsettled";
  EXPECT_FALSE(state.WantsOffers({1}));
  state.Nack(first[1].id, {.dead_letter = true}, now_, random_);
  EXPECT_THAT(state.conditions(), testing::ElementsAre(SubscriptionCondition::kDeadLettersFull));
  const std::vector<Lease> fourth = take();
  ASSERT_THAT(fourth, SizeIs(1));
  state.Nack(fourth[0].id, {.dead_letter = true}, now_, random_);
  EXPECT_EQ(state.dead_letters(), 1) << "there is room for one";
  EXPECT_EQ(state.Redrive(first[1].id.sequence, 1, now_),
            SubscriptionState::RedriveOutcome::kTooMany);
  EXPECT_TRUE(state.Discard(first[1].id.sequence, now_));
  EXPECT_THAT(state.conditions(), testing::ElementsAre(SubscriptionCondition::kUnsettledFull));
}

TEST_F(SubscriptionStateTest, AFilterThatAdmitsNothingIsHintedAt) {
  state_.Offer({}, 99);
  EXPECT_THAT(state_.conditions(), IsEmpty());
  state_.Offer({}, 100);
  EXPECT_THAT(state_.conditions(), testing::ElementsAre(SubscriptionCondition::kFilterAdmitsNone));
  state_.NoteNewFilter("", now_);
  EXPECT_THAT(state_.conditions(), IsEmpty());
  EXPECT_EQ(state_.passed(), 0);
  OfferMany(101, 101);
  TakeOne();
  state_.Offer({}, 1000);
  EXPECT_THAT(state_.conditions(), IsEmpty());
  EXPECT_EQ(state_.passed(), 900);
  EXPECT_EQ(state_.admitted(), 1);
}

// A dead letter from before a seek back was answered REDRIVEN, and never came, because the filter
// no longer admitted it.
TEST_F(SubscriptionStateTest, WhatIsRedrivenComesWhateverTheFilterAdmits) {
  OfferMany(1, 3);
  const std::vector<Lease> leases = Take();
  ASSERT_THAT(leases, SizeIs(3));
  state_.Nack(leases[1].id, {.reason = "no", .dead_letter = true}, now_, random_);
  state_.Seek(0, now_);
  EXPECT_EQ(state_.Redrive(2, 1, now_), SubscriptionState::RedriveOutcome::kRedriven);
  EXPECT_EQ(state_.Redrive(2, 1, now_), SubscriptionState::RedriveOutcome::kNotFound);
  EXPECT_EQ(state_.unsettled(), 0) << "its place in the backlog is beyond the position";
  EXPECT_THAT(Take(), IsEmpty()) << "it keeps its place";

  // A restart in between.
  SubscriptionChanges changes = state_.TakeChanges();
  SubscriptionState restarted(
      {.position = *changes.position, .unsettled = changes.unsettled, .dead = changes.dead},
      policy_, now_);
  for (SubscriptionState* const state : {&state_, &restarted}) {
    state->Attach(1, "a", {});
    state->Offer({{.sequence = 1}}, 3);  // The new filter admits the first alone.
    const std::vector<Lease> again = state->Assign(
        {1}, 100, 1000, now_, [](Sequence, bool) { return absl::optional<int64_t>(10); });
    ASSERT_THAT(again, SizeIs(2));
    EXPECT_EQ(again[1].id.sequence, 2);
    EXPECT_EQ(again[1].attempt, 1);
    EXPECT_EQ(again[1].cause, DeliveryCause::kRedriven);
    state->HandOut(again[1].id, now_);
    EXPECT_EQ(state->Ack(again[1].id, now_), AckOutcome::kOk);
  }
}

TEST_F(SubscriptionStateTest, WhatIsRedrivenBeyondThePositionComesOnceIfTheFilterAdmitsIt) {
  OfferMany(1, 3);
  const std::vector<Lease> leases = Take();
  state_.Nack(leases[1].id, {.dead_letter = true}, now_, random_);
  state_.Seek(0, now_);
  state_.Redrive(2, 1, now_);
  OfferMany(1, 3);
  std::set<Sequence> taken;
  for (const Lease& lease : Take()) EXPECT_TRUE(taken.insert(lease.id.sequence).second);
  EXPECT_THAT(taken, testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(state_.position(), 3);
}

// --- What Ack, Nack, Extend, Redrive and Discard answer, in every state of an event. ---

using RedriveOutcome = SubscriptionState::RedriveOutcome;

struct OutcomeCase {
  const char* state;
  // Brings event 1, whose first delivery is given, there.
  std::function<void(SubscriptionState&, DeliveryId, Instant&, std::mt19937_64&)> bring;
  AckOutcome ack, nack, extend;  // of the first delivery
  RedriveOutcome redrive;
  bool discard;
};

constexpr AckOutcome kOk = AckOutcome::kOk;
constexpr AckOutcome kAlready = AckOutcome::kAlready;
constexpr AckOutcome kLost = AckOutcome::kLeaseLost;
constexpr AckOutcome kUnknown = AckOutcome::kUnknown;

Lease TakeFirst(SubscriptionState& state, Instant now) {
  const std::vector<Lease> leases =
      state.Assign({1}, 1, 1000, now, [](Sequence, bool) { return absl::optional<int64_t>(10); });
  EXPECT_THAT(leases, SizeIs(1));
  if (leases.empty()) return {};
  state.HandOut(leases[0].id, now);
  return leases[0];
}

void Lapse(SubscriptionState& state, Instant& now, std::mt19937_64& random) {
  now.wall += absl::Hours(1);
  now.monotonic += absl::Hours(1);
  state.Tick(now, random);
}

void MakeDead(SubscriptionState& state, DeliveryId id, Instant now, std::mt19937_64& random) {
  EXPECT_EQ(state.Nack(id, {.dead_letter = true}, now, random), kOk);
}

void AskForAgain(SubscriptionState& state, Instant now) {
  EXPECT_EQ(state.Redeliver({.sequence = 1}, 1, now),
            SubscriptionState::RedeliverOutcome::kRedelivered);
}

const OutcomeCase kOutcomes[] = {
    {"leased", [](auto&, auto, auto&, auto&) {}, kOk, kOk, kOk, RedriveOutcome::kNotFound, false},
    {"waiting after a nack",
     [](auto& state, auto id, auto& now, auto& random) { state.Nack(id, {}, now, random); }, kOk,
     kLost, kLost, RedriveOutcome::kNotFound, false},
    {"waiting after its deadline",
     [](auto& state, auto, auto& now, auto& random) { Lapse(state, now, random); }, kOk, kLost,
     kLost, RedriveOutcome::kNotFound, false},
    {"waiting after its stream was lost",
     [](auto& state, auto, auto& now, auto& random) {
       state.Detach(1, DeliveryCause::kStreamLost, false, now, random);
     },
     kOk, kLost, kLost, RedriveOutcome::kNotFound, false},
    {"with somebody else",
     [](auto& state, auto, auto& now, auto& random) {
       Lapse(state, now, random);
       Lapse(state, now, random);
       TakeFirst(state, now);
     },
     kOk, kLost, kLost, RedriveOutcome::kNotFound, false},
    {"acked", [](auto& state, auto id, auto& now, auto&) { state.Ack(id, now); }, kAlready,
     kAlready, kAlready, RedriveOutcome::kNotFound, false},
    {"a dead letter",
     [](auto& state, auto id, auto& now, auto& random) { MakeDead(state, id, now, random); }, kOk,
     kLost, kLost, RedriveOutcome::kRedriven, true},
    {"discarded",
     [](auto& state, auto id, auto& now, auto& random) {
       MakeDead(state, id, now, random);
       state.Discard(1, now);
     },
     kAlready, kAlready, kAlready, RedriveOutcome::kNotFound, false},
    {"redriven",
     [](auto& state, auto id, auto& now, auto& random) {
       MakeDead(state, id, now, random);
       state.Redrive(1, 1, now);
     },
     kOk, kLost, kLost, RedriveOutcome::kNotFound, false},
    {"before a seek forward", [](auto& state, auto, auto& now, auto&) { state.Seek(5, now); },
     kUnknown, kUnknown, kUnknown, RedriveOutcome::kNotFound, false},
    {"beyond a seek back", [](auto& state, auto, auto& now, auto&) { state.Seek(0, now); },
     kUnknown, kUnknown, kUnknown, RedriveOutcome::kNotFound, false},
    {"taken again after a seek back",
     [](auto& state, auto, auto& now, auto&) {
       state.Seek(0, now);
       state.Offer({{.sequence = 1}}, 1);
       TakeFirst(state, now);
     },
     kUnknown, kUnknown, kUnknown, RedriveOutcome::kNotFound, false},
    {"a dead letter, taken again after a seek back",
     [](auto& state, auto id, auto& now, auto& random) {
       MakeDead(state, id, now, random);
       state.Seek(0, now);
       state.Offer({{.sequence = 1}}, 1);
       TakeFirst(state, now);
     },
     kUnknown, kUnknown, kUnknown, RedriveOutcome::kRedriven, true},
    {"a dead letter beyond a seek back",
     [](auto& state, auto id, auto& now, auto& random) {
       MakeDead(state, id, now, random);
       state.Seek(0, now);
     },
     kUnknown, kUnknown, kUnknown, RedriveOutcome::kRedriven, true},
    {"removed by retention while leased",
     [](auto& state, auto, auto& now, auto&) { state.DropBefore(2, true, now); }, kUnknown,
     kUnknown, kUnknown, RedriveOutcome::kNotFound, false},
    {"removed by retention after its ack",
     [](auto& state, auto id, auto& now, auto&) {
       state.Ack(id, now);
       state.DropBefore(2, true, now);
     },
     kUnknown, kUnknown, kUnknown, RedriveOutcome::kNotFound, false},
    {"a dead letter whose event was removed by retention",
     [](auto& state, auto id, auto& now, auto& random) {
       MakeDead(state, id, now, random);
       state.DropBefore(2, true, now);
     },
     kOk, kLost, kLost, RedriveOutcome::kEventRemoved, true},
    {"acked and asked for again",
     [](auto& state, auto id, auto& now, auto&) {
       state.Ack(id, now);
       AskForAgain(state, now);
     },
     kAlready, kAlready, kAlready, RedriveOutcome::kNotFound, false},
    {"asked for again and with somebody else",
     [](auto& state, auto id, auto& now, auto&) {
       state.Ack(id, now);
       AskForAgain(state, now);
       TakeFirst(state, now);
     },
     kAlready, kAlready, kAlready, RedriveOutcome::kNotFound, false},
    {"asked for again and a dead letter then",
     [](auto& state, auto id, auto& now, auto& random) {
       state.Ack(id, now);
       AskForAgain(state, now);
       MakeDead(state, TakeFirst(state, now).id, now, random);
     },
     kAlready, kAlready, kAlready, RedriveOutcome::kRedriven, true},
    {"asked for again, a dead letter then, and redriven",
     [](auto& state, auto id, auto& now, auto& random) {
       state.Ack(id, now);
       AskForAgain(state, now);
       MakeDead(state, TakeFirst(state, now).id, now, random);
       state.Redrive(1, 1, now);
     },
     kAlready, kAlready, kAlready, RedriveOutcome::kNotFound, false},
    {"asked for again, a dead letter then, and its event removed by retention",
     [](auto& state, auto id, auto& now, auto& random) {
       state.Ack(id, now);
       AskForAgain(state, now);
       MakeDead(state, TakeFirst(state, now).id, now, random);
       state.DropBefore(2, true, now);
     },
     kAlready, kAlready, kAlready, RedriveOutcome::kEventRemoved, true},
    {"a dead letter that was asked for again",
     [](auto& state, auto id, auto& now, auto& random) {
       MakeDead(state, id, now, random);
       AskForAgain(state, now);
     },
     kAlready, kAlready, kAlready, RedriveOutcome::kNotFound, false},
    {"a dead letter that was asked for again, and is one again",
     [](auto& state, auto id, auto& now, auto& random) {
       MakeDead(state, id, now, random);
       AskForAgain(state, now);
       MakeDead(state, TakeFirst(state, now).id, now, random);
     },
     kAlready, kAlready, kAlready, RedriveOutcome::kRedriven, true},
};

// The manual of AckResult and RedriveDeadLettersResponse.
TEST(SubscriptionOutcomesTest, AreThoseOfTheManual) {
  for (const OutcomeCase& c : kOutcomes) {
    SCOPED_TRACE(c.state);
    const auto run = [&](const auto& ask) {
      std::mt19937_64 random;
      Instant now{absl::FromUnixSeconds(1'750'000'000), absl::Hours(1)};
      SubscriptionState state(StoredSubscription(), {}, now);
      state.Attach(1, "a", {});
      state.Offer({{.sequence = 1}}, 1);
      const DeliveryId id = TakeFirst(state, now).id;
      c.bring(state, id, now, random);
      const Sequence earliest = c.redrive == RedriveOutcome::kEventRemoved ? 2 : 1;
      return ask(state, id, now, random, earliest);
    };
    EXPECT_EQ(run([](auto& state, auto id, auto now, auto&, auto) { return state.Ack(id, now); }),
              c.ack);
    EXPECT_EQ(run([](auto& state, auto id, auto now, auto& random, auto) {
                return state.Nack(id, {}, now, random);
              }),
              c.nack);
    EXPECT_EQ(run([](auto& state, auto id, auto now, auto&, auto) {
                return state.Extend(id, absl::nullopt, now);
              }),
              c.extend);
    EXPECT_EQ(run([](auto& state, auto, auto now, auto&, auto earliest) {
                return state.Redrive(1, earliest, now);
              }),
              c.redrive);
    EXPECT_EQ(run([](auto& state, auto, auto now, auto&, auto) { return state.Discard(1, now); }),
              c.discard);
    // Numbers that were never given to this event.
    EXPECT_EQ(run([](auto& state, auto id, auto now, auto&, auto) {
                return state.Ack({id.sequence, 99}, now);
              }),
              kUnknown);
  }
}

// Operators had no way to hold a subscription back but to stop its consumers.
TEST_F(SubscriptionStateTest, APausedOneHandsOutNothingAndTakesAcks) {
  OfferMany(1, 3);
  const std::vector<Lease> held = Take(std::vector<AttachmentId>{1}, 2);
  ASSERT_THAT(held, SizeIs(2));
  EXPECT_EQ(state_.Nack(held[1].id, {.delay = absl::ZeroDuration()}, now_, random_),
            AckOutcome::kOk);
  state_.SetPaused(true);
  EXPECT_THAT(state_.conditions(), ElementsAre(SubscriptionCondition::kPaused));
  EXPECT_THAT(Take(), IsEmpty());
  EXPECT_FALSE(state_.WantsOffers({1}));
  EXPECT_FALSE(state_.WantsRawBodies({1}).has_value());
  const auto not_at_hand = [](Sequence, bool) { return absl::optional<int64_t>(); };
  EXPECT_THAT(state_.Wanted({1}, 10, now_, not_at_hand).sequences, IsEmpty());
  EXPECT_TRUE(state_.Extend(held[0].id, absl::Minutes(1), now_) == AckOutcome::kOk);
  EXPECT_EQ(state_.Ack(held[0].id, now_), AckOutcome::kOk);
  state_.SetPaused(false);
  EXPECT_THAT(state_.conditions(), IsEmpty());
  EXPECT_THAT(Take(), SizeIs(2));
}

TEST_F(SubscriptionStateTest, LeasesOfAPausedOneRunOnAndNothingElseIsWaitedFor) {
  OfferMany(1, 2);
  const std::vector<Lease> held = Take();
  ASSERT_THAT(held, SizeIs(2));
  state_.Nack(held[0].id, {.delay = absl::Seconds(5)}, now_, random_);
  state_.TakeChanges();
  EXPECT_EQ(state_.NextTick(now_), now_.monotonic + absl::Seconds(5));
  state_.SetPaused(true);
  EXPECT_EQ(state_.NextTick(now_), now_.monotonic + policy_.ack_deadline);
  Pass(policy_.ack_deadline);
  EXPECT_EQ(state_.in_flight(), 0);
  EXPECT_EQ(state_.NextTick(now_), absl::InfiniteDuration());
  state_.SetPaused(false);
  EXPECT_THAT(Take(), SizeIs(1)) << "what was due when it was resumed";
}

// --- Past events, asked for again. ---

using RedeliverOutcome = SubscriptionState::RedeliverOutcome;

// A seek was the only way to have an acked event again, and it brought all that came after as well.
TEST_F(SubscriptionStateTest, AnAckedEventComesAgainWhenItIsAskedForAndThePositionStays) {
  OfferMany(1, 2);
  const std::vector<Lease> first = Take();
  for (const Lease& lease : first) EXPECT_EQ(state_.Ack(lease.id, now_), AckOutcome::kOk);
  state_.TakeChanges();
  const OfferedEvent event = {.sequence = 1, .receive_time = now_.wall - absl::Hours(1)};
  EXPECT_EQ(state_.Redeliver(event, 1, now_), RedeliverOutcome::kRedelivered);
  EXPECT_EQ(state_.Redeliver(event, 1, now_), RedeliverOutcome::kUnsettled);
  EXPECT_EQ(state_.position(), 2);
  EXPECT_EQ(state_.oldest_receive_time(), event.receive_time);
  const SubscriptionChanges changes = state_.TakeChanges();
  ASSERT_THAT(changes.unsettled, SizeIs(1));
  EXPECT_EQ(changes.unsettled[0].nack_reason, "");
  const Lease again = TakeOne();
  EXPECT_EQ(again.id.sequence, 1);
  EXPECT_EQ(again.attempt, 1);
  EXPECT_EQ(again.cause, DeliveryCause::kReplayed);
  EXPECT_FALSE(again.reason_is_stored);
  EXPECT_EQ(state_.TakeChanges().unsettled[0].first_delivery_time, now_.wall);
  EXPECT_EQ(state_.Ack(again.id, now_), AckOutcome::kOk);
  EXPECT_EQ(state_.unsettled(), 0);
}

// The ack of the first delivery came twice, and the second one settled the replay.
TEST_F(SubscriptionStateTest, AnAckOfBeforeDoesNotSettleWhatWasAskedForAgain) {
  OfferMany(1, 1);
  const Lease first = TakeOne();
  EXPECT_EQ(state_.Ack(first.id, now_), AckOutcome::kOk);
  state_.Redeliver({.sequence = 1}, 1, now_);
  EXPECT_EQ(state_.Ack(first.id, now_), AckOutcome::kAlready);
  const Lease again = TakeOne();
  EXPECT_EQ(state_.Ack(first.id, now_), AckOutcome::kAlready);
  EXPECT_EQ(state_.Nack(first.id, {}, now_, random_), AckOutcome::kAlready);
  EXPECT_EQ(state_.Extend(first.id, absl::nullopt, now_), AckOutcome::kAlready);
  EXPECT_TRUE(state_.Holds(again.id));
  // Also after a restart.
  StoredSubscription stored;
  stored.position = {.position = 1, .last_delivery = again.id.number};
  for (const auto& [sequence, event] : state_.unsettled_events()) {
    stored.unsettled.push_back(event);
  }
  SubscriptionState restarted(stored, policy_, now_);
  EXPECT_EQ(restarted.Ack(first.id, now_), AckOutcome::kAlready);
  EXPECT_EQ(restarted.Ack(again.id, now_), AckOutcome::kOk);
}

// The ack of the first delivery came twice, and the second one removed the dead letter of the
// replay, with nobody having handled it.
TEST_F(SubscriptionStateTest, AnAckOfBeforeDoesNotRemoveTheDeadLetterOfAReplay) {
  OfferMany(1, 1);
  const Lease first = TakeOne();
  EXPECT_EQ(state_.Ack(first.id, now_), AckOutcome::kOk);
  state_.Redeliver({.sequence = 1}, 1, now_);
  const Lease again = TakeOne();
  EXPECT_EQ(state_.Nack(again.id, {.reason = "no", .dead_letter = true}, now_, random_),
            AckOutcome::kOk);
  EXPECT_EQ(state_.Ack(first.id, now_), AckOutcome::kAlready);
  EXPECT_TRUE(state_.IsDead(1));
  // Also after a restart.
  const SubscriptionChanges changes = state_.TakeChanges();
  SubscriptionState restarted({.position = *changes.position, .dead = changes.dead}, policy_, now_);
  EXPECT_EQ(restarted.Ack(first.id, now_), AckOutcome::kAlready);
  ASSERT_TRUE(restarted.IsDead(1));
  // And once it is redriven.
  restarted.Redrive(1, 1, now_);
  EXPECT_EQ(restarted.Ack(first.id, now_), AckOutcome::kAlready);
  EXPECT_EQ(restarted.unsettled(), 1);
  EXPECT_EQ(restarted.Ack(again.id, now_), AckOutcome::kOk) << "of after it was asked for";
}

// An event that was acked, asked for again, and then passed by a seek was said to be skipped.
TEST_F(SubscriptionStateTest, ASeekThatTakesAReplayBackLeavesWhatBecameOfTheEvent) {
  OfferMany(1, 3);
  for (const Lease& lease : Take()) EXPECT_EQ(state_.Ack(lease.id, now_), AckOutcome::kOk);
  for (const Sequence s : {1, 2}) state_.Redeliver({.sequence = s}, 1, now_);
  const std::vector<Lease> again = Take(std::vector<AttachmentId>{1}, 1);
  ASSERT_THAT(again, SizeIs(1));
  state_.Nack(again[0].id, {}, now_, random_);
  state_.TakeChanges();
  state_.Seek(3, now_);
  const SubscriptionChanges changes = state_.TakeChanges();
  ASSERT_THAT(changes.history, SizeIs(1));
  EXPECT_EQ(changes.history[0].sequence, again[0].id.sequence) << "the one that was delivered";
  EXPECT_EQ(changes.history[0].outcome, DeliveryOutcome::kSkipped);
  EXPECT_EQ(state_.unsettled(), 0);
  EXPECT_FALSE(state_.MovesBySeek(3));
  EXPECT_TRUE(state_.MovesBySeek(2));
}

TEST_F(SubscriptionStateTest, WhatCannotBeDeliveredAgainIsLeftAsItIs) {
  OfferMany(1, 3);
  const std::vector<Lease> leases = Take();
  state_.Ack(leases[0].id, now_);
  state_.Ack(leases[1].id, now_);
  EXPECT_EQ(state_.Redeliver({.sequence = 1}, /*earliest=*/2, now_),
            RedeliverOutcome::kEventRemoved);
  EXPECT_EQ(state_.Redeliver({.sequence = 3}, 1, now_), RedeliverOutcome::kUnsettled);
  EXPECT_TRUE(state_.Holds(leases[2].id));
  EXPECT_EQ(state_.Redeliver({.sequence = 4}, 1, now_), RedeliverOutcome::kNotReached);
  SubscriptionState full(StoredSubscription{.position = {.position = 5}}, policy_, now_,
                         {.max_unsettled = 1});
  EXPECT_EQ(full.Redeliver({.sequence = 1}, 1, now_), RedeliverOutcome::kRedelivered);
  EXPECT_EQ(full.Redeliver({.sequence = 2}, 1, now_), RedeliverOutcome::kTooMany);
}

TEST_F(SubscriptionStateTest, ADeadLetterThatIsAskedForIsNoneAnyMore) {
  OfferMany(1, 1);
  const Lease first = TakeOne();
  state_.Nack(first.id, {.reason = "no", .dead_letter = true}, now_, random_);
  ASSERT_TRUE(state_.IsDead(1));
  EXPECT_EQ(state_.Redeliver({.sequence = 1}, 1, now_), RedeliverOutcome::kRedelivered);
  EXPECT_FALSE(state_.IsDead(1));
  const Lease again = TakeOne();
  EXPECT_EQ(again.cause, DeliveryCause::kReplayed);
  EXPECT_EQ(again.attempt, 1);
}

TEST_F(SubscriptionStateTest, WhatIsAskedForAgainAndWhatIsNewTakeTurns) {
  SubscriptionState state(StoredSubscription{.position = {.position = 20}}, policy_, now_);
  state.Attach(1, "a", {});
  for (Sequence s = 1; s <= 20; ++s) state.Redeliver({.sequence = s}, 1, now_);
  for (Sequence s = 21; s <= 40; ++s) state.Offer({{.sequence = s}}, s);
  const std::vector<Lease> leases = state.Assign({1}, 20, 1000, now_, TenBytes);
  ASSERT_THAT(leases, SizeIs(20));
  const auto is_new = [](const Lease& lease) { return lease.cause == DeliveryCause::kNew; };
  EXPECT_EQ(std::count_if(leases.begin(), leases.end(), is_new), 4);
}

}  // namespace
}  // namespace hookgate
