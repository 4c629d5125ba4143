#include "server/delivery/subscription.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <set>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/subscription_registry.h"
#include "tests/support/await_outcome.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_clock.h"
#include "tests/support/held_log.h"
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
  void CreateSubscription(const std::string& name, const std::string& settings,
                          absl::Time create_time, Sequence position, IdDone done) override {
    log_.CreateSubscription(name, settings, create_time, position, std::move(done));
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
  void DeleteSubscription(int64_t id, absl::optional<int64_t> etag, Done done) override {
    log_.DeleteSubscription(id, etag, std::move(done));
  }
  absl::StatusOr<std::vector<DeadEvent>> LoadDeadLetters(int64_t id, Sequence after,
                                                         size_t max) override {
    return log_.LoadDeadLetters(id, after, max);
  }
  absl::StatusOr<std::vector<std::string>> LoadNackReasons(
      int64_t id, const std::vector<Sequence>& sequences) override {
    return log_.LoadNackReasons(id, sequences);
  }
  absl::StatusOr<std::vector<StoredExplanation>> ExplainEvent(
      Sequence sequence, const std::vector<int64_t>& ids) override {
    return log_.ExplainEvent(sequence, ids);
  }
  absl::StatusOr<DeliveryScanPage> ScanDeliveries(int64_t id, const DeliveryScan& scan) override {
    return log_.ScanDeliveries(id, scan);
  }
  size_t EventsPerWrite() const override { return events_per_write_; }

  void SetEventsPerWrite(size_t events) { events_per_write_ = events; }
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
  std::atomic<size_t> events_per_write_ = kMostEventsPerWrite;
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
    largest_ = std::max(largest_, deliveries.size());
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
  // Of what came at once.
  size_t largest() {
    absl::MutexLock lock(&mu_);
    return largest_;
  }

 private:
  absl::Mutex mu_;
  std::deque<Delivery> deliveries_ ABSL_GUARDED_BY(mu_);
  absl::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  int calls_ ABSL_GUARDED_BY(mu_) = 0;
  size_t largest_ ABSL_GUARDED_BY(mu_) = 0;
};

class SubscriptionTest : public testing::Test {
 protected:
  SubscriptionTest() {
    tail_.StartAfter(0);
    OpenRegistry();
  }

  void OpenRegistry() {
    registry_.reset();
    auto registry =
        SubscriptionRegistry::Open({store_, held_, tail_, watch_, executor_, reads_, clock_});
    ASSERT_TRUE(registry.ok()) << registry.status();
    registry_ = *std::move(registry);
  }
  // Of events about `subject` alone, if it is given.
  std::shared_ptr<Subscription> Create(const std::string& subject = "",
                                       const std::string& name = "billing") {
    hookgate::v1::SubscriptionSettings proto;
    proto.set_max_attempts(3);
    if (!subject.empty()) proto.mutable_filter()->add_subjects(subject);
    const auto settings = SubscriptionSettings::FromProto(proto, "settings");
    EXPECT_TRUE(settings.ok()) << settings.status();
    const auto created = AwaitOutcome<absl::StatusOr<std::shared_ptr<Subscription>>>(
        [&](auto done) { registry_->Create(name, *settings, 0, std::move(done)); });
    EXPECT_TRUE(created.ok()) << created.status();
    return *created;
  }
  absl::Status Delete(const std::string& name) {
    return AwaitOutcome<absl::Status>([&](auto done) { registry_->Delete(name, std::move(done)); });
  }
  static AttachmentId Attach(Subscription& subscription,
                             const std::shared_ptr<FakeReceiver>& receiver,
                             int64_t max_messages = 100, bool include_raw_body = false) {
    const auto stream =
        subscription.Attach("a", {.max_messages = max_messages}, include_raw_body, receiver);
    EXPECT_TRUE(stream.ok()) << stream.status();
    return stream.value_or(0);
  }
  // Also makes sure that all that was asked for before has been carried out. The turn that answers
  // may have looked at the clock before the call; see LookAtClock.
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
  // Until a turn has begun after this call, and has been through. A turn that had looked at the
  // clock before may answer the first of two, but never both.
  static void LookAtClock(Subscription& subscription) {
    for (int i = 0; i < 2; ++i) {
      const auto settled = Settle(subscription);
      EXPECT_TRUE(settled.ok()) << settled.status();
    }
  }
  static AckOutcome SettleOne(Subscription& subscription, AckItem::Kind kind, DeliveryId id) {
    const auto outcomes = Settle(subscription, {{.kind = kind, .id = id}});
    EXPECT_TRUE(outcomes.ok()) << outcomes.status();
    return outcomes.ok() ? outcomes->at(0) : AckOutcome::kUnknown;
  }
  static bool SeekTo(Subscription& subscription, Sequence position) {
    return AwaitOutcome<absl::StatusOr<Subscription::Decided>>(
               [&](auto done) { subscription.Seek(position, std::move(done)); })
        .ok();
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
  HeldLog held_{*log_};
  ReadQueue reads_{1, 4};
  Executor executor_{1};
  std::unique_ptr<SubscriptionRegistry> registry_;
};

// Whether there is nothing for `stream`; false: something came instead.
bool IsToldNone(Subscription& subscription, AttachmentId stream, FakeReceiver& receiver) {
  absl::Notification told;
  subscription.TellIfNone(stream, [&](const absl::Status& status) {
    EXPECT_TRUE(status.ok()) << status;
    told.Notify();
  });
  EXPECT_TRUE(Eventually("none is told, or an event is there",
                         [&] { return told.HasBeenNotified() || receiver.HasMore(); }));
  return told.HasBeenNotified();
}

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

// While webhooks come, a transaction held 512 leases and 512 acks of one subscription, and each
// webhook waited for one of them.
TEST_F(SubscriptionTest, AWriteIsAboutAsManyEventsAsTheLogSays) {
  const auto subscription = Create();
  for (int i = 0; i < 11; ++i) AppendEvent(*log_);  // The tail has the last four.
  store_.SetEventsPerWrite(3);
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*subscription, receiver);
  for (Sequence sequence = 1; sequence <= 11; ++sequence) {
    const Delivery delivery = receiver->Next();
    ASSERT_NE(delivery.event, nullptr);
    EXPECT_EQ(delivery.event->sequence, sequence);
    if (!receiver->HasMore()) subscription->Ready(stream);
  }
  EXPECT_EQ(receiver->largest(), 3u);
}

