#include "server/status/status_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/support/fake_clock.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::Pair;

Secret MakeSecret(const std::string& name, const std::string& text) {
  return *Secret::Parse(name, text);
}

// The book, with a log that keeps what it is given.
class StatusBookTest : public testing::Test {
 protected:
  // As a start would.
  void Restart() {
    book_ = std::make_unique<StatusBook>(clock_);
    book_->Restore(stored_);
  }
  std::vector<SourceRecords> Configure(const std::vector<Secret>& secrets,
                                       absl::string_view name = "openai") {
    return book_->Configure({{.name = name, .secrets = secrets}});
  }
  // A group is committed; returns whether it carried something.
  bool Commit(const GroupOutcomes& outcomes = {}) {
    const StatusChanges* const due = book_->Due(outcomes);
    const bool carried = due != nullptr;
    if (carried) Apply(*due);
    book_->Committed(outcomes);
    return carried;
  }
  void Apply(const StatusChanges& changes) {
    if (changes.head.has_value()) stored_.head = *changes.head;
    for (const auto& [name, value] : changes.counters) stored_.counters[name] = value;
    for (const auto& [name, status] : changes.sources) stored_.sources[name] = status;
    for (const auto& [id, status] : changes.secrets) stored_.secrets[id] = status;
    for (const std::string& name : changes.removed_sources) stored_.sources.erase(name);
    for (const SecretId& id : changes.removed_secrets) stored_.secrets.erase(id);
    ++writes_;
  }
  void CommitAfterASecond() {
    clock_.Advance(StatusBook::kWriteInterval);
    Commit();
  }

  FakeClock clock_;
  StoredStatus stored_;
  int writes_ = 0;
  std::unique_ptr<StatusBook> book_;
};

// What GetStatus had counted was forgotten by each restart.
TEST_F(StatusBookTest, CountsTimesAndTheLastReloadOutliveARestart) {
  const std::vector<Secret> secrets = {MakeSecret("old", kTestSecret),
                                       MakeSecret("new", kNewSecret)};
  Restart();
  const absl::Time made = clock_.WallNow();
  auto records = Configure(secrets);
  records[0].NoteWebhook({1}, made + absl::Seconds(3));
  book_->counters().stored = 3;
  book_->counters().CountRefused("not_found");
  book_->SetLastReload("how it ended");
  EXPECT_TRUE(book_->HasChanges(false));
  EXPECT_TRUE(Commit());
  EXPECT_FALSE(book_->HasChanges(false));

  clock_.Advance(absl::Hours(1));
  Restart();
  records = Configure({secrets[1], secrets[0]});  // Their order means nothing.
  EXPECT_EQ(book_->since(), made);
  EXPECT_EQ(book_->counters().stored, 3);
  EXPECT_THAT(book_->counters().RefusedByReason(), ElementsAre(Pair("not_found", 1)));
  EXPECT_EQ(book_->last_reload(), "how it ended");
  EXPECT_EQ(records[0].source().webhooks, 1);
  EXPECT_EQ(records[0].source().last_webhook, absl::optional<absl::Time>(made + absl::Seconds(3)));
  EXPECT_EQ(records[0].secret(0).last_verified,
            absl::optional<absl::Time>(made + absl::Seconds(3)));
  EXPECT_EQ(records[0].secret(0).webhooks_then, 1);
  EXPECT_EQ(records[0].secret(1).last_verified, absl::nullopt);
  EXPECT_EQ(records[0].secret(1).first_configured, made);
  EXPECT_FALSE(book_->HasChanges(true));
}

TEST_F(StatusBookTest, ASecretIsKnownByItsNameAndKeyAndWhatIsStoredSaysNothingOfTheKey) {
  Restart();
  Configure({MakeSecret("a", kTestSecret)})[0].NoteWebhook({0}, clock_.WallNow());
  CommitAfterASecond();
  Restart();
  // Another key under its name; its key under another name.
  auto records = Configure({MakeSecret("a", kNewSecret), MakeSecret("b", kTestSecret)});
  EXPECT_EQ(records[0].secret(0).last_verified, absl::nullopt);
  EXPECT_EQ(records[0].secret(1).last_verified, absl::nullopt);
  EXPECT_GT(records[0].secret(0).generation, 1);
  // Put back, it goes on where it was.
  records = Configure({MakeSecret("a", kTestSecret)});
  EXPECT_TRUE(records[0].secret(0).last_verified.has_value());
  EXPECT_EQ(records[0].secret(0).generation, 1);
  // Another source's is another secret.
  EXPECT_EQ(Configure({MakeSecret("a", kTestSecret)}, "other")[0].secret(0).last_verified,
            absl::nullopt);

  // 16 bits, and others in another log.
  std::set<int64_t> tags;
  for (int log = 0; log < 20; ++log) {
    stored_ = {};
    Restart();
    Configure({MakeSecret("a", kTestSecret)});
    CommitAfterASecond();
    const int64_t tag = stored_.secrets.begin()->first.tag;
    EXPECT_GE(tag, 0);
    EXPECT_LT(tag, 1 << 16);
    tags.insert(tag);
  }
  EXPECT_GT(tags.size(), 10u);
}

