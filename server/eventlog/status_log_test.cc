// How the gateway is, in the log: written beside commits, read at the next start.

#include "server/eventlog/status_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/store/database.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }

// Has one set of changes to write, and remembers what the log told it.
class FakeCompanion final : public CommitCompanion {
 public:
  StatusChanges changes;
  GroupOutcomes due;
  GroupOutcomes committed;
  int commits = 0;

  const StatusChanges* Due(const GroupOutcomes& outcomes) override {
    due = outcomes;
    return changes.empty() ? nullptr : &changes;
  }
  void Committed(const GroupOutcomes& outcomes) override {
    committed = outcomes;
    ++commits;
  }
};

class StatusLogTest : public testing::Test {
 protected:
  void Open() {
    log_.reset();
    auto log =
        SqliteEventLog::Open({.data_dir = folder_, .reserved_wal_bytes = 0}, nullptr, &companion_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  absl::Status Commit() {
    absl::Notification done;
    absl::Status outcome;
    log_->CommitStatus([&](absl::Status status) {
      outcome = std::move(status);
      done.Notify();
    });
    done.WaitForNotification();
    return outcome;
  }

  const std::string folder_ = FreshTestFolder();
  FakeCompanion companion_;  // outlives the log
  std::unique_ptr<SqliteEventLog> log_;
};

TEST_F(StatusLogTest, WhatIsWrittenIsReadAfterARestartAndChangesReplaceIt) {
  Open();
  const auto nothing = log_->LoadStatus();
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_EQ(nothing->head.salt, "");
  EXPECT_THAT(nothing->counters, IsEmpty());

  const StatusHead head = {.salt = std::string("\0salt", 5), .since = At(5), .last_reload = "r"};
  const SourceStatus source = {.webhooks = 7, .last_webhook = At(9), .absent = absl::Hours(30)};
  const SecretId old_id = {.source = "openai", .name = "old", .tag = 65535};
  const SecretId new_id = {.source = "openai", .name = "new", .tag = 0};
  const SecretStatus old_secret = {.generation = 1,
                                   .first_configured = At(1),
                                   .last_verified = At(8),
                                   .last_needed = At(6),
                                   .webhooks_then = 4,
                                   .absent = absl::Hours(1)};
  const SecretStatus new_secret = {.generation = 2, .first_configured = At(2)};
  companion_.changes = {.head = head,
                        .counters = {{"stored", 3}, {"duplicates", 1}},
                        .sources = {{"openai", source}, {"gone", {}}},
                        .secrets = {{old_id, old_secret}, {new_id, new_secret}}};
  ASSERT_TRUE(Commit().ok());
  companion_.changes = {.counters = {{"stored", 4}},
                        .removed_sources = {"gone", "never there"},
                        .removed_secrets = {{.source = "openai", .name = "old", .tag = 7}}};
  ASSERT_TRUE(Commit().ok());
  companion_.changes = {};
  Open();
  const auto stored = log_->LoadStatus();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->head, head);
  EXPECT_THAT(stored->counters, UnorderedElementsAre(Pair("stored", 4), Pair("duplicates", 1)));
  EXPECT_THAT(stored->sources, ElementsAre(Pair("openai", source)));
  ASSERT_EQ(stored->secrets.size(), 2u);
  EXPECT_EQ(stored->secrets.at(old_id), old_secret);
  EXPECT_EQ(stored->secrets.at(new_id), new_secret);

  companion_.changes = {.removed_secrets = {old_id}};
  ASSERT_TRUE(Commit().ok());
  EXPECT_EQ(log_->LoadStatus()->secrets.size(), 1u);
}

// A webhook's own commit carries what it has done; a release from quarantine is no webhook.
TEST_F(StatusLogTest, CompanionHearsWhatEachGroupDid) {
  Open();
  AppendEvent(*log_, {.webhook_id = "a"});
  EXPECT_EQ(companion_.due.stored, 1);
  ASSERT_TRUE(TryAppend(*log_, {.webhook_id = "a"}).ok());
  EXPECT_EQ(companion_.due.stored, 0);
  EXPECT_EQ(companion_.due.duplicates, 1);
  ASSERT_TRUE(TryAppend(*log_, {.webhook_id = "a", .raw_body = "{ }"}).ok());
  EXPECT_EQ(companion_.due.conflicts, 1);
  EXPECT_EQ(companion_.commits, 3);
  PutIntoQuarantine(*log_, {.source = "s", .webhook_id = "q"});
  PutIntoQuarantine(*log_, {.source = "s", .webhook_id = "q2"});
  EXPECT_EQ(companion_.committed.quarantined, 1);
  auto event = std::make_unique<StoredEvent>();
  event->source = "s";
  event->webhook_id = "q";
  ASSERT_TRUE(Release(*log_, 1, std::move(event)).ok());
  EXPECT_EQ(companion_.committed.stored, 0);
  EXPECT_EQ(companion_.committed.quarantined, 0);
  ASSERT_TRUE(log_->TrimQuarantine({.touch = 2}).ok());
  // The step after the last entry removed nothing.
  EXPECT_EQ(companion_.committed.removed_from_quarantine, 0);
}

// A row that a damaged page, or a person, has left is taken for none: the gateway starts.
TEST_F(StatusLogTest, ValuesThatCannotBeAreTakenForNone) {
  Open();
  log_.reset();
  {
    auto database = *Database::Open(folder_ + "/events.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(
        database
            ->Execute("INSERT INTO status VALUES (1, x'01', -1, x'ff');"
                      "INSERT INTO status_counters VALUES ('stored', -5);"
                      "INSERT INTO source_status VALUES ('s', -1, 9223372036854775807, -1);"
                      "INSERT INTO secret_status VALUES ('s', 'a', 1, -1, -1, -1, -1, -1, -1)")
            .ok());
  }
  Open();
  const auto stored = log_->LoadStatus();
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->head.since, absl::UnixEpoch());
  EXPECT_EQ(stored->counters.at("stored"), 0);
  EXPECT_EQ(stored->sources.at("s"), SourceStatus());
  EXPECT_EQ(stored->secrets.begin()->second, (SecretStatus{.first_configured = absl::UnixEpoch()}));
}

TEST_F(StatusLogTest, OfTwoStatesOnlyWhatDiffersIsWritten) {
  StoredStatus from;
  from.head.salt = "s";
  from.counters = {{"a", 1}, {"b", 2}};
  from.sources = {{"x", {.webhooks = 1}}, {"y", {.webhooks = 2}}};
  from.secrets = {{{.name = "k"}, {}}};
  EXPECT_TRUE(ChangesBetween(from, from).empty());
  StoredStatus to = from;
  to.counters = {{"b", 3}};
  to.sources = {{"x", {.webhooks = 1}}, {"z", {}}};
  to.secrets = {{{.name = "k"}, {.generation = 1}}};
  const StatusChanges changes = ChangesBetween(from, to);
  EXPECT_FALSE(changes.head.has_value());
  EXPECT_THAT(changes.counters, ElementsAre(Pair("b", 3)));
  EXPECT_THAT(changes.sources, ElementsAre(Pair("z", SourceStatus())));
  EXPECT_THAT(changes.removed_sources, ElementsAre("y"));
  EXPECT_EQ(changes.secrets.size(), 1u);
  EXPECT_THAT(changes.removed_secrets, IsEmpty());
}

}  // namespace
}  // namespace hookgate
