#include "server/eventlog/subscription_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/store/database.h"
#include "tests/support/await_outcome.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }

absl::Status Write(SubscriptionLog& log, int64_t id, SubscriptionChanges changes) {
  absl::Notification done;
  absl::Status outcome;
  log.WriteSubscription(id, std::make_unique<SubscriptionChanges>(std::move(changes)),
                        [&](absl::Status status) {
                          outcome = std::move(status);
                          done.Notify();
                        });
  done.WaitForNotification();
  return outcome;
}

int64_t Create(SubscriptionLog& log, const std::string& name, Sequence position = 0) {
  const absl::StatusOr<int64_t> id = CreateSubscription(log, name, "settings", At(100), position);
  EXPECT_TRUE(id.ok()) << id.status();
  return id.value_or(0);
}

UnsettledEvent Unsettled(Sequence sequence) {
  return {.sequence = sequence,
          .bytes = 10,
          .receive_time = At(50),
          .delivery = 7,
          .void_delivery = 4,
          .attempts = 2,
          .lost = 3,
          .leased = true,
          .due = At(60),
          .delay = absl::Milliseconds(1500),
          .cause = DeliveryCause::kNacked,
          .nack_reason = "no route",
          .first_delivery_time = At(51),
          .last_delivery_time = At(52)};
}

TEST(SubscriptionLogTest, WhatWasWrittenIsThereAfterARestart) {
  const std::string folder = FreshTestFolder();
  int64_t id = 0;
  {
    const auto log = OpenTemporaryLog(nullptr, folder);
    id = Create(*log, "billing", 4);
    SubscriptionChanges changes;
    changes.position = SubscriptionPosition{9, 8, 3, 5, 4, 20, 10};
    changes.unsettled = {Unsettled(5), Unsettled(6)};
    changes.dead = {{.sequence = 7,
                     .delivery = 6,
                     .void_delivery = 2,
                     .attempts = 10,
                     .lost = 2,
                     .cause = DeliveryCause::kDeadlinePassed,
                     .nack_reason = "slow",
                     .bytes = 11,
                     .receive_time = At(1),
                     .first_delivery_time = At(2),
                     .last_delivery_time = At(3),
                     .dead_letter_time = At(4)}};
    ASSERT_TRUE(Write(*log, id, changes).ok());
    SubscriptionChanges more;
    more.settled = {5};
    more.settings = "other settings";
    more.control = SubscriptionControl{.etag = 77, .pause_time = At(200)};
    ASSERT_TRUE(Write(*log, id, more).ok());
  }
  const auto log = OpenTemporaryLog(nullptr, folder);
  const auto stored = log->LoadSubscription(id);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->name, "billing");
  EXPECT_EQ(stored->settings, "other settings");
  EXPECT_EQ(stored->create_time, At(100));
  EXPECT_EQ(stored->position.position, 9);
  EXPECT_EQ(stored->position.last_delivery, 8);
  EXPECT_EQ(stored->position.void_delivery, 3);
  EXPECT_EQ(stored->position.lost, 5);
  EXPECT_EQ(stored->position.lost_unread, 4);
  EXPECT_EQ(stored->position.passed, 20);
  EXPECT_EQ(stored->position.admitted, 10);
  EXPECT_EQ(stored->control.etag, 77);
  EXPECT_EQ(stored->control.pause_time, At(200));
  ASSERT_EQ(stored->unsettled.size(), 1u);
  const UnsettledEvent& event = stored->unsettled[0];
  EXPECT_EQ(event.sequence, 6);
  EXPECT_EQ(event.bytes, 10);
  EXPECT_EQ(event.receive_time, At(50));
  EXPECT_EQ(event.delivery, 7);
  EXPECT_EQ(event.void_delivery, 4);
  EXPECT_EQ(event.attempts, 2);
  EXPECT_TRUE(event.leased);
  EXPECT_EQ(event.due, At(60));
  EXPECT_EQ(event.delay, absl::Milliseconds(1500));
  EXPECT_EQ(event.cause, DeliveryCause::kNacked);
  EXPECT_TRUE(event.nacked);
  EXPECT_EQ(event.lost, 3);
  EXPECT_EQ(log->LoadNackReasons(id, {6, 7, 8}).value(),
            (std::vector<std::string>{"no route", "slow", ""}));
  EXPECT_EQ(event.first_delivery_time, At(51));
  EXPECT_EQ(event.last_delivery_time, At(52));
  ASSERT_EQ(stored->dead.size(), 1u);
  EXPECT_TRUE(stored->dead[0].nacked);
  EXPECT_EQ(stored->dead[0].void_delivery, 2);
  const auto listed = log->LoadDeadLetters(id, 0, 10);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(log->LoadDeadLetters(id, 7, 10)->size(), 0u);
  const DeadEvent& dead = listed->front();
  EXPECT_EQ(dead.sequence, 7);
  EXPECT_EQ(dead.delivery, 6);
  EXPECT_EQ(dead.void_delivery, 2);
  EXPECT_EQ(dead.attempts, 10);
  EXPECT_EQ(dead.lost, 2);
  EXPECT_EQ(dead.cause, DeliveryCause::kDeadlinePassed);
  EXPECT_EQ(dead.nack_reason, "slow");
  EXPECT_EQ(dead.bytes, 11);
  EXPECT_EQ(dead.receive_time, At(1));
  EXPECT_EQ(dead.first_delivery_time, At(2));
  EXPECT_EQ(dead.last_delivery_time, At(3));
  EXPECT_EQ(dead.dead_letter_time, At(4));
}

