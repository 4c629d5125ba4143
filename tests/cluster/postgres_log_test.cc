// PostgreSQL as the log of a cluster: the suite that every engine passes, and what is only true of
// PostgreSQL, on real servers.
#include "server/replication/postgres_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/replication/replicated_log_conformance.h"
#include "tests/cluster/postgres_cluster.h"

namespace hookgate {
namespace {

using testing::SizeIs;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr int kAttempts = 100;

// One for all tests of the process: a server takes seconds to make. Null if there is none here.
PostgresCluster* Shared() {
  static PostgresCluster* const cluster = [] {
    // Ended, and its folder removed, with the process.
    std::atexit([] { delete Shared(); });
    return PostgresCluster::Start().release();
  }();
  return cluster;
}

std::unique_ptr<ReplicatedLog> OpenOn(const std::string& uri, const ReplicatedLogOptions& options,
                                      bool trust_storage = false) {
  absl::StatusOr<std::unique_ptr<ReplicatedLog>> log =
      OpenPostgresLog(options, {.uri = uri, .trust_storage = trust_storage});
  EXPECT_TRUE(log.ok()) << log.status();
  return log.ok() ? std::move(*log) : nullptr;
}

class PostgresConformanceEngine final : public ConformanceEngine {
 public:
  explicit PostgresConformanceEngine(PostgresCluster& cluster) : cluster_(cluster) {}

  std::unique_ptr<ReplicatedLog> Open(const ReplicatedLogOptions& options) override {
    // Both are named, so that each connection has to find the primary.
    return OpenOn(cluster_.UriOfAll(), options);
  }
  void BreakConnections() override {
    cluster_.Execute(0,
                     "select pg_terminate_backend(pid) from pg_stat_activity"
                     " where application_name = 'hookgated'");
  }
  void Freeze() override {
    for (int i = 0; i < cluster_.servers(); ++i) cluster_.Freeze(i);
  }
  void Thaw() override {
    for (int i = 0; i < cluster_.servers(); ++i) cluster_.Thaw(i);
  }

