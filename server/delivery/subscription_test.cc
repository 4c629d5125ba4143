#include "server/delivery/subscription.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/subscription_registry.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr absl::Duration kPatience = absl::Seconds(20);

// A log whose writes of subscriptions fail while it is told so.
class FailingStore final : public SubscriptionLog {
 public:
  explicit FailingStore(SubscriptionLog& log) : log_(log) {}

  absl::StatusOr<std::vector<StoredSubscription>> LoadSubscriptions() override {
    return log_.LoadSubscriptions();
  }
  absl::StatusOr<StoredSubscription> LoadSubscription(int64_t id) override {
    if (loads_fail()) return Failure();
    return log_.LoadSubscription(id);
  }
  absl::StatusOr<int64_t> CreateSubscription(const std::string& name, const std::string& settings,
                                             absl::Time create_time, Sequence position) override {
    return log_.CreateSubscription(name, settings, create_time, position);
  }
  void WriteSubscription(int64_t id, std::unique_ptr<const SubscriptionChanges> changes,
                         Done done) override {
    {
      absl::MutexLock lock(&mu_);
      ++writes_;
      if (held_) {
        waiting_ = [this, id, changes = std::move(changes), done = std::move(done)]() mutable {
          log_.WriteSubscription(id, std::move(changes), std::move(done));
        };
        return;
      }
    }
    if (writes_fail()) return std::move(done)(Failure());
    log_.WriteSubscription(id, std::move(changes), std::move(done));
  }
  absl::Status DeleteSubscription(int64_t id) override { return log_.DeleteSubscription(id); }
  absl::StatusOr<std::vector<DeadEvent>> LoadDeadLetters(int64_t id, Sequence after,
                                                         size_t max) override {
    return log_.LoadDeadLetters(id, after, max);
  }
  absl::StatusOr<std::vector<std::string>> LoadNackReasons(
      int64_t id, const std::vector<Sequence>& sequences) override {
    return log_.LoadNackReasons(id, sequences);
  }

  // Writes wait until Release.
  void Hold() {
    absl::MutexLock lock(&mu_);
    held_ = true;
  }
  void WaitForHeld() {
    const auto waits = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return waiting_ != nullptr; };
    absl::MutexLock lock(&mu_);
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&waits), kPatience));
  }
  void Release() {
    absl::AnyInvocable<void() &&> waiting;
    {
      absl::MutexLock lock(&mu_);
      held_ = false;
      waiting = std::exchange(waiting_, nullptr);
    }
    if (waiting) std::move(waiting)();
  }

  void Fail(bool writes, bool loads) {
    absl::MutexLock lock(&mu_);
    writes_fail_ = writes;
    loads_fail_ = loads;
  }
  int writes() {
    absl::MutexLock lock(&mu_);
    return writes_;
  }

 private:
  static absl::Status Failure() {
    return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kStoreUnavailable, "disk full");
  }
  bool writes_fail() {
    absl::MutexLock lock(&mu_);
    return writes_fail_;
  }
  bool loads_fail() {
    absl::MutexLock lock(&mu_);
    return loads_fail_;
  }

  SubscriptionLog& log_;
  absl::Mutex mu_;
  bool writes_fail_ ABSL_GUARDED_BY(mu_) = false;
  bool loads_fail_ ABSL_GUARDED_BY(mu_) = false;
  int writes_ ABSL_GUARDED_BY(mu_) = 0;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  absl::AnyInvocable<void() &&> waiting_ ABSL_GUARDED_BY(mu_);  // there is one write at a time
};

class FakeReceiver final : public Receiver {
 public:
  void OnDeliveries(std::vector<Delivery> deliveries) override {
    absl::MutexLock lock(&mu_);
    for (Delivery& delivery : deliveries) deliveries_.push_back(std::move(delivery));
    ++calls_;
  }
  void OnEnd(const absl::Status& status) override {
    absl::MutexLock lock(&mu_);
    end_ = status;
  }