// What version 4 of the schema left: nothing of it was ever lost with its stream.
TEST(SubscriptionLogTest, SubscriptionsOfAnOlderLogGoOn) {
  const std::string folder = FreshTestFolder();
  int64_t id = 0;
  {
    const auto log = OpenTemporaryLog(nullptr, folder);
    id = Create(*log, "billing", 4);
    SubscriptionChanges changes;
    changes.position = SubscriptionPosition{9, 8, 3, 5, 4, 20, 10};
    changes.unsettled = {Unsettled(6)};
    changes.dead = {{.sequence = 7, .delivery = 6, .attempts = 10, .nack_reason = "slow"}};
    ASSERT_TRUE(Write(*log, id, changes).ok());
  }
  MakeVersion4(folder + "/events.db");
  const auto log = OpenTemporaryLog(nullptr, folder);
  const auto stored = log->LoadSubscription(id);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->position.position, 9);
  EXPECT_EQ(stored->position.lost, 5);
  EXPECT_EQ(stored->position.lost_unread, 0);
  ASSERT_EQ(stored->unsettled.size(), 1u);
  EXPECT_EQ(stored->unsettled[0].attempts, 2);
  EXPECT_EQ(stored->unsettled[0].lost, 0);
  EXPECT_EQ(log->LoadDeadLetters(id, 0, 10)->at(0).nack_reason, "slow");
  // From here on it is known what its filter let pass; of what was before, nothing.
  const std::vector<SubscriptionMove> moves = log->ExplainEvent(2, {id})->front().moves;
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].kind, SubscriptionMove::Kind::kUpgraded);
  EXPECT_EQ(moves[0].to, 9);
  EXPECT_EQ(moves[0].settings, "settings");
}

// A reason is written once, with the nack, and stays with its event wherever that goes.
TEST(SubscriptionLogTest, AReasonThatIsNotGivenStaysWhatItIs) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing");
  const auto reason = [&] { return log->LoadNackReasons(id, {5})->at(0); };
  ASSERT_TRUE(Write(*log, id, {.unsettled = {Unsettled(5)}}).ok());
  ASSERT_TRUE(Write(*log, id, {.unsettled = {{.sequence = 5, .delivery = 8}}}).ok());
  EXPECT_EQ(reason(), "no route");
  ASSERT_TRUE(Write(*log, id, {.settled = {5}, .dead = {{.sequence = 5}}}).ok());
  EXPECT_EQ(log->LoadDeadLetters(id, 0, 1)->at(0).nack_reason, "no route");
  ASSERT_TRUE(Write(*log, id, {.unsettled = {{.sequence = 5}}, .no_longer_dead = {5}}).ok());
  EXPECT_EQ(reason(), "no route");
  ASSERT_TRUE(Write(*log, id, {.unsettled = {{.sequence = 5, .nack_reason = ""}}}).ok());
  EXPECT_EQ(reason(), "");
  ASSERT_TRUE(Write(*log, id, {.unsettled = {Unsettled(5)}}).ok());
  ASSERT_TRUE(Write(*log, id, {.forget_unsettled = true, .unsettled = {{.sequence = 6}}}).ok());
  EXPECT_EQ(log->LoadSubscription(id)->unsettled.size(), 1u);
  EXPECT_EQ(reason(), "");
}