TEST_F(SubscriptionTest, TheAckIsStoredBeforeItIsAnswered) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  AppendEvent(*log_);
  EXPECT_EQ(Ack(*subscription, receiver->Next().lease.id), AckOutcome::kOk);
  EXPECT_THAT(log_->LoadSubscription(subscription->id())->unsettled, IsEmpty());
}

// P12: one state an event, and why, from the first look on until a restart and beyond.
TEST_F(SubscriptionTest, ExplainFollowsAnEventThroughItsLife) {
  const auto subscription = Create();
  const auto state = [&](Sequence sequence) {
    const absl::StatusOr<StoredEventPtr> event = log_->Get(sequence);
    const auto explained = subscription->Explain(sequence, event.ok() ? event->get() : nullptr);
    EXPECT_TRUE(explained.ok()) << explained.status();
    return explained.ok() ? explained->state : DeliveryState::kNotRemembered;
  };
  for (int i = 0; i < 4; ++i) AppendEvent(*log_);
  EXPECT_EQ(state(1), DeliveryState::kNotReached);
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*subscription, receiver, /*max_messages=*/2);
  const Delivery first = receiver->Next();
  const Delivery second = receiver->Next();
  EXPECT_EQ(state(1), DeliveryState::kLeased);
  EXPECT_EQ(state(3), DeliveryState::kNotReached);
  EXPECT_EQ(Ack(*subscription, first.lease.id), AckOutcome::kOk);
  EXPECT_EQ(state(1), DeliveryState::kAcked);
  const auto acked = subscription->Explain(1, nullptr);
  EXPECT_EQ(acked->consumer, "a");
  EXPECT_EQ(acked->attempt, 1);
  EXPECT_EQ(acked->state_time, clock_.WallNow());
  subscription->Detach(stream, DeliveryCause::kStreamEnded, /*keep_leases=*/false);
  ASSERT_TRUE(Settle(*subscription).ok());
  EXPECT_EQ(state(2), DeliveryState::kWaiting);
  EXPECT_EQ(subscription->Explain(2, nullptr)->last_end, DeliveryEnd::kStreamEnded);
  ASSERT_TRUE(SeekTo(*subscription, 3));
  EXPECT_EQ(state(2), DeliveryState::kSkipped) << "it was waiting";
  EXPECT_EQ(state(3), DeliveryState::kSkipped) << "it had not been read";
  EXPECT_EQ(state(1), DeliveryState::kAcked);

  // What its filter refuses, it passes without a word; also before that is stored.
  v1::SubscriptionSettings proto;
  proto.mutable_filter()->add_types("video.*");
  ASSERT_TRUE(AwaitOutcome<absl::StatusOr<Subscription::Decided>>([&](auto done) {
                subscription->Update(
                    [&](const auto&) { return SubscriptionSettings::FromProto(proto, "settings"); },
                    std::move(done));
              }).ok());
  const auto last = subscription->Explain(4, log_->Get(4)->get());
  EXPECT_EQ(last->state, DeliveryState::kNotReached);
  EXPECT_EQ(last->filtered_by, FilterList::kTypes) << "nor will it be delivered";
  const AttachmentId again = Attach(*subscription, receiver);
  EXPECT_TRUE(IsToldNone(*subscription, again, *receiver));
  EXPECT_EQ(state(4), DeliveryState::kFiltered);

  const auto all = registry_->Explain(1, nullptr, {subscription, Create("", "other")});
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].state, DeliveryState::kAcked);
  EXPECT_EQ((*all)[1].state, DeliveryState::kNotReached);
}

