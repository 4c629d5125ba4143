#include "server/eventlog/webhook_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "server/store/schema.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Outcome = AppendResult::Outcome;

std::unique_ptr<SqliteEventLog> OpenLog(const std::string& folder, int64_t webhooks_per_run) {
  auto log =
      SqliteEventLog::Open({.data_dir = folder, .webhooks_per_run = webhooks_per_run}, nullptr);
  EXPECT_TRUE(log.ok()) << log.status();
  return *std::move(log);
}

std::unique_ptr<Database> OpenDatabase(const std::string& folder) {
  return *Database::Open(folder + "/events.db", Database::Mode::kReadWrite);
}

int64_t ReadInt(Database& database, const std::string& sql) {
  auto row = database.Prepare(sql);
  EXPECT_TRUE(row.ok() && *row->Step());
  return row->ColumnInt(0);
}

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(1'750'000'000 + seconds); }

// On a database of its own, without events.
class WebhookIndexTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(MigrateSchema(*database_, "0000000000000001").ok());
    index_ = *WebhookIndex::Open(*database_, {}, /*entries_per_run=*/4, /*may_write=*/true);
    page_.emplace(*WebhookIndex::PreparePage(*database_));
  }

  // A group of events with these hashes.
  void Commit(const WebhookHashes& hashes, Sequence earliest = 1) {
    auto transaction = *Transaction::Begin(*database_, Transaction::Kind::kWrite);
    ASSERT_TRUE(index_->Write(*database_, earliest).ok());
    ASSERT_TRUE(transaction.Commit().ok());
    index_->Committed(hashes);
  }
  std::vector<Sequence> Find(WebhookHash hash) {
    const auto found = index_->Find(hash, *page_);
    EXPECT_TRUE(found.ok()) << found.status();
    return {found->begin(), found->end()};
  }
  int64_t Rows(const std::string& table) {
    return ReadInt(*database_, "SELECT count(*) FROM " + table);
  }

  const std::unique_ptr<Database> database_ = *Database::Open(":memory:", Database::Mode::kCreate);
  std::unique_ptr<WebhookIndex> index_;
  absl::optional<Statement> page_;
};

TEST_F(WebhookIndexTest, EntriesAreFoundInMemoryAndInRuns) {
  Commit({{10, {1}}, {20, {2}}, {~WebhookHash{0}, {3}}, {0, {4}}});
  EXPECT_EQ(Rows("webhook_runs"), 0);
  EXPECT_THAT(Find(0), ElementsAre(4));
  Commit({{30, {5}}});
  EXPECT_EQ(Rows("webhook_runs"), 1);
  EXPECT_THAT(Find(10), ElementsAre(1));
  EXPECT_THAT(Find(~WebhookHash{0}), ElementsAre(3));
  EXPECT_THAT(Find(0), ElementsAre(4));
  EXPECT_THAT(Find(30), ElementsAre(5));
  EXPECT_THAT(Find(31), IsEmpty());
}

TEST_F(WebhookIndexTest, EventsWithOneHashAreAllFound) {
  Commit({{10, {1, 2}}, {20, {3}}, {30, {4}}, {40, {5}}});
  Commit({{10, {6}}});
  EXPECT_THAT(Find(10), testing::UnorderedElementsAre(1, 2, 6));
}

TEST_F(WebhookIndexTest, WhatIsRolledBackWasNeverWritten) {
  Commit({{10, {1}}, {20, {2}}, {30, {3}}, {40, {4}}});
  {
    auto transaction = *Transaction::Begin(*database_, Transaction::Kind::kWrite);
    ASSERT_TRUE(index_->Write(*database_, 1).ok());
  }
  index_->RolledBack();
  EXPECT_EQ(Rows("webhook_runs"), 0);
  EXPECT_THAT(Find(10), ElementsAre(1));
  Commit({{50, {5}}});
  EXPECT_EQ(Rows("webhook_runs"), 1);
  EXPECT_THAT(Find(10), ElementsAre(1));
  EXPECT_THAT(Find(50), ElementsAre(5));
}

TEST_F(WebhookIndexTest, RunsGoWithTheirEvents) {
  Commit({{10, {1}}, {20, {2}}, {30, {3}}, {40, {4}}});
  Commit({{50, {5}}});
  Commit({}, /*earliest=*/4);
  EXPECT_THAT(Find(10), ElementsAre(1)) << "event 4 is in the same run";
  Commit({}, /*earliest=*/5);
  EXPECT_THAT(Find(10), IsEmpty());
  EXPECT_THAT(Find(50), ElementsAre(5));
  EXPECT_EQ(Rows("webhook_runs"), 0);
  EXPECT_EQ(Rows("webhook_pages"), 0);
}

