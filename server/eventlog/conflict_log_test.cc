// The bodies that come under an event's webhook-id, in a real log.

#include "server/eventlog/conflict_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/eventlog/sqlite_event_log.h"
#include "tests/support/await_outcome.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1'750'000'000);
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

class ConflictLogTest : public testing::Test {
 protected:
  // What comes so many seconds after kNow.
  AppendResult::Outcome Come(const std::string& webhook_id, const std::string& body,
                             int seconds = 0, const std::string& source = "openai") {
    const auto result = TryAppend(*log_, {.webhook_id = webhook_id,
                                          .source = source,
                                          .receive_time = kNow + absl::Seconds(seconds),
                                          .raw_body = body});
    EXPECT_TRUE(result.ok()) << result.status();
    return result->outcome;
  }
  std::vector<Sequence> Listed(const std::string& source = "", int64_t before = kMax,
                               int64_t max_entries = 100) {
    const auto entries = log_->ListConflicts(source, before, max_entries);
    EXPECT_TRUE(entries.ok()) << entries.status();
    std::vector<Sequence> sequences;
    for (const ConflictEntry& entry : *entries) {
      EXPECT_EQ(entry.first_body, "");
      sequences.push_back(entry.sequence);
    }
    return sequences;
  }
  absl::Status Discard(Sequence sequence) {
    return AwaitOutcome<absl::Status>(
        [&](auto done) { log_->DiscardConflict(sequence, std::move(done)); });
  }
  int64_t Trim(const ConflictCutoffs& cutoffs) {
    const auto removed = log_->TrimConflicts(cutoffs);
    EXPECT_TRUE(removed.ok()) << removed.status();
    return removed.value_or(-1);
  }
  void Reopen() {
    log_.reset();
    log_ = OpenTemporaryLog(nullptr, folder_);
  }

  const std::string folder_ = FreshTestFolder();
  std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog(nullptr, folder_);
};

// A sender that changed a body was answered 200, and nobody could see what it had sent.
TEST_F(ConflictLogTest, TheFirstOtherBodyAndTheLastAreKept) {
  Come("wh_1", "the event");
  EXPECT_EQ(Come("wh_1", "the event", 1), AppendResult::Outcome::kDuplicate);
  EXPECT_THAT(Listed(), IsEmpty());
  EXPECT_EQ(Come("wh_1", "other", 2), AppendResult::Outcome::kConflict);
  auto entry = log_->GetConflict(1);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->source, "openai");
  EXPECT_EQ(entry->webhook_id, "wh_1");
  EXPECT_EQ(entry->first_receive_time, kNow + absl::Seconds(2));
  EXPECT_EQ(entry->receive_count, 1);
  EXPECT_EQ(entry->first_body, "other");
  EXPECT_EQ(entry->last_body, "");
  EXPECT_EQ(entry->last_body_bytes, 0);

  Come("wh_1", "another", 3);
  Come("wh_1", "the newest one", 4);
  entry = log_->GetConflict(1);
  EXPECT_EQ(entry->receive_count, 3);
  EXPECT_EQ(entry->first_receive_time, kNow + absl::Seconds(2));
  EXPECT_EQ(entry->last_receive_time, kNow + absl::Seconds(4));
  EXPECT_EQ(entry->first_body, "other");
  EXPECT_EQ(entry->last_body, "the newest one");
  EXPECT_EQ(entry->last_body_bytes, 14);

  Come("wh_1", "other", 5);
  entry = log_->GetConflict(1);
  EXPECT_EQ(entry->receive_count, 4);
  EXPECT_EQ(entry->last_body, "");
  EXPECT_EQ((*log_->Get(1))->webhook_id, "wh_1");
  EXPECT_EQ(log_->Position().head, 1);
}

TEST_F(ConflictLogTest, TheSameIdOfAnotherSourceIsNoConflict) {
  Come("wh_1", "a");
  EXPECT_EQ(Come("wh_1", "b", 1, "staging"), AppendResult::Outcome::kStored);
  EXPECT_THAT(Listed(), IsEmpty());
  Come("wh_1", "c", 2, "staging");
  EXPECT_THAT(Listed(), ElementsAre(2));
  EXPECT_THAT(Listed("openai"), IsEmpty());
  EXPECT_THAT(Listed("staging"), ElementsAre(2));
}