// A filter that admits nothing of a million events must not keep a thread for a million.
TEST_F(SubscriptionTest, APageOfDeliveriesEndsAfterSoManyEventsThatWereLookedAt) {
  const auto subscription = Create();
  auto changes = std::make_unique<SubscriptionChanges>();
  for (Sequence sequence = 1; sequence <= 1500; ++sequence) {
    changes->history.push_back({.sequence = sequence, .outcome = DeliveryOutcome::kAcked});
  }
  EXPECT_TRUE(AwaitOutcome<absl::Status>([&](auto done) {
                log_->WriteSubscription(subscription->id(), std::move(changes), std::move(done));
              }).ok());
  DeliveryQuery query{.reason_contains = "nothing has this"};
  const auto first = subscription->ListDeliveries(query);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->deliveries, IsEmpty());
  EXPECT_EQ(first->next, 1500 - 1024 + 1);
  query.after = first->next;
  const auto second = subscription->ListDeliveries(query);
  EXPECT_THAT(second->deliveries, IsEmpty());
  EXPECT_FALSE(second->next.has_value());
  query = {.newest_first = false, .max_events = 2};
  const auto page = subscription->ListDeliveries(query);
  ASSERT_EQ(page->deliveries.size(), 2u);
  EXPECT_EQ(page->deliveries[1].sequence, 2);
  EXPECT_EQ(page->next, 2);
}

TEST_F(SubscriptionTest, NothingComesBeforeTheReceiverIsReadyAgain) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*subscription, receiver);
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
  const AttachmentId stream = Attach(*subscription, receiver);
  AppendEvent(*log_);
  const Delivery first = receiver->Next();
  subscription->Ready(stream);
  Pass(absl::Seconds(31));  // The deadline; then the back-off.
  LookAtClock(*subscription);
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

// Somebody held the database's lock for 6.3 s: events reached a consumer whose lease of 5 s was
// over by then, and that had one attempt.
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
  LookAtClock(*subscription);
  EXPECT_EQ(subscription->GetStatus().in_flight, 1);
  EXPECT_EQ(Ack(*subscription, delivery.lease.id), AckOutcome::kOk);
}

// An extension was answered when half of it had passed.
TEST_F(SubscriptionTest, AnExtensionBeginsWhenItIsAnswered) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*subscription, receiver);
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
  LookAtClock(*subscription);
  EXPECT_EQ(subscription->GetStatus().in_flight, 2);
}