  // The next delivery; null event if none comes.
  Delivery Next() {
    const auto some = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !deliveries_.empty(); };
    absl::MutexLock lock(&mu_);
    if (!mu_.AwaitWithTimeout(absl::Condition(&some), kPatience)) {
      ADD_FAILURE() << "no delivery came";
      return {};
    }
    Delivery next = std::move(deliveries_.front());
    deliveries_.pop_front();
    return next;
  }
  bool HasMore() {
    absl::MutexLock lock(&mu_);
    return !deliveries_.empty();
  }
  absl::Status WaitForEnd() {
    const auto ended = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return end_.has_value(); };
    absl::MutexLock lock(&mu_);
    if (!mu_.AwaitWithTimeout(absl::Condition(&ended), kPatience)) return absl::OkStatus();
    return *end_;
  }
  int calls() {
    absl::MutexLock lock(&mu_);
    return calls_;
  }

 private:
  absl::Mutex mu_;
  std::deque<Delivery> deliveries_ ABSL_GUARDED_BY(mu_);
  absl::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  int calls_ ABSL_GUARDED_BY(mu_) = 0;
};

class SubscriptionTest : public testing::Test {
 protected:
  SubscriptionTest() {
    tail_.StartAfter(0);
    OpenRegistry();
  }

  void OpenRegistry() {
    registry_.reset();
    auto registry = SubscriptionRegistry::Open({store_, *log_, tail_, watch_, executor_, clock_});
    ASSERT_TRUE(registry.ok()) << registry.status();
    registry_ = *std::move(registry);
  }
  // Of events about `subject` alone, if it is given.
  std::shared_ptr<Subscription> Create(const std::string& subject = "") {
    hookgate::v1::SubscriptionSettings proto;
    proto.set_max_attempts(3);
    if (!subject.empty()) proto.mutable_filter()->add_subjects(subject);
    const auto settings = SubscriptionSettings::FromProto(proto, "settings");
    EXPECT_TRUE(settings.ok()) << settings.status();
    const auto created = registry_->Create("billing", *settings, 0);
    EXPECT_TRUE(created.ok()) << created.status();
    return *created;
  }
  static StreamId Attach(Subscription& subscription, const std::shared_ptr<FakeReceiver>& receiver,
                         int64_t max_messages = 100) {
    const auto stream = subscription.Attach("a", {.max_messages = max_messages},
                                            /*include_raw_body=*/false, receiver);
    EXPECT_TRUE(stream.ok()) << stream.status();
    return stream.value_or(0);
  }
  // Also makes sure that all that was asked for before has been carried out.
  static absl::StatusOr<std::vector<AckOutcome>> Settle(Subscription& subscription,
                                                        std::vector<AckItem> items = {}) {
    absl::Notification done;
    absl::StatusOr<std::vector<AckOutcome>> result;
    subscription.Settle(std::move(items), [&](absl::StatusOr<std::vector<AckOutcome>> outcomes) {
      result = std::move(outcomes);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }
  static AckOutcome SettleOne(Subscription& subscription, AckItem::Kind kind, DeliveryId id) {
    const auto outcomes = Settle(subscription, {{.kind = kind, .id = id}});
    EXPECT_TRUE(outcomes.ok()) << outcomes.status();
    return outcomes.ok() ? outcomes->at(0) : AckOutcome::kUnknown;
  }
  static AckOutcome Ack(Subscription& subscription, DeliveryId id) {
    return SettleOne(subscription, AckItem::Kind::kAck, id);
  }
  void Pass(absl::Duration time) {
    clock_.Advance(time);
    watch_.CheckDeadlines();
  }

  FakeClock clock_;
  HeadWatch watch_{clock_};
  Tail tail_{{.max_events = 4}, watch_};
  const std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog(&tail_);
  FailingStore store_{*log_};
  Executor executor_{2};
  std::unique_ptr<SubscriptionRegistry> registry_;
};

TEST_F(SubscriptionTest, TheLeaseIsStoredBeforeTheEventIsHandedOver) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  AppendEvent(*log_);
  const Delivery delivery = receiver->Next();
  const auto stored = log_->LoadSubscription(subscription->id());
  ASSERT_EQ(stored->unsettled.size(), 1u);
  EXPECT_TRUE(stored->unsettled[0].leased);
  EXPECT_EQ(stored->unsettled[0].delivery, delivery.lease.id.number);
  EXPECT_EQ(stored->position.position, 1);
}

TEST_F(SubscriptionTest, TheAckIsStoredBeforeItIsAnswered) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  AppendEvent(*log_);
  EXPECT_EQ(Ack(*subscription, receiver->Next().lease.id), AckOutcome::kOk);
  EXPECT_THAT(log_->LoadSubscription(subscription->id())->unsettled, IsEmpty());
}

