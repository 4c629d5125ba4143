#include "server/eventlog/subscription_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/store/database.h"
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
  ASSERT_EQ(stored->unsettled.size(), 1u);
  const UnsettledEvent& event = stored->unsettled[0];
  EXPECT_EQ(event.sequence, 6);
  EXPECT_EQ(event.bytes, 10);
  EXPECT_EQ(event.receive_time, At(50));
  EXPECT_EQ(event.delivery, 7);
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
  const auto listed = log->LoadDeadLetters(id, 0, 10);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(log->LoadDeadLetters(id, 7, 10)->size(), 0u);
  const DeadEvent& dead = listed->front();
  EXPECT_EQ(dead.sequence, 7);
  EXPECT_EQ(dead.delivery, 6);
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

}  // namespace
}  // namespace hookgate