 private:
  PostgresCluster& cluster_;
};

ConformanceEngine* MakePostgresEngine() {
  static PostgresConformanceEngine* const engine =
      Shared() == nullptr ? nullptr : new PostgresConformanceEngine(*Shared());
  return engine;
}

INSTANTIATE_TEST_SUITE_P(PostgreSql, ReplicatedLogConformanceTest,
                         testing::Values(ConformanceEngineMaker{&MakePostgresEngine}));

class PostgresLogTest : public testing::Test {
 protected:
  void SetUp() override {
    cluster_ = Shared();
    if (cluster_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    static int last = 0;
    options_.cluster = absl::StrCat("p", ++last);
  }

  std::unique_ptr<ReplicatedLog> Open() { return OpenOn(cluster_->Uri(), options_); }

  CompareAppendResult Append(ReplicatedLog& log, LogIndex expected, const std::string& bytes) {
    CompareAppendResult result;
    for (int i = 0; i < kAttempts; ++i) {
      result = log.CompareAppend(expected, bytes, kPatience);
      if (result.outcome != CompareAppendOutcome::kUnknown &&
          ReasonOf(result.status) != log_reason::kEngineUnavailable) {
        break;
      }
    }
    return result;
  }

  PostgresCluster* cluster_ = nullptr;
  ReplicatedLogOptions options_;
};

// An append is done when a standby has it, and not before: without one it is unknown, for as long
// as there is none.
TEST_F(PostgresLogTest, AppendWaitsForAStandby) {
  const auto log = Open();
  EXPECT_EQ(Append(*log, 0, "a").outcome, CompareAppendOutcome::kAppended);
  cluster_->Freeze(1);
  // Each attempt is given up by the client alone; none of them may tie up one more connection of
  // the server.
  for (int i = 0; i < 5; ++i) {
    const CompareAppendResult result = log->CompareAppend(1, "b", absl::Milliseconds(500));
    EXPECT_EQ(result.outcome, CompareAppendOutcome::kUnknown) << i;
  }
  EXPECT_EQ(cluster_->Execute(0,
                              "select count(*) from pg_stat_activity"
                              " where wait_event = 'SyncRep'"),
            "1");
  // What waits is shown to nobody.
  const auto records = Open()->Read(1, {});
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(*records, SizeIs(1));
  cluster_->Thaw(1);
  EXPECT_EQ(Append(*log, 1, "b").outcome, CompareAppendOutcome::kAppended);
}

// PostgreSQL says INSERT 0 1 for a commit whose wait was cancelled, with a WARNING beside it.
// A replica that takes over would otherwise connect first, which takes longer than the append.
TEST_F(PostgresLogTest, APreparedAppendNeedsNoNewConnection) {
  const auto log = Open();
  ASSERT_TRUE(log->Last().ok());
  const int64_t before = log->State().connections;
  log->PrepareAppend(kPatience);
  EXPECT_EQ(log->State().connections, before + 1);
  EXPECT_EQ(Append(*log, 0, "a").outcome, CompareAppendOutcome::kAppended);
  log->PrepareAppend(kPatience);
  EXPECT_EQ(log->State().connections, before + 1);
  // One that the server has ended meanwhile is found out, and made anew.
  cluster_->Execute(0,
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'hookgated'");
  log->PrepareAppend(kPatience);
  log->PrepareAppend(kPatience);
  EXPECT_EQ(log->State().connections, before + 2);
  EXPECT_EQ(log->CompareAppend(1, "b", kPatience).outcome, CompareAppendOutcome::kAppended);
}

TEST_F(PostgresLogTest, CancelledWaitForTheStandbyIsNotAnAppend) {
  const auto log = Open();
  EXPECT_EQ(Append(*log, 0, "a").outcome, CompareAppendOutcome::kAppended);
  cluster_->Freeze(1);
  CompareAppendResult result;
  std::thread appending([&] { result = log->CompareAppend(1, "b", kPatience); });
  EXPECT_TRUE(BecomesTrue([&] {
    return cluster_->Execute(0,
                             "select count(pg_cancel_backend(pid)) from pg_stat_activity"
                             " where wait_event = 'SyncRep'") == "1";
  }));
  appending.join();
  EXPECT_EQ(result.outcome, CompareAppendOutcome::kUnknown);
  EXPECT_EQ(ReasonOf(result.status), log_reason::kEngineUnavailable);
  EXPECT_TRUE(absl::StrContains(result.status.message(), "warned")) << result.status;
  // It is shown now, although no standby has it, and nobody confirms it.
  options_.timeout = absl::Milliseconds(500);
  const auto reader = Open();
  const auto records = reader->Read(1, {});
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(*records, SizeIs(2));
  EXPECT_EQ(ReasonOf(reader->Confirm(2)), log_reason::kEngineUnavailable);
  EXPECT_EQ(log->CompareAppend(1, "b", absl::Milliseconds(500)).outcome,
            CompareAppendOutcome::kUnknown);
  cluster_->Thaw(1);
  EXPECT_EQ(Append(*log, 1, "b").outcome, CompareAppendOutcome::kAppended);
  EXPECT_TRUE(BecomesTrue([&] { return reader->Confirm(2).ok(); }));
}

// Whoever empties the setting has every commit on one machine alone from then on.
TEST_F(PostgresLogTest, StandbyNamesThatAreEmptiedAreNoticed) {
  const auto log = Open();
  EXPECT_EQ(Append(*log, 0, "a").outcome, CompareAppendOutcome::kAppended);
  ASSERT_TRUE(cluster_->Set(0, "synchronous_standby_names", ""));
  const CompareAppendResult result = log->CompareAppend(1, "b", kPatience);
  EXPECT_NE(result.outcome, CompareAppendOutcome::kAppended);
  EXPECT_EQ(ReasonOf(result.status), log_reason::kUnsafeSetting) << result.status;
  EXPECT_EQ(MetadataOf(result.status)["setting"], "synchronous_standby_names");
  const absl::Status refused = Open()->Last().status();
  EXPECT_EQ(ReasonOf(refused), log_reason::kUnsafeSetting) << refused;
  EXPECT_EQ(MetadataOf(refused)["setting"], "synchronous_standby_names");
  // In so many words it may be.
  const auto trusting = OpenOn(cluster_->Uri(), options_, /*trust_storage=*/true);
  EXPECT_EQ(Append(*trusting, 1, "c").outcome, CompareAppendOutcome::kAppended);
  EXPECT_THAT(trusting->State().trusted, testing::ElementsAre("trust_storage"));
  ASSERT_TRUE(cluster_->Set(0, "synchronous_standby_names", "ANY 1 (s1)"));
  EXPECT_EQ(Append(*log, 2, "d").outcome, CompareAppendOutcome::kAppended);
}

TEST_F(PostgresLogTest, UnsafeSettingsOfTheServerAreRefusedByName) {
  const auto refused_for = [&](const char* setting, const char* value, bool trust) {
    const std::string before = cluster_->Execute(0, absl::StrCat("show ", setting));
    EXPECT_TRUE(cluster_->Set(0, setting, value));
    const absl::Status status = OpenOn(cluster_->Uri(), options_, trust)->Last().status();
    EXPECT_TRUE(cluster_->Set(0, setting, before));
    return ReasonOf(status) == log_reason::kUnsafeSetting ? MetadataOf(status)["setting"]
                                                          : std::string(status.message());
  };
  EXPECT_EQ(refused_for("fsync", "off", false), "fsync");
  EXPECT_EQ(refused_for("fsync", "off", true), "fsync");
  EXPECT_EQ(refused_for("full_page_writes", "off", false), "full_page_writes");
  EXPECT_EQ(refused_for("full_page_writes", "off", true), "");
}

// They were looked at with each connection alone, and a connection lasts for months.
TEST_F(PostgresLogTest, SettingsThatBecomeUnsafeAreFoundAndNothingIsStoredUntilTheyAreMended) {
  const auto log = Open();
  EXPECT_EQ(Append(*log, 0, "a").outcome, CompareAppendOutcome::kAppended);
  EXPECT_TRUE(log->CheckSettings().ok());
  ASSERT_TRUE(cluster_->Set(0, "full_page_writes", "off"));
  const absl::Status found = log->CheckSettings();
  EXPECT_EQ(ReasonOf(found), log_reason::kUnsafeSetting) << found;
  EXPECT_EQ(MetadataOf(found)["setting"], "full_page_writes");
  const CompareAppendResult refused = log->CompareAppend(1, "b", kPatience);
  EXPECT_EQ(refused.outcome, CompareAppendOutcome::kRefused);
  EXPECT_EQ(ReasonOf(refused.status), log_reason::kUnsafeSetting) << refused.status;
  ASSERT_TRUE(cluster_->Set(0, "full_page_writes", "on"));
  EXPECT_EQ(Append(*log, 1, "b").outcome, CompareAppendOutcome::kAppended);
  EXPECT_TRUE(log->CheckSettings().ok());
}

// A role's settings would end a statement while it waits for the standby, which is then committed,
// or not wait at all.
TEST_F(PostgresLogTest, SettingsOfTheRoleAreOverruled) {
  cluster_->Execute(0, "alter role postgres set statement_timeout = '50ms'");
  cluster_->Execute(0, "alter role postgres set synchronous_commit = 'off'");
  cluster_->Execute(0, "alter role postgres set default_transaction_isolation = 'serializable'");
  const auto log = Open();
  EXPECT_EQ(Append(*log, 0, "a").outcome, CompareAppendOutcome::kAppended);
  cluster_->Freeze(1);
  EXPECT_EQ(log->CompareAppend(1, "b", absl::Milliseconds(500)).outcome,
            CompareAppendOutcome::kUnknown);
  cluster_->Thaw(1);
  cluster_->Execute(0, "alter role postgres reset all");
  const CompareAppendResult result = Append(*log, 1, "b");
  EXPECT_EQ(result.outcome, CompareAppendOutcome::kAppended) << result.status;
}

TEST_F(PostgresLogTest, AHoleIsDamageAndWhatIsBeforeItIsRead) {
  const auto log = Open();
  for (LogIndex index = 1; index <= 4; ++index) {
    EXPECT_EQ(Append(*log, index - 1, absl::StrCat(index)).outcome,
              CompareAppendOutcome::kAppended);
  }
  cluster_->Execute(0,
                    absl::StrCat("delete from hookgate_log_", options_.cluster, " where seq = 3"));
  const auto records = log->Read(1, {});
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(*records, SizeIs(2));
  const absl::Status hole = log->Read(3, {}).status();
  EXPECT_EQ(ReasonOf(hole), log_reason::kLogDamaged) << hole;
  EXPECT_EQ(MetadataOf(hole)["index"], "3");
}

TEST_F(PostgresLogTest, LogThatIsMadeAnewOrEmptiedUnderAHandleIsNoticed) {
  const auto log = Open();
  EXPECT_EQ(Append(*log, 0, "a").outcome, CompareAppendOutcome::kAppended);
  cluster_->Execute(0, absl::StrCat("truncate hookgate_log_", options_.cluster));
  EXPECT_EQ(ReasonOf(log->CompareAppend(1, "b", kPatience).status), log_reason::kLogBehind);
  cluster_->Execute(0, absl::StrCat("update hookgate_identity_", options_.cluster,
                                    " set genesis = 'fedcba9876543210'"));
  for (const absl::Status& status :
       {log->CompareAppend(0, "a", kPatience).status, log->Last().status(),
        log->Read(1, {}).status(), log->Confirm(0), log->Identity().status()}) {
    EXPECT_EQ(ReasonOf(status), log_reason::kLogReplaced) << status;
  }
  cluster_->Execute(0, absl::StrCat("drop table hookgate_identity_", options_.cluster));
  EXPECT_EQ(ReasonOf(log->Last().status()), log_reason::kLogMissing);
}

TEST_F(PostgresLogTest, WhoIsNotLetInIsToldSo) {
  const std::string wrong =
      absl::StrCat("postgresql://nobody_here@127.0.0.1:", cluster_->port(0), "/postgres");
  const absl::Status role = OpenOn(wrong, options_)->Last().status();
  EXPECT_EQ(ReasonOf(role), log_reason::kEngineAccess) << role;
  cluster_->Execute(0, "create role reader login");
  const std::string reader =
      absl::StrCat("postgresql://reader@127.0.0.1:", cluster_->port(0), "/postgres");
  const absl::Status privilege = OpenOn(reader, options_)->Last().status();
  EXPECT_EQ(ReasonOf(privilege), log_reason::kEngineAccess) << privilege;
  // A standby is not written to.
  const absl::Status standby = OpenOn(cluster_->Uri(1), options_)->Last().status();
  EXPECT_EQ(ReasonOf(standby), log_reason::kEngineUnavailable) << standby;
  // No message may hold the password.
  const absl::Status malformed =
      OpenPostgresLog(options_, {.uri = "postgres:/u:geheim@h"}).status();
  EXPECT_EQ(malformed.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(absl::StrContains(malformed.message(), "geheim"));
}

// What a standby lacks is refused after its promotion, and a retry never becomes a second record.
TEST(PostgresFailoverTest, PromotedStandbyContinuesOrIsBehind) {
  const auto cluster = PostgresCluster::Start();
  if (cluster == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
  const ReplicatedLogOptions options = {.cluster = "failover"};
  const auto log = OpenOn(cluster->UriOfAll(), options);
  LogIndex last = 0;
  for (; last < 3; ++last) {
    EXPECT_EQ(log->CompareAppend(last, absl::StrCat("record ", last + 1), kPatience).outcome,
              CompareAppendOutcome::kAppended);
  }
  // The standby is down, and somebody who does not wait for it writes on.
  cluster->Kill(1);
  cluster->Execute(0,
                   "set synchronous_commit = 'local'; insert into hookgate_log_failover values "
                   "(4, 'record 4')");
  cluster->Kill(0);
  ASSERT_TRUE(cluster->StartAgain(1));
  ASSERT_TRUE(cluster->Promote(1));
  ASSERT_TRUE(cluster->Set(1, "synchronous_standby_names", "*"));
  CompareAppendResult result;
  for (int i = 0; i < kAttempts; ++i) {
    result = log->CompareAppend(4, "record 5", absl::Seconds(5));
    if (ReasonOf(result.status) != log_reason::kEngineUnavailable) break;
  }
  EXPECT_EQ(ReasonOf(result.status), log_reason::kLogBehind) << result.status;
  const auto records = log->Read(1, {});
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(*records, SizeIs(3));
  // Nothing is acknowledged while the new primary has no standby of its own.
  EXPECT_EQ(log->CompareAppend(3, "record 4b", absl::Milliseconds(500)).outcome,
            CompareAppendOutcome::kUnknown);
}

TEST(PostgresChecksumTest, ServerWithoutChecksumsIsRefused) {
  const auto cluster = PostgresCluster::Start({.standbys = 0, .checksums = false});
  if (cluster == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
  const ReplicatedLogOptions options = {.cluster = "plain"};
  const absl::Status refused = OpenOn(cluster->Uri(), options)->Last().status();
  EXPECT_EQ(MetadataOf(refused)["setting"], "data_checksums") << refused;
  const auto trusting = OpenOn(cluster->Uri(), options, /*trust_storage=*/true);
  EXPECT_EQ(trusting->CompareAppend(0, "a", kPatience).outcome, CompareAppendOutcome::kAppended);
}

}  // namespace
}  // namespace hookgate