// Why an event was nacked is on the disk alone, until it is delivered again or is looked at.
TEST_F(SubscriptionTest, TheReasonOfANackIsReadWithItsNextDelivery) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*subscription, receiver);
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
  const AttachmentId stream = Attach(*subscription, receiver);
  AppendEvent(*log_);
  for (int attempt = 1; attempt <= 3; ++attempt) {
    EXPECT_EQ(receiver->Next().lease.attempt, attempt);
    subscription->Ready(stream);
    Pass(absl::Seconds(31));
    LookAtClock(*subscription);
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
  ASSERT_TRUE(Eventually("a stream is let in",
                         [&] { return subscription->Attach("a", {}, false, next).ok(); }));
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
  ASSERT_TRUE(log_->Trim({1, 1}).ok());
  registry_->NoteTrim();
  Pass(absl::Hours(1));
  subscription->WaitUntilIdle();
  EXPECT_EQ(store_.writes(), writes);
  store_.Fail(false, false);
  ASSERT_TRUE(Eventually("a stream is let in", [&] {
    return subscription->Attach("a", {}, false, std::make_shared<FakeReceiver>()).ok();
  }));
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
  const AttachmentId stream = Attach(*before, receiver);
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
  const AttachmentId next_stream = Attach(*after, next);
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

// Another process decides for a while: what was owed stays owed, nothing counts as an attempt, and
// nobody is told that there is no such subscription.
TEST_F(SubscriptionTest, WhatWasOwedIsOwedAfterASuspension) {
  const auto before = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*before, receiver);
  for (int i = 0; i < 2; ++i) AppendEvent(*log_);
  const DeliveryId first = receiver->Next().lease.id;
  before->Ready(stream);
  EXPECT_EQ(receiver->Next().event->sequence, 2);
  EXPECT_EQ(Ack(*before, first), AckOutcome::kOk);

  const absl::Status why =
      ErrorWithReason(absl::StatusCode::kUnavailable, reason::kNoLeader, "another one leads");
  registry_->Suspend(why);
  EXPECT_EQ(receiver->WaitForEnd(), why);
  EXPECT_EQ(registry_->Find("billing").status(), why);
  EXPECT_EQ(registry_->Find("unheard of").status(), why);
  EXPECT_THAT(registry_->List("", 10), IsEmpty());
  EXPECT_EQ(Delete("billing"), why);
  const auto settings = SubscriptionSettings::FromProto({}, "settings");
  EXPECT_EQ(AwaitOutcome<absl::StatusOr<std::shared_ptr<Subscription>>>([&](auto done) {
              registry_->Create("another", *settings, 0, std::move(done));
            }).status(),
            why);
  EXPECT_EQ(Settle(*before).status(), why) << "whoever holds it still";
  AppendEvent(*log_);

  ASSERT_TRUE(registry_->Resume().ok());
  const auto after = *registry_->Find("billing");
  EXPECT_NE(after, before);
  const auto next = std::make_shared<FakeReceiver>();
  const AttachmentId next_stream = Attach(*after, next);
  for (const Sequence sequence : {2, 3}) {
    const Delivery delivery = next->Next();
    ASSERT_NE(delivery.event, nullptr);
    EXPECT_EQ(delivery.event->sequence, sequence);
    EXPECT_EQ(delivery.lease.attempt, 1);
    after->Ready(next_stream);
  }
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
  ASSERT_TRUE(log_->Trim({5, 5}).ok());
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
  ASSERT_TRUE(log_->Trim({1, 1}).ok());
  const auto receiver = std::make_shared<FakeReceiver>();
  EXPECT_TRUE(IsToldNone(*subscription, Attach(*subscription, receiver), *receiver));
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

// It was looked up when somebody first asked: the first scrape after a restart lacked it, and an
// alert that had held began to wait again.
TEST_F(SubscriptionTest, TheFirstScrapeAfterARestartKnowsTheAgeOfTheOldest) {
  Create();
  AppendEvent(*log_, {.receive_time = clock_.WallNow() - absl::Minutes(5)});
  registry_.reset();
  MetricRegistry metrics;
  SubscriptionMetricsPool pool({}, metrics);
  auto registry = SubscriptionRegistry::Open(
      {store_, held_, tail_, watch_, executor_, reads_, clock_, {}, &pool});
  ASSERT_TRUE(registry.ok()) << registry.status();
  const auto subscription = *(*registry)->Find("billing");
  subscription->WaitUntilIdle();  // What it looks up in the background is known then.
  EXPECT_EQ(subscription->GetGauges(1)->oldest_unacked_age, absl::Minutes(5));
}

TEST_F(SubscriptionTest, DeletionEndsItsReceiversAndAnswersItsCalls) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  ASSERT_TRUE(Delete("billing").ok());
  EXPECT_EQ(ReasonOf(receiver->WaitForEnd()), reason::kSubscriptionNotFound);
  EXPECT_EQ(ReasonOf(Settle(*subscription).status()), reason::kSubscriptionNotFound);
  EXPECT_EQ(ReasonOf(registry_->Find("billing").status()), reason::kSubscriptionNotFound);
  EXPECT_EQ(ReasonOf(Delete("billing")), reason::kSubscriptionNotFound);
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

// One subscription whose filter admitted nothing read to the head in one turn: on a million events
// another consumer got nothing for 64 s.
TEST_F(SubscriptionTest, NobodyWaitsForWhatAnotherOneReads) {
  for (int i = 0; i < 10; ++i) AppendEvent(*log_);
  held_.Hold();
  const auto narrow = Create("batch_2", "narrow");
  const auto nothing = std::make_shared<FakeReceiver>();
  const AttachmentId waits = Attach(*narrow, nothing);
  held_.AwaitReader();
  const auto other = Create();
  ASSERT_TRUE(SeekTo(*other, 10));
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*other, receiver);
  AppendEvent(*log_);
  EXPECT_EQ(Ack(*other, receiver->Next().lease.id), AckOutcome::kOk);
  // Nor does it wait itself, with anything but what it reads.
  EXPECT_EQ(narrow->GetBacklog().events, 11);
  EXPECT_TRUE(Settle(*narrow).ok());
  EXPECT_TRUE(SeekTo(*narrow, 11));
  narrow->Detach(waits, DeliveryCause::kStreamEnded, /*keep_leases=*/false);
  held_.Release();
}