TEST(SubscriptionLogTest, ANameIsTakenOnce) {
  const auto log = OpenTemporaryLog();
  Create(*log, "billing");
  const auto again = CreateSubscription(*log, "billing", "", At(0), 0);
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(again.status()), reason::kSubscriptionExists);
}

TEST(SubscriptionLogTest, TheNumberIsBounded) {
  const auto log = OpenTemporaryLog();
  for (int64_t i = 0; i < SubscriptionLog::kMaxSubscriptions; ++i) Create(*log, absl::StrCat(i));
  const auto one_more = CreateSubscription(*log, "one more", "", At(0), 0);
  EXPECT_EQ(ReasonOf(one_more.status()), reason::kTooManySubscriptions);
  EXPECT_EQ(log->LoadSubscriptions()->size(), 1000u);
}

TEST(SubscriptionLogTest, ADeletedOneLeavesNothingBehind) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing");
  SubscriptionChanges changes;
  changes.unsettled = {Unsettled(5)};
  changes.dead = {{.sequence = 7}};
  ASSERT_TRUE(Write(*log, id, changes).ok());
  ASSERT_TRUE(DeleteSubscription(*log, id).ok());
  EXPECT_EQ(ReasonOf(DeleteSubscription(*log, id)), reason::kSubscriptionNotFound);
  EXPECT_EQ(ReasonOf(log->LoadSubscription(id).status()), reason::kSubscriptionNotFound);
  EXPECT_EQ(ReasonOf(Write(*log, id, changes)), reason::kSubscriptionNotFound);
  const int64_t next = Create(*log, "billing");
  EXPECT_GT(next, id) << "an id was given twice";
  EXPECT_TRUE(log->LoadSubscription(next)->unsettled.empty());
  EXPECT_TRUE(log->LoadSubscription(next)->dead.empty());
}

class SubscriptionRetentionTest : public testing::Test {
 protected:
  SubscriptionRetentionTest() : log_(OpenTemporaryLog()) {
    for (int64_t second = 1; second <= 10; ++second) {
      AppendEvent(*log_, {.receive_time = At(second)});
    }
  }
  Sequence EarliestAfterTrim(const TrimCutoffs& cutoffs) {
    EXPECT_TRUE(log_->Trim(cutoffs).ok());
    return log_->Position().earliest;
  }

  std::unique_ptr<SqliteEventLog> log_;
};

TEST_F(SubscriptionRetentionTest, KeepsWhatIsAfterAPosition) {
  Create(*log_, "ahead", 8);
  Create(*log_, "behind", 3);
  EXPECT_EQ(EarliestAfterTrim({.settled = 100}), 4);
}

TEST_F(SubscriptionRetentionTest, KeepsWhatWasTakenAndIsNotSettled) {
  const int64_t id = Create(*log_, "billing", 9);
  SubscriptionChanges changes;
  changes.unsettled = {Unsettled(6), Unsettled(7)};
  ASSERT_TRUE(Write(*log_, id, changes).ok());
  EXPECT_EQ(EarliestAfterTrim({.settled = 100}), 6);
}

TEST_F(SubscriptionRetentionTest, KeepsItOnlyUpToTheCap) {
  Create(*log_, "behind", 3);
  EXPECT_EQ(EarliestAfterTrim({.settled = 100, .unsettled = 5}), 6);
}

TEST_F(SubscriptionRetentionTest, KeepsWhatIsNotSettledHoweverLargeTheLogIs) {
  Create(*log_, "behind", 3);
  EXPECT_EQ(EarliestAfterTrim({.max_bytes = 1, .excess = 100}), 4);
  EXPECT_EQ(EarliestAfterTrim({.unsettled = 5, .max_bytes = 1, .excess = 100}), 6);
}