TEST_F(SubscriptionTest, NothingComesBeforeTheReceiverIsReadyAgain) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const StreamId stream = Attach(*subscription, receiver);
  AppendEvent(*log_);
  receiver->Next();
  AppendEvent(*log_);
  AppendEvent(*log_);
  ASSERT_TRUE(Settle(*subscription).ok());
  EXPECT_FALSE(receiver->HasMore());
  subscription->Ready(stream);
  EXPECT_EQ(receiver->Next().event->sequence, 2);
  EXPECT_EQ(receiver->Next().event->sequence, 3);
  EXPECT_EQ(receiver->calls(), 2) << "what was due came at once";
}

TEST_F(SubscriptionTest, AReceiverThatIsBehindTheTailReadsFromDisk) {
  for (int i = 0; i < 20; ++i) AppendEvent(*log_);
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  for (Sequence sequence = 1; sequence <= 20; ++sequence) {
    EXPECT_EQ(receiver->Next().event->sequence, sequence);
  }
}

TEST_F(SubscriptionTest, AnEventWhoseDeadlinePassedComesAgainAndItsLateAckHolds) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const StreamId stream = Attach(*subscription, receiver);
  AppendEvent(*log_);
  const Delivery first = receiver->Next();
  subscription->Ready(stream);
  Pass(absl::Seconds(31));  // The deadline; then the back-off.
  ASSERT_TRUE(Settle(*subscription).ok());
  EXPECT_EQ(SettleOne(*subscription, AckItem::Kind::kExtend, first.lease.id),
            AckOutcome::kLeaseLost);
  Pass(absl::Minutes(20));
  const Delivery second = receiver->Next();
  EXPECT_EQ(second.lease.attempt, 2);
  EXPECT_EQ(second.lease.cause, DeliveryCause::kDeadlinePassed);
  EXPECT_EQ(SettleOne(*subscription, AckItem::Kind::kNack, first.lease.id), AckOutcome::kLeaseLost);
  EXPECT_EQ(Ack(*subscription, first.lease.id), AckOutcome::kOk) << "late, and nobody else has";
  EXPECT_EQ(Ack(*subscription, second.lease.id), AckOutcome::kAlready);
}

TEST_F(SubscriptionTest, AnExtendedLeaseHolds) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  AppendEvent(*log_);
  const Delivery delivery = receiver->Next();
  for (int i = 0; i < 5; ++i) {
    Pass(absl::Seconds(29));
    EXPECT_EQ(SettleOne(*subscription, AckItem::Kind::kExtend, delivery.lease.id), AckOutcome::kOk);
  }
  EXPECT_EQ(Ack(*subscription, delivery.lease.id), AckOutcome::kOk);
}