// A webhook that two secrets have signed needs the newer one alone, whatever the clock said and the
// config's order is.
TEST_F(StatusBookTest, OfSeveralSecretsTheNewestIsTheOneThatWasNeeded) {
  Restart();
  const Secret old_secret = MakeSecret("old", kTestSecret);
  Configure({old_secret});
  CommitAfterASecond();
  clock_.SetWall(clock_.WallNow() - absl::Hours(1000));
  Restart();
  const auto records = Configure({MakeSecret("new", kNewSecret), old_secret});
  const absl::Time time = clock_.WallNow();
  records[0].NoteWebhook({1}, time);
  records[0].NoteWebhook({0, 1}, time + absl::Seconds(1));
  EXPECT_EQ(records[0].secret(0).last_needed, absl::optional<absl::Time>(time + absl::Seconds(1)));
  EXPECT_EQ(records[0].secret(0).webhooks_then, 2);
  EXPECT_EQ(records[0].secret(1).last_needed, absl::optional<absl::Time>(time));
  EXPECT_EQ(records[0].secret(1).last_verified,
            absl::optional<absl::Time>(time + absl::Seconds(1)));
  EXPECT_EQ(records[0].secret(1).webhooks_then, 1);
}

// That of the two which was the newer one, by its name, was said to be the one that can go.
TEST_F(StatusBookTest, OfTwoThatCameTogetherNobodyKnowsWhichIsNewer) {
  Restart();
  const Secret a = MakeSecret("a", kTestSecret);
  const Secret b = MakeSecret("b", kNewSecret);
  const auto records = Configure({b, a});
  const absl::Time time = clock_.WallNow();
  records[0].NoteWebhook({0, 1}, time);
  EXPECT_EQ(records[0].secret(0).last_needed, absl::optional<absl::Time>(time));
  EXPECT_EQ(records[0].secret(1).last_needed, absl::optional<absl::Time>(time));
  EXPECT_EQ(records[0].secret(0).webhooks_then, 1);
  EXPECT_EQ(records[0].secret(1).webhooks_then, 1);
  records[0].NoteWebhook({1}, time + absl::Seconds(1));
  EXPECT_EQ(records[0].secret(0).last_needed, absl::optional<absl::Time>(time));
}

// The commit of a webhook carries what the webhook counts: it needs no second one.
TEST_F(StatusBookTest, ACommitCarriesWhatItsOwnGroupDoes) {
  Restart();
  const auto records = Configure({MakeSecret("a", kTestSecret)});
  CommitAfterASecond();
  clock_.Advance(absl::Seconds(2));
  records[0].NoteWebhook({0}, clock_.WallNow());
  EXPECT_TRUE(Commit({.stored = 2, .duplicates = 1, .conflicts = 1, .quarantined = 1}));
  IngestCounters& counters = book_->counters();
  counters.stored += 2;
  ++counters.duplicates;
  ++counters.conflicts;
  ++counters.quarantined;
  EXPECT_FALSE(book_->HasChanges(true));
  EXPECT_EQ(stored_.counters.at("stored"), 2);
  EXPECT_EQ(stored_.sources.at("openai").webhooks, 1);
  // What the log removes by itself is counted here.
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(Commit({.removed_from_quarantine = 3}));
  EXPECT_EQ(counters.removed_from_quarantine, 3);
  EXPECT_FALSE(book_->HasChanges(true));
}