TEST_F(SubscriptionRetentionTest, KeepsWhatIsYoungWhoeverHasSettledIt) {
  Create(*log_, "ahead", 10);
  EXPECT_EQ(EarliestAfterTrim({.settled = 4}), 5);
}

TEST_F(SubscriptionRetentionTest, ADeletedSubscriptionKeepsNothing) {
  const int64_t id = Create(*log_, "behind", 3);
  ASSERT_TRUE(DeleteSubscription(*log_, id).ok());
  EXPECT_EQ(EarliestAfterTrim({.settled = 100}), 11);
}

// Which process gave a delivery its number: what a backup does not have is not taken for its own.
TEST(SubscriptionLogTest, DeliveriesKnowTheProcessThatNumberedThem) {
  const std::string folder = FreshTestFolder();
  const auto deliver = [](SqliteEventLog& log, int64_t id, int64_t last) {
    auto changes = std::make_unique<SubscriptionChanges>();
    changes->position = SubscriptionPosition{.last_delivery = last};
    absl::Notification done;
    log.WriteSubscription(id, std::move(changes), [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      done.Notify();
    });
    done.WaitForNotification();
  };
  const auto first_of = [](const std::vector<Stretch>& stretches) {
    std::vector<int64_t> first;
    for (const Stretch& stretch : stretches) first.push_back(stretch.first);
    return first;
  };
  int64_t id = 0;
  std::string backup;
  {
    auto log = OpenTemporaryLog(nullptr, folder);
    id = *CreateSubscription(*log, "s", "", absl::UnixEpoch(), 0);
    deliver(*log, id, 5);
    backup = BackUpLog(folder);
    deliver(*log, id, 9);
  }
  std::vector<Stretch> here;
  std::vector<Stretch> there;
  for (int start = 0; start < 3; ++start) {  // Starts without a delivery leave no more rows.
    here = OpenTemporaryLog(nullptr, folder)->LoadSubscription(id)->deliveries;
    there = OpenTemporaryLog(nullptr, backup)->LoadSubscription(id)->deliveries;
  }
  EXPECT_THAT(first_of(here), ElementsAre(1, 10));
  EXPECT_THAT(first_of(there), ElementsAre(1, 6));
  EXPECT_EQ(here[0].mark, there[0].mark);
  EXPECT_NE(here[1].mark, there[1].mark);
  // As many as are kept, whatever the number of starts.
  for (int64_t last = 10; last < 40; ++last) {
    auto log = OpenTemporaryLog(nullptr, folder);
    deliver(*log, id, last);
  }
  EXPECT_EQ(OpenTemporaryLog(nullptr, folder)->LoadSubscription(id)->deliveries.size(), 16);
}

HistoryEntry Ended(Sequence sequence, DeliveryEnd how, absl::optional<DeliveryOutcome> outcome) {
  return {.sequence = sequence,
          .time = At(70),
          .attempt = DeliveryAttempt{.number = 1,
                                     .delivery = 9,
                                     .consumer = "worker",
                                     .begin = At(60),
                                     .end = At(70),
                                     .how = how,
                                     .reason = how == DeliveryEnd::kNacked ? "busy" : ""},
          .outcome = outcome};
}

SubscriptionChanges Acked(Sequence first, Sequence last) {
  SubscriptionChanges changes;
  for (Sequence s = first; s <= last; ++s) {
    changes.history.push_back(Ended(s, DeliveryEnd::kAcked, DeliveryOutcome::kAcked));
  }
  return changes;
}

// The sequences that `scan` lists.
std::vector<Sequence> Scanned(SubscriptionLog& log, int64_t id, const DeliveryScan& scan) {
  const auto page = log.ScanDeliveries(id, scan);
  EXPECT_TRUE(page.ok()) << page.status();
  std::vector<Sequence> sequences;
  if (!page.ok()) return sequences;
  for (const StoredDelivery& delivery : page->deliveries) sequences.push_back(delivery.sequence);
  return sequences;
}