// Somebody held the database's lock for 6.3 s: events reached a consumer whose lease of 5 s was over
// by then, and that had one attempt.
TEST_F(SubscriptionTest, ASlowCommitCostsNoLease) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  store_.Hold();
  AppendEvent(*log_);
  store_.WaitForHeld();
  Pass(absl::Minutes(5));
  store_.Release();
  const Delivery delivery = receiver->Next();
  EXPECT_EQ(delivery.lease.expire_time, clock_.WallNow() + absl::Seconds(30));
  Pass(absl::Seconds(29));
  ASSERT_TRUE(Settle(*subscription).ok());
  EXPECT_EQ(subscription->GetStatus().in_flight, 1);
  EXPECT_EQ(Ack(*subscription, delivery.lease.id), AckOutcome::kOk);
}

// An extension was answered when half of it had passed.
TEST_F(SubscriptionTest, AnExtensionBeginsWhenItIsAnswered) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const StreamId stream = Attach(*subscription, receiver);
  AppendEvent(*log_);
  const Delivery delivery = receiver->Next();
  store_.Hold();
  AppendEvent(*log_);
  subscription->Ready(stream);
  store_.WaitForHeld();
  absl::Notification extended;
  subscription->Settle({{.kind = AckItem::Kind::kExtend, .id = delivery.lease.id}},
                       [&](const absl::StatusOr<std::vector<AckOutcome>>& outcomes) {
                         EXPECT_EQ(outcomes->at(0), AckOutcome::kOk);
                         extended.Notify();
                       });
  Pass(absl::Seconds(29));
  store_.Release();
  extended.WaitForNotification();
  Pass(absl::Seconds(29));
  ASSERT_TRUE(Settle(*subscription).ok());
  EXPECT_EQ(subscription->GetStatus().in_flight, 2);
}

// Why an event was nacked is on the disk alone, until it is delivered again or is looked at.
TEST_F(SubscriptionTest, TheReasonOfANackIsReadWithItsNextDelivery) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const StreamId stream = Attach(*subscription, receiver);
  AppendEvent(*log_);
  const Delivery first = receiver->Next();
  const auto nack = [&](DeliveryId id, NackRequest request) {
    EXPECT_TRUE(Settle(*subscription,
                       {{.kind = AckItem::Kind::kNack, .id = id, .nack = std::move(request)}})
                    .ok());
  };
  nack(first.lease.id, {.reason = "no route", .delay = absl::ZeroDuration()});
  subscription->Ready(stream);
  const Delivery second = receiver->Next();
  EXPECT_EQ(second.lease.nack_reason, "no route");
  nack(second.lease.id, {.reason = "never", .dead_letter = true});
  EXPECT_EQ(subscription->DeadLetters(0, 10)->at(0).nack_reason, "never");
  absl::Notification redriven;
  subscription->Redrive({1}, [&](const auto&) { redriven.Notify(); });
  redriven.WaitForNotification();
  subscription->Ready(stream);
  const Delivery third = receiver->Next();
  EXPECT_EQ(third.lease.cause, DeliveryCause::kRedriven);
  EXPECT_EQ(third.lease.nack_reason, "never");
}

TEST_F(SubscriptionTest, DeadlinesThatPassEndInADeadLetter) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const StreamId stream = Attach(*subscription, receiver);
  AppendEvent(*log_);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    EXPECT_EQ(receiver->Next().lease.attempt, attempt);
    subscription->Ready(stream);
    Pass(absl::Seconds(31));
    ASSERT_TRUE(Settle(*subscription).ok());
    Pass(absl::Minutes(20));
  }
  const std::vector<DeadEvent> dead = subscription->DeadLetters(0, 10).value();
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_EQ(dead[0].attempts, 3);
  EXPECT_EQ(dead[0].cause, DeliveryCause::kDeadlinePassed);
  EXPECT_EQ(subscription->GetBacklog().events, 0);
}