TEST_F(ConflictLogTest, TheLastToComeIsListedFirstAndARestartKeepsThem) {
  for (int i = 1; i <= 4; ++i) Come(absl::StrCat(i), "event");
  for (int i = 1; i <= 4; ++i) Come(absl::StrCat(i), "other", i);
  Come("2", "other", 9);
  EXPECT_THAT(Listed(), ElementsAre(2, 4, 3, 1));
  Reopen();
  Come("1", "other", 10);
  EXPECT_THAT(Listed(), ElementsAre(1, 2, 4, 3));
  const int64_t second = (*log_->ListConflicts("", kMax, 2))[1].touch;
  EXPECT_THAT(Listed("", second, 1), ElementsAre(4));
}

TEST_F(ConflictLogTest, ADiscardedOneIsGoneAndMayComeAgain) {
  Come("wh_1", "event");
  Come("wh_1", "other");
  EXPECT_TRUE(Discard(1).ok());
  EXPECT_THAT(Listed(), IsEmpty());
  for (const absl::Status& status : {Discard(1), log_->GetConflict(1).status()}) {
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_EQ(ReasonOf(status), reason::kConflictNotFound);
  }
  Come("wh_1", "other");
  EXPECT_THAT(Listed(), ElementsAre(1));
}

TEST_F(ConflictLogTest, TheyAreBoundedByNumberByBytesAndByAge) {
  for (int i = 1; i <= 200; ++i) Come(absl::StrCat(i), "event");
  for (int i = 1; i <= 200; ++i) Come(absl::StrCat(i), std::string(100, 'o'));
  EXPECT_EQ(Trim({.max_entries = 200, .max_bytes = 20'000}), 0);
  EXPECT_EQ(Trim({.max_entries = 150, .max_bytes = 20'000}), 50);
  EXPECT_THAT(Listed("", kMax, 1), ElementsAre(200));
  EXPECT_FALSE(log_->GetConflict(50).ok());
  EXPECT_TRUE(log_->GetConflict(51).ok());
  EXPECT_EQ(Trim({.max_entries = 150, .max_bytes = 450}), 146);
  EXPECT_THAT(Listed(), ElementsAre(200, 199, 198, 197));
  // The second body of one counts.
  Come("200", std::string(300, 'n'));
  EXPECT_EQ(Trim({.max_entries = 150, .max_bytes = 500}), 2);
  EXPECT_THAT(Listed(), ElementsAre(200, 199));
  const int64_t older = log_->GetConflict(199)->touch;
  EXPECT_EQ(Trim({.touch = older, .max_entries = 150, .max_bytes = 500}), 1);
  EXPECT_THAT(Listed(), ElementsAre(200));
}

// The numbers by which they age are those of the quarantine: neither may fall behind.
TEST_F(ConflictLogTest, TheirAgeIsCountedLikeThatOfTheQuarantine) {
  Come("wh_1", "event");
  PutIntoQuarantine(*log_, {.source = "openai", .webhook_id = "wh_q", .raw_body = "{"});
  const int64_t before = log_->Ends().touch;
  Come("wh_1", "other");
  EXPECT_EQ(log_->Ends().touch, before + 1);
  EXPECT_EQ(log_->GetConflict(1)->touch, before + 1);
  Reopen();
  EXPECT_EQ(log_->Ends().touch, before + 1);
}

// A retried entry of the quarantine whose webhook had become another event was removed, and with it
// the only copy of its body.
TEST_F(ConflictLogTest, WhatIsReleasedOverAnEventIsKept) {
  Come("wh_1", "event");
  PutIntoQuarantine(*log_, {.source = "openai", .webhook_id = "wh_1", .raw_body = "other"});
  auto event = std::make_unique<StoredEvent>();
  event->source = "openai";
  event->webhook_id = "wh_1";
  event->receive_time = kNow;
  event->raw_body = "other";
  const auto released = Release(*log_, 1, std::move(event));
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_EQ(released->outcome, AppendResult::Outcome::kConflict);
  EXPECT_EQ(log_->GetConflict(1)->first_body, "other");
}

// A released version of the log has no such table.
TEST_F(ConflictLogTest, ALogOfAnOlderVersionKeepsThemFromNowOn) {
  Come("wh_1", "event");
  log_.reset();
  MakeVersion4(folder_ + "/events.db");
  Reopen();
  Come("wh_1", "other");
  EXPECT_EQ(log_->GetConflict(1)->first_body, "other");
}

}  // namespace
}  // namespace hookgate