TEST(SubscriptionLogTest, HistoryGrowsByWhatHappensAndIsThereAfterARestart) {
  const std::string folder = FreshTestFolder();
  int64_t id = 0;
  int64_t other = 0;
  {
    const auto log = OpenTemporaryLog(nullptr, folder);
    id = Create(*log, "billing", 4);
    other = Create(*log, "mail");
    SubscriptionChanges changes = Acked(5, 5);
    changes.unsettled = {Unsettled(6)};
    changes.unsettled[0].consumer = "worker";
    changes.history.push_back(Ended(6, DeliveryEnd::kNacked, absl::nullopt));
    ASSERT_TRUE(Write(*log, id, changes).ok());
    SubscriptionChanges more;
    more.history.push_back(Ended(6, DeliveryEnd::kDeadlinePassed, absl::nullopt));
    more.history.push_back({.sequence = 6, .time = At(80), .outcome = DeliveryOutcome::kAcked});
    more.settled = {6};
    more.unsettled = {Unsettled(7)};
    more.unsettled[0].consumer = "worker";
    more.dead = {{.sequence = 8, .nack_reason = "no"}};
    ASSERT_TRUE(Write(*log, id, more).ok());
  }
  const auto log = OpenTemporaryLog(nullptr, folder);
  const auto five = log->ExplainEvent(5, {other, id, 99});
  ASSERT_TRUE(five.ok()) << five.status();
  ASSERT_EQ(five->size(), 3u);
  EXPECT_FALSE((*five)[0].delivery.history.has_value()) << "of another subscription";
  EXPECT_EQ((*five)[2].position, 0) << "there is no such subscription";
  const DeliveryHistory& acked = *(*five)[1].delivery.history;
  EXPECT_EQ(acked.outcome, DeliveryOutcome::kAcked);
  EXPECT_EQ(acked.consumer, "worker");
  EXPECT_EQ(acked.number, 1);
  EXPECT_EQ(acked.time, At(70));
  EXPECT_EQ(acked.last_delivery_time, At(60));
  ASSERT_EQ(acked.attempts.size(), 1u);
  EXPECT_EQ(acked.attempts[0].end, At(70));
  EXPECT_THAT((*five)[1].moves, testing::IsEmpty()) << "its outcome says all";

  const auto six = log->ExplainEvent(6, {id});
  const DeliveryHistory& history = *six->front().delivery.history;
  EXPECT_EQ(history.outcome, DeliveryOutcome::kAcked);
  EXPECT_EQ(history.time, At(80));
  EXPECT_EQ(history.count, 2);
  ASSERT_EQ(history.attempts.size(), 2u);
  EXPECT_EQ(history.attempts[0].reason, "busy");
  EXPECT_EQ(history.attempts[1].how, DeliveryEnd::kDeadlinePassed);

  const auto seven = log->ExplainEvent(7, {id});
  EXPECT_EQ(seven->front().position, 4);
  EXPECT_EQ(seven->front().delivery.unsettled->consumer, "worker");
  EXPECT_EQ(seven->front().delivery.unsettled->nack_reason, "no route");
  EXPECT_EQ(log->ExplainEvent(8, {id})->front().delivery.dead->nack_reason, "no");
  ASSERT_EQ(log->LoadSubscription(id)->unsettled.size(), 1u);
  EXPECT_EQ(log->LoadSubscription(id)->unsettled[0].consumer, "worker");
}