TEST_F(SubscriptionTest, FailedCommitSendsConsumersAwayAndPromisesNothing) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  AppendEvent(*log_);
  const Delivery delivery = receiver->Next();
  store_.Fail(/*writes=*/true, /*loads=*/true);
  const auto outcomes = Settle(*subscription, {{.id = delivery.lease.id}});
  EXPECT_EQ(ReasonOf(outcomes.status()), reason::kStoreUnavailable);
  EXPECT_EQ(ReasonOf(receiver->WaitForEnd()), reason::kStoreUnavailable);
  // As long as the disk fails nobody gets in.
  const auto refused = subscription->Attach("a", {}, false, std::make_shared<FakeReceiver>());
  EXPECT_EQ(ReasonOf(refused.status()), reason::kStoreUnavailable);
  store_.Fail(false, false);
  const auto next = std::make_shared<FakeReceiver>();
  while (!subscription->Attach("a", {}, false, next).ok()) {
  }
  const Delivery again = next->Next();
  EXPECT_EQ(again.event->sequence, 1) << "the ack that failed did not count";
  EXPECT_EQ(again.lease.attempt, 1);
  EXPECT_EQ(Ack(*subscription, again.lease.id), AckOutcome::kOk);
  EXPECT_THAT(log_->LoadSubscription(subscription->id())->unsettled, IsEmpty());
}

// What it had decided meanwhile is not in the store: writing more of it would leave a hole there.
TEST_F(SubscriptionTest, NothingIsWrittenBeforeTheStoredStateHasBeenRead) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  AppendEvent(*log_, {.receive_time = absl::FromUnixSeconds(1)});
  const DeliveryId id = receiver->Next().lease.id;
  store_.Fail(/*writes=*/true, /*loads=*/true);
  EXPECT_FALSE(Settle(*subscription, {{.id = id}}).ok());
  subscription->WaitUntilIdle();
  store_.Fail(/*writes=*/false, /*loads=*/true);
  const int writes = store_.writes();
  ASSERT_TRUE(log_->Trim({absl::FromUnixSeconds(2), absl::FromUnixSeconds(2)}).ok());
  registry_->NoteTrim();
  Pass(absl::Hours(1));
  subscription->WaitUntilIdle();
  EXPECT_EQ(store_.writes(), writes);
  store_.Fail(false, false);
  while (!subscription->Attach("a", {}, false, std::make_shared<FakeReceiver>()).ok()) {
  }
  ASSERT_TRUE(Settle(*subscription).ok());
  EXPECT_EQ(subscription->GetBacklog().lost, 1);
}

TEST_F(SubscriptionTest, NoDeliveryLeavesWhenItsLeaseCannotBeStored) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  ASSERT_TRUE(Settle(*subscription).ok());
  store_.Fail(/*writes=*/true, /*loads=*/true);
  AppendEvent(*log_);
  EXPECT_EQ(ReasonOf(receiver->WaitForEnd()), reason::kStoreUnavailable);
  EXPECT_FALSE(receiver->HasMore());
}

TEST_F(SubscriptionTest, WhatWasOwedIsOwedAfterARestart) {
  const auto before = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const StreamId stream = Attach(*before, receiver);
  for (int i = 0; i < 3; ++i) AppendEvent(*log_);
  std::vector<DeliveryId> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(receiver->Next().lease.id);
    before->Ready(stream);
  }
  EXPECT_EQ(Ack(*before, ids[1]), AckOutcome::kOk);
  OpenRegistry();
  const auto after = *registry_->Find("billing");
  const auto next = std::make_shared<FakeReceiver>();
  const StreamId next_stream = Attach(*after, next);
  std::vector<Sequence> sequences;
  for (int i = 0; i < 2; ++i) {
    const Delivery delivery = next->Next();
    EXPECT_EQ(delivery.lease.attempt, 1);
    EXPECT_EQ(delivery.lease.cause, DeliveryCause::kGatewayRestarted);
    sequences.push_back(delivery.event->sequence);
    after->Ready(next_stream);
  }
  EXPECT_THAT(sequences, ElementsAre(1, 3));
  EXPECT_EQ(Ack(*after, ids[0]), AckOutcome::kOk) << "of a delivery before the restart";
}