TEST_F(SubscriptionTest, WhoReadsMuchReadsAPageAndThenItIsTheNextOnesTurn) {
  std::atomic<int> stored = 0;
  for (int i = 0; i < 2500; ++i) {
    auto event = std::make_unique<StoredEvent>();
    event->source = "openai";
    event->webhook_id = std::to_string(i);
    log_->Append(std::move(event), [&](const absl::StatusOr<AppendResult>&) { ++stored; });
  }
  ASSERT_TRUE(Eventually("all are stored", [&] { return stored == 2500; }));
  held_.Hold();
  const auto one = Create("batch_2", "one");
  const auto two = Create("batch_2", "two");
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream_of_one = Attach(*one, receiver);
  held_.AwaitReader();
  const AttachmentId stream_of_two = Attach(*two, receiver);
  ASSERT_TRUE(Settle(*two).ok());  // A turn, after which it waits to read.
  held_.Release();
  EXPECT_TRUE(IsToldNone(*one, stream_of_one, *receiver));
  EXPECT_TRUE(IsToldNone(*two, stream_of_two, *receiver));
  std::vector<Sequence> reads;
  for (const HeldLog::ReadCall& read : held_.reads()) {
    EXPECT_LE(read.limits.max_scanned, 1024);
    reads.push_back(read.after);
  }
  EXPECT_THAT(reads, ElementsAre(0, 0, 1024, 1024, 2048, 2048));
}