TEST_F(StatusBookTest, IsWrittenOnceASecondAtMostAndNotAtAllWhenIdle) {
  Restart();
  const auto records = Configure({MakeSecret("a", kTestSecret)});
  CommitAfterASecond();
  const int before = writes_;
  for (int i = 0; i < 100; ++i) {
    clock_.Advance(absl::Milliseconds(100));
    records[0].NoteWebhook({0}, clock_.WallNow());
    Commit({.stored = 1});
    ++book_->counters().stored;
  }
  EXPECT_EQ(writes_ - before, 10);
  EXPECT_EQ(book_->UntilDue(), StatusBook::kWriteInterval);
  clock_.Advance(absl::Milliseconds(400));
  EXPECT_EQ(book_->UntilDue(), absl::Milliseconds(600));
  records[0].NoteWebhook({0}, clock_.WallNow());
  EXPECT_FALSE(Commit());
  // The end does not wait.
  book_->MakeDue();
  EXPECT_TRUE(Commit());
  EXPECT_FALSE(book_->HasChanges(true));
  for (int i = 0; i < 100; ++i) {
    CommitAfterASecond();
    EXPECT_FALSE(book_->HasChanges(false));
  }
  EXPECT_EQ(writes_ - before, 11);
}

TEST_F(StatusBookTest, WhatWasNotCommittedIsDueAgain) {
  Restart();
  book_->counters().stored = 1;
  ASSERT_NE(book_->Due({}), nullptr);
  // The disk was full. The next group comes at once, and carries nothing.
  EXPECT_EQ(book_->Due({}), nullptr);
  book_->Committed({});
  EXPECT_TRUE(book_->HasChanges(false));
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Commit());
  EXPECT_EQ(stored_.counters.at("stored"), 1);
}

TEST_F(StatusBookTest, WithoutALogNothingIsDue) {
  StatusBook book(clock_);
  ++book.counters().stored;
  book.MakeDue();
  EXPECT_FALSE(book.HasChanges(true));
  EXPECT_EQ(book.Due({}), nullptr);
}

// Whoever changes the names of sources all the time must not fill the log.
TEST_F(StatusBookTest, WhatLeftTheConfigIsForgottenAfterAWhileWhateverTheWallClockSays) {
  Restart();
  const std::vector<Secret> secrets = {MakeSecret("a", kTestSecret)};
  Configure(secrets, "gone")[0].NoteWebhook({0}, clock_.WallNow());
  Configure(secrets, "there");
  CommitAfterASecond();
  clock_.SetWall(clock_.WallNow() + absl::Hours(24 * 3650));
  CommitAfterASecond();
  EXPECT_EQ(stored_.sources.size(), 2u);
  // Time that counts is kept over restarts, from the end on to the moment.
  clock_.Advance(absl::Hours(24 * 50));
  EXPECT_TRUE(book_->HasChanges(false));
  CommitAfterASecond();
  clock_.Advance(absl::Hours(3));
  EXPECT_FALSE(book_->HasChanges(false));  // It can wait.
  book_->MakeDue();
  Commit();
  EXPECT_GE(stored_.sources.at("gone").absent, absl::Hours(24 * 50 + 3));
  Restart();
  Configure(secrets, "there");
  clock_.Advance(absl::Hours(24 * 40 - 4));
  CommitAfterASecond();
  EXPECT_EQ(stored_.sources.size(), 2u);
  clock_.Advance(absl::Hours(2));
  CommitAfterASecond();
  EXPECT_EQ(stored_.sources.size(), 1u);
  EXPECT_EQ(stored_.secrets.size(), 1u);
  // It is new when it comes again.
  EXPECT_EQ(Configure(secrets, "gone")[0].source().webhooks, 0);
}

TEST_F(StatusBookTest, OfWhatLeftTheConfigABoundedNumberIsKeptTheNewestOnes) {
  Restart();
  const std::vector<Secret> secrets = {MakeSecret("a", kTestSecret)};
  for (size_t i = 0; i < StatusBook::kMaxAbsent + 20; ++i) {
    Configure(secrets, absl::StrCat("s", i));
    clock_.Advance(absl::Minutes(1));
  }
  Configure(secrets, "last");
  book_->MakeDue();
  Commit();
  EXPECT_EQ(stored_.sources.size(), StatusBook::kMaxAbsent + 1);
  EXPECT_EQ(stored_.secrets.size(), StatusBook::kMaxAbsent + 1);
  EXPECT_EQ(stored_.sources.count("s19"), 0u);
  EXPECT_EQ(stored_.sources.count("s20"), 1u);
  EXPECT_EQ(stored_.sources.count("last"), 1u);
}

}  // namespace
}  // namespace hookgate