TEST_F(SubscriptionTest, WhatRetentionTakesIsCountedAndLeavesNoHole) {
  for (int64_t second = 1; second <= 10; ++second) {
    AppendEvent(*log_, {.receive_time = absl::FromUnixSeconds(second)});
  }
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver, /*max_messages=*/2);
  EXPECT_EQ(receiver->Next().event->sequence, 1);
  EXPECT_EQ(receiver->Next().event->sequence, 2);
  ASSERT_TRUE(log_->Trim({absl::FromUnixSeconds(6), absl::FromUnixSeconds(6)}).ok());
  registry_->NoteTrim();
  ASSERT_TRUE(Settle(*subscription).ok());
  EXPECT_EQ(subscription->GetBacklog().lost, 5) << "two that were taken, three that were not";
  EXPECT_EQ(subscription->GetBacklog().events, 5);
  EXPECT_EQ(log_->LoadSubscription(subscription->id())->position.lost, 5);
}

TEST_F(SubscriptionTest, WhatWasRemovedBeforeItsFirstConsumerIsLost) {
  AppendEvent(*log_, {.receive_time = absl::FromUnixSeconds(1)});
  for (int i = 0; i < 10; ++i) AppendEvent(*log_);
  const auto subscription = Create("batch_2");  // No event's subject: nothing is delivered.
  ASSERT_TRUE(log_->Trim({absl::FromUnixSeconds(2), absl::FromUnixSeconds(2)}).ok());
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  ASSERT_TRUE(Settle(*subscription).ok());
  EXPECT_EQ(subscription->GetBacklog().lost, 1);
  EXPECT_EQ(subscription->GetBacklog().events, 0) << "the rest was looked at, and did not match";
}

TEST_F(SubscriptionTest, BacklogTellsTheAgeOfTheOldest) {
  const auto subscription = Create();
  EXPECT_FALSE(subscription->GetBacklog().oldest_unacked_age.has_value());
  AppendEvent(*log_, {.receive_time = clock_.WallNow() - absl::Minutes(5)});
  AppendEvent(*log_, {.receive_time = clock_.WallNow()});
  EXPECT_EQ(subscription->GetBacklog().oldest_unacked_age, absl::Minutes(5));
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  const DeliveryId id = receiver->Next().lease.id;
  EXPECT_EQ(subscription->GetBacklog().oldest_unacked_age, absl::Minutes(5));
  EXPECT_EQ(Ack(*subscription, id), AckOutcome::kOk);
  EXPECT_EQ(subscription->GetBacklog().oldest_unacked_age, absl::ZeroDuration());
}

TEST_F(SubscriptionTest, DeletionEndsItsReceiversAndAnswersItsCalls) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  ASSERT_TRUE(registry_->Delete("billing").ok());
  EXPECT_EQ(ReasonOf(receiver->WaitForEnd()), reason::kSubscriptionNotFound);
  EXPECT_EQ(ReasonOf(Settle(*subscription).status()), reason::kSubscriptionNotFound);
  EXPECT_EQ(ReasonOf(registry_->Find("billing").status()), reason::kSubscriptionNotFound);
  EXPECT_EQ(ReasonOf(registry_->Delete("billing")), reason::kSubscriptionNotFound);
}

TEST_F(SubscriptionTest, ThePositionMovesOverWhatDoesNotMatch) {
  const auto subscription = Create("batch_2");
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  for (int i = 0; i < 6; ++i) AppendEvent(*log_);
  AppendEvent(*log_, {.subject = "batch_2"});
  EXPECT_EQ(receiver->Next().event->sequence, 7);
  EXPECT_EQ(subscription->GetStatus().position, 7);
}

}  // namespace
}  // namespace hookgate