// Many acks are written by one statement, which must not take those for new that have a history.
TEST(SubscriptionLogTest, ManyAcksAreAddedToTheHistoryThatSomeOfTheirEventsHave) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing");
  SubscriptionChanges before;
  before.history.push_back(Ended(40, DeliveryEnd::kNacked, absl::nullopt));
  ASSERT_TRUE(Write(*log, id, before).ok());
  ASSERT_TRUE(Write(*log, id, Acked(1, 100)).ok());
  // One that is acked twice in one write, as after a seek back, among many others.
  SubscriptionChanges twice = Acked(101, 120);
  twice.history.insert(twice.history.begin() + 7, Ended(105, DeliveryEnd::kAcked, {}));
  twice.history[7].outcome = DeliveryOutcome::kAcked;
  ASSERT_TRUE(Write(*log, id, twice).ok());
  for (Sequence sequence = 1; sequence <= 120; ++sequence) {
    const auto stored = log->ExplainEvent(sequence, {id});
    ASSERT_TRUE(stored.ok()) << stored.status();
    ASSERT_TRUE(stored->front().delivery.history.has_value()) << sequence;
    const DeliveryHistory& history = *stored->front().delivery.history;
    EXPECT_EQ(history.outcome, DeliveryOutcome::kAcked) << sequence;
    EXPECT_EQ(history.consumer, "worker") << sequence;
    EXPECT_EQ(history.time, At(70)) << sequence;
    EXPECT_EQ(history.first_delivery_time, At(60)) << sequence;
    EXPECT_EQ(history.count, sequence == 40 || sequence == 105 ? 2 : 1) << sequence;
    ASSERT_EQ(history.attempts.size(), static_cast<size_t>(history.count)) << sequence;
    EXPECT_EQ(history.attempts.back().how, DeliveryEnd::kAcked) << sequence;
  }
  EXPECT_EQ(log->ExplainEvent(40, {id})->front().delivery.history->attempts[0].reason, "busy");
}

// As above, of what is not settled: the rows of one subscription, whatever stands between them.
TEST(SubscriptionLogTest, ManyEventsAreTakenAndSettledInOneWrite) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing");
  const int64_t other = Create(*log, "mail");
  const auto stored = [&](int64_t subscription) {
    std::vector<Sequence> sequences;
    const auto loaded = log->LoadSubscription(subscription);
    for (const UnsettledEvent& event : loaded->unsettled) sequences.push_back(event.sequence);
    return sequences;
  };
  SubscriptionChanges taken;
  for (Sequence sequence = 1; sequence <= 50; ++sequence) {
    taken.unsettled.push_back(Unsettled(sequence));
    taken.unsettled.back().bytes = sequence;
  }
  ASSERT_TRUE(Write(*log, id, taken).ok());
  ASSERT_TRUE(Write(*log, other, taken).ok());
  // Again, with other values; and one that keeps the reason that it has.
  for (UnsettledEvent& event : taken.unsettled) {
    event.delivery = 8;
    event.nack_reason = "again";
  }
  taken.unsettled[20].nack_reason = absl::nullopt;
  ASSERT_TRUE(Write(*log, id, taken).ok());
  const auto found = log->LoadSubscription(id)->unsettled;
  ASSERT_EQ(found.size(), 50u);
  for (size_t i = 0; i < found.size(); ++i) {
    const Sequence sequence = static_cast<Sequence>(i) + 1;
    EXPECT_EQ(found[i].sequence, sequence);
    EXPECT_EQ(found[i].bytes, sequence);
    EXPECT_EQ(found[i].delivery, 8);
    EXPECT_EQ(found[i].void_delivery, 4);
    EXPECT_EQ(found[i].attempts, 2);
    EXPECT_EQ(found[i].lost, 3);
    EXPECT_EQ(found[i].receive_time, At(50));
    EXPECT_EQ(found[i].due, At(60));
    EXPECT_EQ(found[i].delay, absl::Milliseconds(1500));
    EXPECT_EQ(found[i].cause, DeliveryCause::kNacked);
    EXPECT_EQ(found[i].first_delivery_time, At(51));
    EXPECT_EQ(found[i].last_delivery_time, At(52));
    EXPECT_EQ(log->LoadNackReasons(id, {sequence})->front(), i == 20 ? "no route" : "again");
  }
  SubscriptionChanges settled;
  for (Sequence sequence = 2; sequence <= 49; ++sequence) {
    if (sequence != 10 && sequence != 12 && sequence != 30) settled.settled.push_back(sequence);
  }
  ASSERT_TRUE(Write(*log, id, settled).ok());
  EXPECT_THAT(stored(id), ElementsAre(1, 10, 12, 30, 50));
  EXPECT_EQ(stored(other).size(), 50u);
}