// 2,000 events of 1 MB that a client without raw bodies had not acked were read with their bodies,
// all at once, when it came back: 1.9 GB.
TEST_F(SubscriptionTest, WhatComesAgainIsReadWithoutBodiesThatNobodyAskedFor) {
  const auto subscription = Create();
  const auto before = std::make_shared<FakeReceiver>();
  const AttachmentId gone = Attach(*subscription, before);
  for (int i = 0; i < 10; ++i) AppendEvent(*log_, {.raw_body = std::string(200'000, ' ')});
  for (int i = 0; i < 10; ++i) {
    before->Next();
    subscription->Ready(gone);
  }
  subscription->Detach(gone, DeliveryCause::kStreamEnded, /*keep_leases=*/false);
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*subscription, receiver);
  for (Sequence sequence = 1; sequence <= 10; ++sequence) {
    EXPECT_EQ(receiver->Next().event->sequence, sequence);
    subscription->Ready(stream);
  }
  for (const HeldLog::ReadCall& read : held_.reads()) {
    EXPECT_FALSE(read.limits.include_raw_body);
  }
}

// They came to a client that wanted bodies as one frame of 10 MB, because they were counted as
// they had been sent without.
TEST_F(SubscriptionTest, WhatWasTakenWithoutBodiesComesWithThemInFramesOfTheUsualSize) {
  const auto subscription = Create();
  const auto before = std::make_shared<FakeReceiver>();
  const AttachmentId gone = Attach(*subscription, before);
  for (int i = 0; i < 10; ++i) AppendEvent(*log_, {.raw_body = std::string(100'000, ' ')});
  for (int i = 0; i < 10; ++i) {
    before->Next();
    subscription->Ready(gone);
  }
  subscription->Detach(gone, DeliveryCause::kStreamEnded, /*keep_leases=*/false);
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*subscription, receiver, 100, /*include_raw_body=*/true);
  for (Sequence sequence = 1; sequence <= 10; ++sequence) {
    const Delivery delivery = receiver->Next();
    EXPECT_EQ(delivery.event->sequence, sequence);
    EXPECT_EQ(delivery.event->raw_body.size(), 100'000u);
    subscription->Ready(stream);
  }
  EXPECT_EQ(receiver->largest(), 2u) << "events of 100 kB, of 256 KiB";
  EXPECT_GT(subscription->GetStatus().consumers[0].bytes, 1'000'000);
}

TEST_F(SubscriptionTest, NoneIsSaidWhenThereIsNothing) {
  for (int i = 0; i < 10; ++i) AppendEvent(*log_);
  const auto narrow = Create("batch_2", "narrow");
  const auto nothing = std::make_shared<FakeReceiver>();
  EXPECT_TRUE(IsToldNone(*narrow, Attach(*narrow, nothing), *nothing));
  EXPECT_EQ(narrow->GetStatus().position, 10) << "all of it was looked at";
  const auto subscription = Create();
  EXPECT_TRUE(
      IsToldNone(*subscription, Attach(*subscription, nothing, /*max_messages=*/0), *nothing))
      << "it takes nothing";
}

// 2.9 % of pulls without `wait` were told "none" with 29,000 events waiting.
TEST_F(SubscriptionTest, NoneIsNotSaidWhileEventsWait) {
  constexpr int kEvents = 200;
  for (int i = 0; i < kEvents; ++i) AppendEvent(*log_);
  const auto subscription = Create();
  std::atomic<int> taken = 0;
  std::vector<std::thread> pullers;
  for (int i = 0; i < 4; ++i) {
    pullers.emplace_back([&, name = std::to_string(i)] {
      while (taken < kEvents) {
        const auto receiver = std::make_shared<FakeReceiver>();
        const auto stream = subscription->Attach(name, {.max_messages = 5}, false, receiver);
        ASSERT_TRUE(stream.ok()) << stream.status();
        const int before = taken;
        const bool none = IsToldNone(*subscription, *stream, *receiver);
        std::vector<AckItem> acks;
        while (receiver->HasMore()) acks.push_back({.id = receiver->Next().lease.id});
        // The others may have taken the rest: up to five each.
        EXPECT_TRUE(!none || before >= kEvents - 20) << before << " were taken";
        subscription->Detach(*stream, DeliveryCause::kStreamEnded, /*keep_leases=*/true);
        ASSERT_TRUE(Settle(*subscription, acks).ok());
        taken += static_cast<int>(acks.size());
      }
    });
  }
  for (std::thread& puller : pullers) puller.join();
}

TEST_F(SubscriptionTest, TheAgeOfTheOldestIsLookedUpBesideHeartbeats) {
  AppendEvent(*log_, {.receive_time = clock_.WallNow() - absl::Minutes(5)});
  for (int i = 0; i < 10; ++i) AppendEvent(*log_, {.receive_time = clock_.WallNow()});
  const auto subscription = Create();
  held_.Hold();
  EXPECT_EQ(subscription->GetBacklog().events, 11);
  held_.AwaitReader();
  EXPECT_FALSE(subscription->GetBacklog().oldest_unacked_age.has_value()) << "nor did it wait";
  held_.Release();
  ASSERT_TRUE(Eventually("the age is known", [&] {
    return subscription->GetBacklog().oldest_unacked_age.has_value();
  }));
  EXPECT_EQ(subscription->GetBacklog().oldest_unacked_age, absl::Minutes(5));
  EXPECT_EQ(subscription->ReadBacklog().oldest_unacked_age, absl::Minutes(5));
}

// --- What operators change. ---

using Decided = absl::StatusOr<Subscription::Decided>;

Decided PauseOrResume(Subscription& subscription, bool pause, const std::string& etag = "") {
  return AwaitOutcome<Decided>([&](auto done) {
    if (pause) {
      subscription.Pause(std::move(done), etag);
    } else {
      subscription.Resume(std::move(done), etag);
    }
  });
}

Decided SetMaxAttempts(Subscription& subscription, int max_attempts, const std::string& etag) {
  const auto change = [&](hookgate::v1::SubscriptionSettings settings) {
    settings.set_max_attempts(max_attempts);
    return SubscriptionSettings::FromProto(settings, "settings");
  };
  return AwaitOutcome<Decided>(
      [&](auto done) { subscription.Update(change, std::move(done), etag); });
}

TEST_F(SubscriptionTest, APauseHoldsBackWhatComesAndOutlivesARestart) {
  auto subscription = Create();
  auto receiver = std::make_shared<FakeReceiver>();
  AttachmentId stream = Attach(*subscription, receiver);
  AppendEvent(*log_);
  const Delivery before = receiver->Next();
  subscription->Ready(stream);
  ASSERT_TRUE(PauseOrResume(*subscription, true).ok());
  AppendEvent(*log_);
  LookAtClock(*subscription);
  EXPECT_FALSE(receiver->HasMore());
  EXPECT_TRUE(IsToldNone(*subscription, stream, *receiver)) << "who asks does not wait for ever";
  EXPECT_EQ(Ack(*subscription, before.lease.id), AckOutcome::kOk);
  EXPECT_EQ(subscription->GetStatus().pause_time, clock_.WallNow());
  EXPECT_EQ(subscription->GetBacklog().events, 1);
  const std::string etag = subscription->GetStatus().etag;
  ASSERT_TRUE(PauseOrResume(*subscription, true).ok());
  EXPECT_EQ(subscription->GetStatus().etag, etag) << "it was paused already";
  subscription.reset();
  OpenRegistry();
  subscription = *registry_->Find("billing");
  EXPECT_EQ(subscription->GetStatus().etag, etag);
  receiver = std::make_shared<FakeReceiver>();
  stream = Attach(*subscription, receiver);
  EXPECT_TRUE(IsToldNone(*subscription, stream, *receiver));
  ASSERT_TRUE(PauseOrResume(*subscription, false).ok());
  EXPECT_EQ(receiver->Next().event->sequence, 2);
  EXPECT_FALSE(subscription->GetStatus().pause_time.has_value());
}

TEST_F(SubscriptionTest, APauseThatCouldNotBeStoredIsNone) {
  const auto subscription = Create();
  store_.Fail(/*writes=*/true, /*loads=*/false);
  EXPECT_EQ(ReasonOf(PauseOrResume(*subscription, true).status()), reason::kStoreUnavailable);
  store_.Fail(/*writes=*/false, /*loads=*/false);
  ASSERT_TRUE(Eventually("the store is well again", [&] { return Settle(*subscription).ok(); }));
  EXPECT_FALSE(subscription->GetStatus().pause_time.has_value());
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  AppendEvent(*log_);
  EXPECT_EQ(receiver->Next().event->sequence, 1);
}

// Two operators looked at it, and the second one's change undid the first one's.
TEST_F(SubscriptionTest, WhatWasDecidedOnWhatIsNoLongerTrueIsRefused) {
  const auto subscription = Create();
  std::string seen = subscription->GetStatus().etag;
  ASSERT_TRUE(SetMaxAttempts(*subscription, 7, seen).ok());
  for (const Decided& second :
       {SetMaxAttempts(*subscription, 9, seen), PauseOrResume(*subscription, true, seen),
        AwaitOutcome<Decided>([&](auto done) { subscription->Seek(0, std::move(done), seen); })}) {
    EXPECT_EQ(second.status().code(), absl::StatusCode::kAborted);
    EXPECT_EQ(ReasonOf(second.status()), reason::kEtagMismatch);
    EXPECT_EQ(MetadataOf(second.status())["etag"], subscription->GetStatus().etag);
  }
  EXPECT_EQ(subscription->GetStatus().settings.max_attempts(), 7);
  const auto remove = [&](const std::string& etag) {
    return AwaitOutcome<absl::Status>(
        [&](auto done) { registry_->Delete("billing", std::move(done), etag); });
  };
  EXPECT_EQ(ReasonOf(remove(seen)), reason::kEtagMismatch);
  // Each change has an etag of its own, also one that goes back to what was.
  std::set<std::string> etags = {seen};
  for (int i = 0; i < 3; ++i) {
    seen = subscription->GetStatus().etag;
    EXPECT_TRUE(etags.insert(seen).second);
    ASSERT_TRUE(SetMaxAttempts(*subscription, i % 2 == 0 ? 9 : 7, seen).ok());
  }
  // One that changes nothing keeps it.
  seen = subscription->GetStatus().etag;
  ASSERT_TRUE(SetMaxAttempts(*subscription, 9, seen).ok());
  EXPECT_EQ(subscription->GetStatus().etag, seen);
  EXPECT_TRUE(remove(subscription->GetStatus().etag).ok());
  EXPECT_NE(Create()->GetStatus().etag.substr(0, 2), seen.substr(0, 2))
      << "a successor is another one";
}

TEST_F(SubscriptionTest, WhatConsumersDoIsNoChangeOfAnOperator) {
  const auto subscription = Create();
  const std::string etag = subscription->GetStatus().etag;
  const auto receiver = std::make_shared<FakeReceiver>();
  Attach(*subscription, receiver);
  AppendEvent(*log_);
  EXPECT_EQ(Ack(*subscription, receiver->Next().lease.id), AckOutcome::kOk);
  EXPECT_EQ(subscription->GetStatus().etag, etag);
}

// --- Bulk jobs. ---

using hookgate::v1::Job;

Job AllEvents() {
  Job job;
  job.set_kind(Job::KIND_REDELIVER_EVENTS);
  job.mutable_events()->mutable_start_time();  // the epoch
  return job;
}

absl::StatusOr<Job> Start(Subscription& subscription, const Job& job) {
  return AwaitOutcome<absl::StatusOr<Job>>(
      [&](auto done) { subscription.StartJob(job, std::move(done)); });
}

// Once it has ended.
Job AwaitEnd(Subscription& subscription, int64_t id) {
  absl::StatusOr<Job> job;
  EXPECT_TRUE(Eventually("the job has ended", [&] {
    job = subscription.FindJob(id);
    return !job.ok() || job->state() != Job::STATE_RUNNING;
  }));
  return job.value_or(Job());
}

TEST_F(SubscriptionTest, AJobDeliversPastEventsAgainAndMovesNothing) {
  const auto subscription = Create();
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*subscription, receiver);
  for (Sequence sequence = 1; sequence <= 3; ++sequence) {
    AppendEvent(*log_);
    const Delivery delivery = receiver->Next();
    subscription->Ready(stream);
    EXPECT_EQ(Ack(*subscription, delivery.lease.id), AckOutcome::kOk);
  }
  const auto preview = subscription->PreviewJob(AllEvents());
  ASSERT_TRUE(preview.ok()) << preview.status();
  EXPECT_EQ(preview->count(), 3);
  EXPECT_FALSE(preview->count_truncated());
  EXPECT_THAT(preview->first_sequences(), ElementsAre(1, 2, 3));
  EXPECT_FALSE(receiver->HasMore());
  const auto job = Start(*subscription, AllEvents());
  ASSERT_TRUE(job.ok()) << job.status();
  std::set<Sequence> again;
  while (again.size() < 3) {
    const Delivery delivery = receiver->Next();
    ASSERT_NE(delivery.event, nullptr);
    EXPECT_EQ(delivery.lease.cause, DeliveryCause::kReplayed);
    again.insert(delivery.event->sequence);
    subscription->Ready(stream);
  }
  const Job ended = AwaitEnd(*subscription, job->job_id());
  EXPECT_EQ(ended.state(), Job::STATE_SUCCEEDED);
  EXPECT_EQ(ended.done_count(), 3);
  EXPECT_EQ(subscription->GetStatus().position, 3);
}

// A job that was forgotten by a restart had done half of its work, and nobody knew which half.
TEST_F(SubscriptionTest, AJobGoesOnAfterARestartWhereItWas) {
  SubscriptionContext context{store_, held_, tail_, watch_, executor_, reads_, clock_};
  context.bounds.max_unsettled_by_jobs = 2;
  registry_.reset();
  registry_ = *SubscriptionRegistry::Open(context);
  for (int i = 0; i < 6; ++i) AppendEvent(*log_);
  auto subscription = Create();
  ASSERT_TRUE(SeekTo(*subscription, 6));
  const auto job = Start(*subscription, AllEvents());
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_TRUE(Eventually("the job waits for consumers",
                         [&] { return subscription->FindJob(1)->waiting_for_consumers(); }));
  ASSERT_TRUE(Settle(*subscription).ok());
  subscription.reset();
  registry_.reset();
  registry_ = *SubscriptionRegistry::Open(context);
  subscription = *registry_->Find("billing");
  EXPECT_EQ(subscription->FindJob(1)->state(), Job::STATE_RUNNING);
  const auto receiver = std::make_shared<FakeReceiver>();
  const AttachmentId stream = Attach(*subscription, receiver);
  std::multiset<Sequence> seen;
  for (int i = 0; i < 6; ++i) {
    const Delivery delivery = receiver->Next();
    ASSERT_NE(delivery.event, nullptr);
    seen.insert(delivery.event->sequence);
    subscription->Ready(stream);
    EXPECT_EQ(Ack(*subscription, delivery.lease.id), AckOutcome::kOk);
  }
  EXPECT_EQ(seen, (std::multiset<Sequence>{1, 2, 3, 4, 5, 6})) << "each of them once";
  EXPECT_EQ(AwaitEnd(*subscription, 1).done_count(), 6);
  LookAtClock(*subscription);
  EXPECT_FALSE(receiver->HasMore());
}

TEST_F(SubscriptionTest, AJobCanBeCancelledAndThenAnotherOneRuns) {
  SubscriptionContext context{store_, held_, tail_, watch_, executor_, reads_, clock_};
  context.bounds.max_unsettled_by_jobs = 2;
  registry_.reset();
  registry_ = *SubscriptionRegistry::Open(context);
  for (int i = 0; i < 6; ++i) AppendEvent(*log_);
  const auto subscription = Create();
  ASSERT_TRUE(SeekTo(*subscription, 6));
  ASSERT_TRUE(Start(*subscription, AllEvents()).ok());
  EXPECT_EQ(ReasonOf(Start(*subscription, AllEvents()).status()), reason::kJobRunning);
  const auto cancel = [&](int64_t id) {
    return AwaitOutcome<absl::StatusOr<Job>>(
        [&](auto done) { subscription->CancelJob(id, std::move(done)); });
  };
  EXPECT_EQ(cancel(1)->state(), Job::STATE_CANCELLED);
  EXPECT_EQ(cancel(1)->state(), Job::STATE_CANCELLED);
  EXPECT_EQ(ReasonOf(cancel(2).status()), reason::kJobNotFound);
  Job letters;
  letters.set_kind(Job::KIND_DISCARD_DEAD_LETTERS);
  letters.mutable_dead_letters();
  EXPECT_EQ(Start(*subscription, letters)->job_id(), 2);
  EXPECT_EQ(AwaitEnd(*subscription, 2).state(), Job::STATE_SUCCEEDED);
  EXPECT_EQ(subscription->ListJobs(0, 10).size(), 2u);
}

TEST_F(SubscriptionTest, AJobWhoseStepCouldNotBeStoredGoesOnFromWhatIs) {
  for (int i = 0; i < 3; ++i) AppendEvent(*log_);
  const auto subscription = Create();
  ASSERT_TRUE(SeekTo(*subscription, 3));
  store_.Hold();
  absl::Notification started;
  subscription->StartJob(AllEvents(), [&](const absl::StatusOr<Job>& job) {
    EXPECT_TRUE(job.ok()) << job.status();
    started.Notify();
  });
  store_.WaitForHeld();
  store_.Fail(/*writes=*/true, /*loads=*/true);
  store_.Release();  // It is stored; what the job does is not.
  started.WaitForNotification();
  ASSERT_TRUE(Eventually("the store fails", [&] { return !Settle(*subscription).ok(); }));
  store_.Fail(/*writes=*/false, /*loads=*/false);
  ASSERT_TRUE(Eventually("the store is well again", [&] { return Settle(*subscription).ok(); }));
  EXPECT_EQ(subscription->FindJob(1)->done_count(), 0);
  Pass(absl::Seconds(1));
  EXPECT_EQ(AwaitEnd(*subscription, 1).done_count(), 3);
  ASSERT_TRUE(Settle(*subscription).ok());
  EXPECT_EQ(log_->LoadSubscription(subscription->id())->unsettled.size(), 3u);
}

}  // namespace
}  // namespace hookgate