// The filters let hardly anything through that is not there, or each webhook would cost reads.
TEST_F(WebhookIndexTest, FiltersRefuseNearlyAllThatIsNotThere) {
  std::mt19937_64 random(1);
  WebhookHashes hashes;
  for (Sequence sequence = 1; sequence <= 10'000; ++sequence) hashes[random()] = {sequence};
  Commit(hashes);
  for (int i = 0; i < 1000 && Rows("webhook_runs") == 0; ++i) Commit({});
  ASSERT_EQ(Rows("webhook_runs"), 1);
  ASSERT_TRUE(database_->Execute("DROP TABLE webhook_pages").ok());  // A look into it fails.
  int looks = 0;
  for (int i = 0; i < 10'000; ++i) looks += index_->Find(random(), *page_).ok() ? 0 : 1;
  EXPECT_LT(looks, 50);
  for (const auto& [hash, sequences] : hashes) {
    ASSERT_FALSE(index_->Find(hash, *page_).ok()) << "overlooked";
  }
}

// A run was written within one commit, which stopped the others for a third of a second.
TEST_F(WebhookIndexTest, RunIsWrittenALittleWithEachCommit) {
  std::mt19937_64 random(1);
  WebhookHashes hashes;
  for (Sequence sequence = 1; sequence <= 20'000; ++sequence) hashes[random()] = {sequence};
  Commit(hashes);
  int64_t pages = 0;
  int commits = 0;
  for (; Rows("webhook_runs") == 0; ++commits) {
    ASSERT_LT(commits, 1000);
    if (commits % 10 == 5) {  // One that fails.
      auto transaction = *Transaction::Begin(*database_, Transaction::Kind::kWrite);
      ASSERT_TRUE(index_->Write(*database_, 1).ok());
      index_->RolledBack();
    } else {
      Commit({{~WebhookHash{0} - static_cast<uint64_t>(commits), {30'000 + commits}}});
    }
    EXPECT_LE(Rows("webhook_pages"), pages + 16);
    pages = Rows("webhook_pages");
    const auto& [hash, sequences] = *hashes.begin();
    EXPECT_THAT(Find(hash), ElementsAre(sequences.front()));
  }
  EXPECT_GT(commits, 1024 / 16);
  for (const auto& [hash, sequences] : hashes) {
    ASSERT_THAT(Find(hash), ElementsAre(sequences.front()));
  }
  EXPECT_THAT(Find(~WebhookHash{0}), ElementsAre(30'000));
}

TEST_F(WebhookIndexTest, RunThatWasNotFinishedLeavesNothingBehind) {
  std::mt19937_64 random(1);
  WebhookHashes hashes;
  for (Sequence sequence = 1; sequence <= 5000; ++sequence) hashes[random()] = {sequence};
  Commit(hashes);
  for (int i = 0; i < 20; ++i) Commit({});
  EXPECT_GT(Rows("webhook_pages"), 0);
  ASSERT_EQ(Rows("webhook_runs"), 0);
  page_.reset();
  index_ = *WebhookIndex::Open(*database_, {}, /*entries_per_run=*/100'000, /*may_write=*/true);
  page_.emplace(*WebhookIndex::PreparePage(*database_));
  Commit({});
  EXPECT_EQ(Rows("webhook_pages"), 0);
}

// A start read all events after the last run again, up to a quarter of a million, with all that
// lies between their ids.
TEST(WebhooksOfALogTest, StartReadsTheEventsAfterTheLastPieceAlone) {
  const std::string folder = FreshTestFolder();
  {
    auto log = OpenLog(folder, 40);
    for (int i = 1; i <= 35; ++i) AppendEvent(*log, {.webhook_id = absl::StrCat("wh_", i)});
  }
  const auto database = OpenDatabase(folder);
  EXPECT_EQ(ReadInt(*database, "SELECT count(*) FROM webhook_runs"), 0);
  EXPECT_EQ(ReadInt(*database, "SELECT count(*) FROM webhook_pieces"), 3);
  ASSERT_TRUE(database->Execute("UPDATE events SET webhook_id = 'another' || sequence").ok());
  const auto index = WebhookIndex::Open(*database, {1, 35}, 40, /*may_write=*/false);
  ASSERT_TRUE(index.ok()) << index.status();
  auto page = *WebhookIndex::PreparePage(*database);
  for (int i = 1; i <= 35; ++i) {
    const auto found = *(*index)->Find(HashWebhook("openai", absl::StrCat("wh_", i)), page);
    EXPECT_EQ(found.size(), i <= 30 ? 1 : 0) << i;
  }
}

TEST(WebhooksOfALogTest, PiecesGoOnceARunHoldsTheirEntries) {
  const std::string folder = FreshTestFolder();
  auto log = OpenLog(folder, 40);
  for (int i = 1; i <= 50; ++i) AppendEvent(*log, {.webhook_id = absl::StrCat("wh_", i)});
  const auto database = OpenDatabase(folder);
  EXPECT_EQ(ReadInt(*database, "SELECT count(*) FROM webhook_runs"), 1);
  EXPECT_LE(ReadInt(*database, "SELECT count(*) FROM webhook_pieces"), 1);
}

// The log against a map, over appends, repeats, retention and reopenings.
TEST(WebhooksOfALogTest, OneWebhookIsOneEvent) {
  const auto seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  const auto choose = [&](int to) { return std::uniform_int_distribution<int>(0, to)(random); };
  const std::string folder = FreshTestFolder();
  std::map<std::string, Sequence> stored;
  for (int opening = 0; opening < 8; ++opening) {
    auto log = OpenLog(folder, 5 + choose(20));
    for (int step = 0; step < 40; ++step) {
      const std::string id = absl::StrCat("wh_", choose(400));
      const auto result =
          TryAppend(*log, {.webhook_id = id, .receive_time = At(log->Position().head)});
      ASSERT_TRUE(result.ok()) << result.status();
      const auto [entry, is_new] = stored.emplace(id, result->sequence);
      ASSERT_EQ(result->outcome, is_new ? Outcome::kStored : Outcome::kDuplicate);
      ASSERT_EQ(result->sequence, entry->second);
    }
    if (choose(2) == 0) {
      const Sequence cutoff = std::min(log->Position().earliest + choose(30), log->Position().head);
      ASSERT_TRUE(log->Trim({cutoff, cutoff}).ok());
      for (auto it = stored.begin(); it != stored.end();) {
        it = it->second < log->Position().earliest ? stored.erase(it) : std::next(it);
      }
    }
    for (int i = 0; i <= 400; ++i) {
      const std::string id = absl::StrCat("wh_", i);
      const auto found = log->Find("openai", id);
      ASSERT_EQ(found.ok(), stored.count(id) == 1) << id;
      const Sequence expected = stored.count(id) == 1 ? stored[id] : 0;
      ASSERT_EQ(found.ok() ? (*found)->sequence : 0, expected) << id;
      EXPECT_FALSE(log->Find("another", id).ok());
    }
  }
}

// A log as an older version left it: one index, and no runs.
TEST(WebhooksOfALogTest, OlderLogIsIndexedWhenItIsOpened) {
  const std::string folder = FreshTestFolder();
  {
    auto log = OpenLog(folder, 1000);
    for (int i = 1; i <= 25; ++i) AppendEvent(*log, {.webhook_id = absl::StrCat("wh_", i)});
  }
  MakeVersion4(folder + "/events.db");
  ASSERT_TRUE(OpenDatabase(folder)
                  ->Execute("DROP TABLE webhook_runs; DROP TABLE webhook_pages;"
                            "CREATE UNIQUE INDEX events_by_webhook ON events (source, webhook_id);"
                            "DROP INDEX other_events_by_time;"
                            "CREATE INDEX events_by_time ON events (receive_time_us);"
                            "PRAGMA user_version = 2")
                  .ok());
  auto log = OpenLog(folder, 10);
  EXPECT_EQ(ReadInt(*OpenDatabase(folder), "SELECT count(*) FROM webhook_runs"), 2);
  for (int i = 1; i <= 25; ++i) {
    const auto repeat = TryAppend(*log, {.webhook_id = absl::StrCat("wh_", i)});
    ASSERT_TRUE(repeat.ok()) << repeat.status();
    EXPECT_EQ(repeat->outcome, Outcome::kDuplicate);
    EXPECT_EQ(repeat->sequence, i);
  }
  AppendEvent(*log, {.webhook_id = "wh_26"});
}

TEST(WebhooksOfALogTest, NothingIsWrittenAtAStartThatMayNotWrite) {
  const std::string folder = FreshTestFolder();
  {
    auto log = OpenLog(folder, 1000);
    for (int i = 1; i <= 25; ++i) AppendEvent(*log, {.webhook_id = absl::StrCat("wh_", i)});
  }
  const auto database = OpenDatabase(folder);
  const auto index = WebhookIndex::Open(*database, {1, 25}, 10, /*may_write=*/false);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(ReadInt(*database, "SELECT count(*) FROM webhook_runs"), 0);
  auto page = *WebhookIndex::PreparePage(*database);
  EXPECT_THAT(*(*index)->Find(HashWebhook("openai", "wh_7"), page), ElementsAre(7));
}

}  // namespace
}  // namespace hookgate
