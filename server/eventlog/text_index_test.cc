#include "server/eventlog/text_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/store/schema.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// On a database of its own, without events.
class TextIndexTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(MigrateSchema(*database_, "0000000000000001").ok());
    Open(/*entries_per_run=*/8);
  }

  // In chunks of a quarter of a run.
  void Open(int64_t entries_per_run) {
    page_.reset();
    index_ = *TextIndex::Open(*database_, {}, entries_per_run, /*may_write=*/true);
    page_.emplace(*TextIndex::PreparePage(*database_));
  }
  void Commit(const TextEntries& entries, Sequence earliest = 1) {
    auto transaction = *Transaction::Begin(*database_, Transaction::Kind::kWrite);
    ASSERT_TRUE(index_->Write(*database_, earliest).ok());
    ASSERT_TRUE(transaction.Commit().ok());
    index_->Committed(entries);
  }
  void RollBack() {
    auto transaction = *Transaction::Begin(*database_, Transaction::Kind::kWrite);
    ASSERT_TRUE(index_->Write(*database_, 1).ok());
    index_->RolledBack();
  }
  // Until nothing is left to write.
  void Settle() {
    for (int i = 0; i < 2000; ++i) Commit({});
  }
  std::vector<Sequence> Find(TextHash hash, size_t max = 100) {
    std::vector<Sequence> found;
    const absl::Status status =
        index_->Find(hash, *page_, [&](Sequence sequence) -> absl::StatusOr<bool> {
          found.push_back(sequence);
          return found.size() < max;
        });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }
  int64_t Rows(const std::string& table) {
    auto row = database_->Prepare("SELECT count(*) FROM " + table);
    EXPECT_TRUE(row.ok() && *row->Step());
    return row->ColumnInt(0);
  }

  const std::unique_ptr<Database> database_ = *Database::Open(":memory:", Database::Mode::kCreate);
  std::unique_ptr<TextIndex> index_;
  absl::optional<Statement> page_;
};

TEST_F(TextIndexTest, NewestIsFoundFirstInMemoryAndInRuns) {
  TextEntries entries;
  for (Sequence sequence = 1; sequence <= 10; ++sequence) {
    entries.push_back({sequence % 2 == 0 ? ~TextHash{0} : TextHash{5}, sequence});
  }
  Commit(entries);
  EXPECT_THAT(Find(5), ElementsAre(9, 7, 5, 3, 1));
  Settle();
  EXPECT_EQ(Rows("text_runs"), 1);
  EXPECT_THAT(Find(5), ElementsAre(9, 7, 5, 3, 1));
  EXPECT_THAT(Find(~TextHash{0}), ElementsAre(10, 8, 6, 4, 2));
  EXPECT_THAT(Find(5, 2), ElementsAre(9, 7));
  EXPECT_THAT(Find(6), IsEmpty());
}

TEST_F(TextIndexTest, StartFindsWhatPiecesAndRunsHold) {
  TextEntries entries;
  for (Sequence sequence = 1; sequence <= 15; ++sequence) {
    entries.push_back({static_cast<TextHash>(sequence), sequence});
  }
  Commit(entries);
  Settle();
  EXPECT_EQ(Rows("text_runs"), 1);
  EXPECT_EQ(Rows("text_pieces"), 3) << "the last entry is in no full chunk";
  Open(8);
  for (Sequence sequence = 1; sequence <= 14; ++sequence) {
    EXPECT_THAT(Find(static_cast<TextHash>(sequence)), ElementsAre(sequence));
  }
}

// A start goes on behind the last event of a piece, so a piece may not end within an event.
TEST_F(TextIndexTest, EntriesOfOneEventAreInOnePiece) {
  Open(/*entries_per_run=*/12);  // Chunks of 3.
  Commit({{1, 1}, {2, 1}, {3, 2}, {4, 2}, {5, 3}, {6, 3}, {7, 4}, {8, 4}});
  Settle();
  EXPECT_EQ(Rows("text_pieces"), 3);
  auto row = *database_->Prepare(
      "SELECT max(length(entries)), min(length(entries)) "
      "FROM text_pieces");
  ASSERT_TRUE(*row.Step());
  EXPECT_EQ(row.ColumnInt(0), 24);
  EXPECT_EQ(row.ColumnInt(1), 24);
}