TEST(SubscriptionLogTest, DeliveriesAreScannedByKindInBothDirectionsPageByPage) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing");
  SubscriptionChanges changes = Acked(1, 5);
  changes.unsettled = {Unsettled(3), Unsettled(7)};
  changes.dead = {{.sequence = 6}};
  ASSERT_TRUE(Write(*log, id, changes).ok());
  ASSERT_TRUE(Write(*log, Create(*log, "mail"), Acked(1, 9)).ok());
  EXPECT_THAT(Scanned(*log, id, {}), ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(Scanned(*log, id, {.newest_first = true, .after = 6}), ElementsAre(5, 4, 3, 2, 1));
  EXPECT_THAT(Scanned(*log, id, {.dead = false, .history = false}), ElementsAre(3, 7));
  EXPECT_THAT(Scanned(*log, id, {.unsettled = false, .history = false}), ElementsAre(6));
  const auto unsettled = log->ScanDeliveries(id, {.dead = false, .history = false});
  EXPECT_TRUE(unsettled->deliveries[0].history.has_value()) << "all of what is stored of it";
  DeliveryScan scan{.max_events = 3};
  EXPECT_THAT(Scanned(*log, id, scan), ElementsAre(1, 2, 3));
  EXPECT_EQ(log->ScanDeliveries(id, scan)->next, 3);
  scan.after = 3;
  EXPECT_THAT(Scanned(*log, id, scan), ElementsAre(4, 5, 6));
  scan.after = 6;
  EXPECT_THAT(Scanned(*log, id, scan), ElementsAre(7));
  EXPECT_FALSE(log->ScanDeliveries(id, scan)->next.has_value());
}

TEST(SubscriptionLogTest, HistoryGoesByAgeAndNumberTheOldestChangeFirst) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing");
  AppendEvent(*log);
  ASSERT_TRUE(Write(*log, id, Acked(1, 4)).ok());
  AppendEvent(*log);
  ASSERT_TRUE(Write(*log, id, Acked(5, 6)).ok());
  // Something more happens to this one: it is among the youngest then.
  SubscriptionChanges again;
  again.history.push_back({.sequence = 1, .time = At(90), .outcome = DeliveryOutcome::kSkipped});
  ASSERT_TRUE(Write(*log, id, again).ok());
  EXPECT_EQ(*log->TrimHistory({.head = 1, .max_rows = 10}), 0);
  EXPECT_EQ(*log->TrimHistory({.head = 1, .max_rows = 5}), 1);
  EXPECT_THAT(Scanned(*log, id, {}), ElementsAre(1, 3, 4, 5, 6));
  EXPECT_EQ(*log->TrimHistory({.head = 2, .max_rows = 10}), 2) << "when event 1 was the newest";
  EXPECT_THAT(Scanned(*log, id, {}), ElementsAre(1, 5, 6));
  EXPECT_EQ(*log->TrimHistory({.head = 2, .max_rows = 1}), 2);
  EXPECT_THAT(Scanned(*log, id, {}), ElementsAre(1));
  EXPECT_EQ(log->ExplainEvent(1, {id})->front().delivery.history->attempts.size(), 1u);
}