TEST_F(TextIndexTest, WhatIsRolledBackWasNeverWritten) {
  TextEntries entries;
  for (Sequence sequence = 1; sequence <= 9; ++sequence) {
    entries.push_back({static_cast<TextHash>(sequence), sequence});
  }
  Commit(entries);
  for (int i = 0; i < 10; ++i) {
    RollBack();
    for (Sequence sequence = 1; sequence <= 9; ++sequence) {
      EXPECT_THAT(Find(static_cast<TextHash>(sequence)), ElementsAre(sequence));
    }
    Commit({});
  }
  Settle();
  EXPECT_EQ(Rows("text_runs"), 1);
  for (Sequence sequence = 1; sequence <= 9; ++sequence) {
    EXPECT_THAT(Find(static_cast<TextHash>(sequence)), ElementsAre(sequence));
  }
}

TEST_F(TextIndexTest, RunsGoWithTheirEvents) {
  TextEntries entries;
  for (Sequence sequence = 1; sequence <= 9; ++sequence) {
    entries.push_back({static_cast<TextHash>(sequence), sequence});
  }
  Commit(entries);
  Settle();
  Commit({}, /*earliest=*/8);
  EXPECT_THAT(Find(1), ElementsAre(1)) << "event 8 is in the same run";
  for (int i = 0; i < 10; ++i) Commit({}, /*earliest=*/9);
  EXPECT_THAT(Find(1), IsEmpty());
  EXPECT_THAT(Find(9), ElementsAre(9));
  EXPECT_EQ(Rows("text_runs"), 0);
  EXPECT_EQ(Rows("text_pages"), 0);
}

TEST_F(TextIndexTest, RunThatWasNotFinishedLeavesNothingBehind) {
  std::mt19937_64 random(1);
  Open(/*entries_per_run=*/4096);
  TextEntries entries;
  for (Sequence sequence = 1; sequence <= 5000; ++sequence) entries.push_back({random(), sequence});
  Commit(entries);
  for (int i = 0; i < 20; ++i) Commit({});
  EXPECT_GT(Rows("text_pages"), 0);
  ASSERT_EQ(Rows("text_runs"), 0);
  Open(/*entries_per_run=*/100'000);
  Commit({});
  EXPECT_EQ(Rows("text_pages"), 0);
}

// A commit that wrote a whole run would stop the others.
TEST_F(TextIndexTest, RunIsWrittenALittleWithEachCommit) {
  std::mt19937_64 random(1);
  Open(/*entries_per_run=*/16'384);
  TextEntries entries;
  for (Sequence sequence = 1; sequence <= 20'000; ++sequence) {
    entries.push_back({random(), sequence});
  }
  Commit(entries);
  int64_t pages = 0;
  int commits = 0;
  for (; Rows("text_runs") == 0; ++commits) {
    ASSERT_LT(commits, 1000);
    const int64_t pieces = Rows("text_pieces");
    Commit({});
    EXPECT_LE(Rows("text_pages"), pages + 16);
    EXPECT_LE(Rows("text_pieces"), pieces + 1);
    pages = Rows("text_pages");
  }
  EXPECT_GT(commits, 2048 / 16);
  for (const TextEntry& entry : entries) {
    ASSERT_THAT(Find(entry.hash), ElementsAre(entry.sequence));
  }
}

// A subject may have a million events: a run keeps the newest of them, however they lie among
// others.
TEST_F(TextIndexTest, OfOneTextARunKeepsTheNewest) {
  std::mt19937_64 random(1);
  constexpr Sequence kInRun = 9 * TextIndex::kEntriesPerChunk;
  Open(/*entries_per_run=*/kInRun);
  constexpr TextHash kCommon = 77;
  TextEntries entries;
  Sequence last_common = 0;
  for (Sequence sequence = 1; sequence <= 45'000; ++sequence) {
    const bool common = sequence % 10 != 0;
    if (common && sequence <= kInRun) last_common = sequence;
    entries.push_back({common ? kCommon : random(), sequence});
  }
  Commit(entries);
  Settle();
  ASSERT_EQ(Rows("text_runs"), 1);
  auto longest = *database_->Prepare("SELECT max(length(entries)) FROM text_pages");
  ASSERT_TRUE(*longest.Step());
  EXPECT_LT(longest.ColumnInt(0), 2 * 1024 * 12);
  const std::vector<Sequence> found = Find(kCommon, 100'000);
  EXPECT_TRUE(std::is_sorted(found.rbegin(), found.rend()));
  EXPECT_THAT(found, testing::Contains(last_common));
  EXPECT_EQ(found.front(), 44'999);
  for (const TextEntry& entry : entries) {
    if (entry.hash == kCommon) continue;
    ASSERT_THAT(Find(entry.hash), ElementsAre(entry.sequence));
  }
}

TEST(TextHashesTest, EachTextOnceAndNoneThatIsNoKey) {
  EXPECT_EQ(TextHashes("", "").count, 0);
  EXPECT_EQ(TextHashes("evt_1", "batch_1").count, 2);
  EXPECT_EQ(TextHashes("same", "same").count, 1);
  EXPECT_EQ(TextHashes(std::string(1024, 'a'), "").count, 1);
  EXPECT_EQ(TextHashes(std::string(1025, 'a'), "batch_1").count, 1);
}

// The disk holds hashes.
TEST(TextHashesTest, HashNeverChanges) {
  EXPECT_EQ(HashText(""), 0xf52a15e9a9b5e89bu);
  EXPECT_EQ(HashText("batch_1"), 0x87850260f874f2f5u);
}

// A log as an older version left it has events, and no index of texts.
TEST(TextsOfALogTest, OlderLogIsIndexedWhenItIsOpened) {
  const std::string folder = FreshTestFolder();
  {
    auto log = OpenTemporaryLog(nullptr, folder);
    for (int i = 1; i <= 25; ++i) AppendEvent(*log, {.subject = absl::StrCat("batch_", i)});
  }
  MakeVersion4(folder + "/events.db");
  for (const int opening : {1, 2}) {
    auto log = SqliteEventLog::Open({.data_dir = folder, .texts_per_run = 8}, nullptr);
    ASSERT_TRUE(log.ok()) << log.status();
    for (int i = 1; i <= 25; ++i) {
      const auto found = (*log)->FindByText(absl::StrCat("batch_", i), {}, 20,
                                            [](const std::string&) { return true; });
      ASSERT_TRUE(found.ok()) << found.status();
      ASSERT_EQ(found->events.size(), 1) << opening << " " << i;
      EXPECT_EQ(found->events[0]->sequence, i);
    }
  }
}

// The log against a map, over appends, retention and reopenings.
TEST(TextsOfALogTest, EveryEventIsFoundByItsSubject) {
  const auto seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  const auto choose = [&](int to) { return std::uniform_int_distribution<int>(0, to)(random); };
  const std::string folder = FreshTestFolder();
  std::multimap<std::string, Sequence> stored;
  for (int opening = 0; opening < 8; ++opening) {
    auto opened =
        SqliteEventLog::Open({.data_dir = folder, .texts_per_run = 5 + choose(20)}, nullptr);
    ASSERT_TRUE(opened.ok()) << opened.status();
    SqliteEventLog& log = **opened;
    for (int step = 0; step < 40; ++step) {
      const std::string subject = absl::StrCat("batch_", choose(60));
      stored.emplace(subject, AppendEvent(log, {.subject = subject}));
    }
    if (choose(2) == 0) {
      const Sequence cutoff = std::min(log.Position().earliest + choose(30), log.Position().head);
      ASSERT_TRUE(log.Trim({cutoff, cutoff}).ok());
      for (auto it = stored.begin(); it != stored.end();) {
        it = it->second < log.Position().earliest ? stored.erase(it) : std::next(it);
      }
    }
    for (int i = 0; i <= 60; ++i) {
      const std::string subject = absl::StrCat("batch_", i);
      std::vector<Sequence> expected;
      const auto [begin, end] = stored.equal_range(subject);
      for (auto it = begin; it != end; ++it) expected.insert(expected.begin(), it->second);
      const auto found = log.FindByText(subject, {}, 100, [](const std::string&) { return true; });
      ASSERT_TRUE(found.ok()) << found.status();
      std::vector<Sequence> sequences;
      for (const StoredEventPtr& event : found->events) sequences.push_back(event->sequence);
      ASSERT_EQ(sequences, expected) << subject;
    }
  }
}

}  // namespace
}  // namespace hookgate