// A million rows are not removed in one transaction.
TEST(SubscriptionLogTest, HistoryGoesInStepsAndThatOfADeletedSubscriptionAsWell) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing");
  const int64_t other = Create(*log, "mail");
  ASSERT_TRUE(Write(*log, id, Acked(1, 1300)).ok());
  ASSERT_TRUE(Write(*log, other, Acked(1, 3)).ok());
  ASSERT_TRUE(DeleteSubscription(*log, id).ok());
  EXPECT_THAT(Scanned(*log, other, {}), ElementsAre(1, 2, 3));
  int steps = 0;
  EXPECT_LE(*log->TrimHistory({.max_rows = 10'000}, [&] { return ++steps < 1; }), 512);
  EXPECT_EQ(steps, 1);
  EXPECT_GE(*log->TrimHistory({.max_rows = 10'000}), 1300 - 512);
  EXPECT_THAT(Scanned(*log, id, {}), testing::IsEmpty());
  EXPECT_THAT(Scanned(*log, other, {}), ElementsAre(1, 2, 3));
}

TEST(SubscriptionLogTest, MovesAreKeptUpToANumberAndASize) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing", 4);
  const auto moves = [&] { return log->ExplainEvent(1, {id})->front().moves; };
  ASSERT_EQ(moves().size(), 1u);
  EXPECT_EQ(moves()[0].kind, SubscriptionMove::Kind::kStart);
  EXPECT_EQ(moves()[0].to, 4);
  EXPECT_EQ(moves()[0].settings, "settings");
  SubscriptionChanges many;
  for (Sequence s = 1; s <= 40; ++s) {
    many.moves.push_back(
        {.kind = SubscriptionMove::Kind::kSeek, .from = s, .to = s + 1, .time = At(s)});
  }
  ASSERT_TRUE(Write(*log, id, many).ok());
  ASSERT_EQ(moves().size(), 32u);
  EXPECT_EQ(moves().front().from, 9);
  EXPECT_EQ(moves().back().time, At(40));
  // One that nobody consumes is overtaken every minute.
  SubscriptionChanges lost;
  lost.moves = {{.kind = SubscriptionMove::Kind::kLost, .from = 41, .to = 50},
                {.kind = SubscriptionMove::Kind::kLost, .from = 50, .to = 60, .time = At(60)}};
  ASSERT_TRUE(Write(*log, id, lost).ok());
  EXPECT_EQ(moves().back().from, 41);
  EXPECT_EQ(moves().back().to, 60);
  EXPECT_EQ(moves().back().time, At(60));
  SubscriptionChanges large;
  for (int i = 0; i < 5; ++i) {
    large.moves.push_back({.kind = SubscriptionMove::Kind::kFilter,
                           .from = 60,
                           .to = 60,
                           .settings = std::string(300 << 10, 's')});
  }
  ASSERT_TRUE(Write(*log, id, large).ok());
  EXPECT_EQ(moves().size(), 3u) << "three of them are less than 1 MiB";
  large.moves = {{.kind = SubscriptionMove::Kind::kFilter, .settings = std::string(2 << 20, 's')}};
  ASSERT_TRUE(Write(*log, id, large).ok());
  EXPECT_EQ(moves().size(), 1u) << "the newest stays";
}

// Two operators: one deletes what another has just changed.
TEST(SubscriptionLogTest, WhatWasChangedInBetweenIsNotDeleted) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing");
  SubscriptionChanges changes;
  changes.control = SubscriptionControl{.etag = 5};
  ASSERT_TRUE(Write(*log, id, changes).ok());
  const auto remove = [&](absl::optional<int64_t> etag) {
    return AwaitOutcome<absl::Status>(
        [&](auto done) { log->DeleteSubscription(id, etag, std::move(done)); });
  };
  EXPECT_EQ(ReasonOf(remove(4)), reason::kEtagMismatch);
  EXPECT_TRUE(log->LoadSubscription(id).ok());
  EXPECT_TRUE(remove(5).ok());
  EXPECT_EQ(ReasonOf(remove(5)), reason::kSubscriptionNotFound);
}

TEST(SubscriptionLogTest, JobsAreStoredWithTheirSubscription) {
  const auto log = OpenTemporaryLog();
  const int64_t id = Create(*log, "billing");
  const int64_t other = Create(*log, "other");
  SubscriptionChanges changes;
  changes.jobs = {{.id = 1, .job = "first"}, {.id = 2, .job = "second"}};
  ASSERT_TRUE(Write(*log, id, changes).ok());
  ASSERT_TRUE(Write(*log, other, changes).ok());
  SubscriptionChanges more;
  more.jobs = {{.id = 2, .job = "changed"}};
  more.forgotten_jobs = {1};
  ASSERT_TRUE(Write(*log, id, more).ok());
  const auto stored = log->LoadSubscription(id);
  ASSERT_TRUE(stored.ok()) << stored.status();
  ASSERT_EQ(stored->jobs.size(), 1u);
  EXPECT_EQ(stored->jobs[0].id, 2);
  EXPECT_EQ(stored->jobs[0].job, "changed");
  ASSERT_TRUE(DeleteSubscription(*log, id).ok());
  EXPECT_EQ(log->LoadSubscription(other)->jobs.size(), 2u);
}

}  // namespace
}  // namespace hookgate
