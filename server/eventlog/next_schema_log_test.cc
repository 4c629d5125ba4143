// A leader of the next version while the cluster has agreed on the one before: what needs more is
// refused, and nothing else of its group is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/eventlog/sqlite_event_log.h"
#include "server/store/database.h"
#include "server/store/schema.h"
#include "tests/support/await_outcome.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using replication::v1::Record;

// Leads. Its first append stands still until it is told to go on.
class HeldGate final : public CommitGate {
 public:
  absl::Status Admit(bool) const override { return absl::OkStatus(); }
  absl::Status AgreeFor(const absl::Status& why) const override {
    return agrees ? absl::OkStatus() : why;
  }
  absl::StatusOr<RecordTail> Seal(Record& record) override {
    sealed_ = record;
    return RecordTail{.index = ++index_};
  }
  absl::Status Append(absl::FunctionRef<void(const absl::Status&)>) override {
    if (!appending.HasBeenNotified()) {
      appending.Notify();
      go_on.WaitForNotification();
    }
    absl::MutexLock lock(&mu_);
    records_.push_back(sealed_);
    return absl::OkStatus();
  }
  void Committed() override {}
  void NotCommitted() override { ADD_FAILURE() << "could not be committed"; }

  std::vector<Record> records() {
    absl::MutexLock lock(&mu_);
    return records_;
  }

  std::atomic<bool> agrees = false;  // nobody can be asked
  absl::Notification appending;
  absl::Notification go_on;

 private:
  int64_t index_ = 1;
  Record sealed_;
  absl::Mutex mu_;
  std::vector<Record> records_ ABSL_GUARDED_BY(mu_);
};

class NextSchemaLogTest : public testing::Test {
 protected:
  void Open() {
    ReplicaOptions options;
    options.cluster = "hooks";
    options.gate = &gate_;
    options.begin = [](const std::string&) {
      return ReplicaBeginning{"genesis", "0000000000000001", {.index = 1}};
    };
    auto log = SqliteEventLog::Open({.data_dir = folder_, .reserved_wal_bytes = 0}, nullptr,
                                    nullptr, nullptr, &options);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }

  absl::Status Create(const std::string& name) {
    return AwaitOutcome<absl::StatusOr<int64_t>>([&](auto done) {
             log_->CreateSubscription(name, "", absl::UnixEpoch(), 0, std::move(done));
           })
        .status();
  }
  int64_t Read(const std::string& sql) {
    auto database = *Database::Open(folder_ + "/events.db", Database::Mode::kReadOnly);
    auto statement = *database->Prepare(sql);
    EXPECT_TRUE(*statement.Step()) << sql;
    return statement.ColumnInt(0);
  }

  const std::string folder_ = FreshTestFolder();
  HeldGate gate_;
  std::unique_ptr<SqliteEventLog> log_;
};

TEST_F(NextSchemaLogTest, OnlyTheOneThatNeedsMoreIsRefusedOfAGroup) {
  constexpr int kWebhooks = 40;
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ(log_->agreed_schema(), SchemaVersion() - 1);
  absl::BlockingCounter answered(kWebhooks + 3);
  std::atomic<int> stored = 0;
  const auto append = [&](int i) {
    auto event = std::make_unique<StoredEvent>();
    event->source = "s";
    event->webhook_id = absl::StrCat("wh_", i);
    log_->Append(std::move(event), [&](absl::StatusOr<AppendResult> result) {
      EXPECT_TRUE(result.ok()) << result.status();
      if (result.ok() && result->outcome == AppendResult::Outcome::kStored) ++stored;
      answered.DecrementCount();
    });
  };
  absl::Status thing;
  absl::Status column;
  absl::Status plain;
  const auto create = [&](const std::string& name, absl::Status& status) {
    log_->CreateSubscription(name, "", absl::UnixEpoch(), 0, [&](absl::StatusOr<int64_t> result) {
      status = result.status();
      answered.DecrementCount();
    });
  };
  append(0);
  gate_.appending.WaitForNotification();
  for (int i = 1; i < kWebhooks; ++i) {
    append(i);
    if (i == 7) create("next-thing-a", thing);
    if (i == 20) create("plain", plain);
    if (i == 30) create("next-column-a", column);
  }
  gate_.go_on.Notify();
  answered.Wait();
  EXPECT_EQ(stored, kWebhooks);
  EXPECT_EQ(log_->Position().head, kWebhooks);
  EXPECT_TRUE(plain.ok()) << plain;
  EXPECT_EQ(ReasonOf(thing), reason::kUpgradeUnfinished) << thing;
  EXPECT_EQ(ReasonOf(column), reason::kUpgradeUnfinished) << column;
  EXPECT_EQ(Read("SELECT count(*) FROM subscriptions"), 1) << "nothing is half applied";
  EXPECT_EQ(Read("SELECT count(*) FROM next_things"), 0);
  EXPECT_TRUE(log_->Health().ok()) << "it says nothing of the disk";
  EXPECT_LT(gate_.records().size(), size_t{16}) << "the others went together";
  for (const Record& record : gate_.records()) {
    EXPECT_THAT(record.ShortDebugString(), testing::Not(testing::HasSubstr("next")));
  }
}

TEST_F(NextSchemaLogTest, OnceItIsAgreedOnItIsStoredAlsoAfterARestart) {
  gate_.go_on.Notify();
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ(ReasonOf(Create("next-thing-a")), reason::kUpgradeUnfinished);
  EXPECT_EQ(Read("SELECT oldest_schema FROM compatibility"), SchemaVersion() - 1);
  ASSERT_TRUE(AwaitOutcome<absl::Status>([&](auto done) {
                log_->Agree(SchemaVersion(), std::move(done));
              }).ok());
  EXPECT_EQ(gate_.records().back().entries(0).schema().version(), SchemaVersion());
  EXPECT_EQ(log_->agreed_schema(), SchemaVersion());
  EXPECT_TRUE(Create("next-thing-a").ok());
  EXPECT_TRUE(Create("next-column-a").ok());
  EXPECT_EQ(Read("SELECT count(*) FROM next_things"), 1);
  EXPECT_EQ(Read("SELECT oldest_schema FROM compatibility"), SchemaVersion());
  log_ = nullptr;
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_EQ(log_->agreed_schema(), SchemaVersion());
  EXPECT_TRUE(Create("next-thing-b").ok());
}

// Without peers: the record that needs it says so itself, before its rows.
TEST_F(NextSchemaLogTest, WhereNobodyCanBeAskedTheFirstThatNeedsItDecides) {
  gate_.go_on.Notify();
  gate_.agrees = true;
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_TRUE(Create("plain").ok());
  EXPECT_EQ(log_->agreed_schema(), SchemaVersion() - 1);
  EXPECT_TRUE(Create("next-column-a").ok());
  EXPECT_EQ(log_->agreed_schema(), SchemaVersion());
  const Record last = gate_.records().back();
  EXPECT_EQ(last.entries(0).schema().version(), SchemaVersion());
  EXPECT_THAT(last.ShortDebugString(), testing::HasSubstr("next_column"));
}

TEST_F(NextSchemaLogTest, AReplicaThatReadsLessThanIsAgreedOnDoesNotStart) {
  gate_.go_on.Notify();
  ASSERT_NO_FATAL_FAILURE(Open());
  log_ = nullptr;
  ASSERT_TRUE((*Database::Open(folder_ + "/events.db", Database::Mode::kReadWrite))
                  ->Execute(absl::StrCat("UPDATE replica SET schema = ", SchemaVersion() + 1))
                  .ok());
  ReplicaOptions options;
  options.cluster = "hooks";
  options.gate = &gate_;
  const auto log = SqliteEventLog::Open({.data_dir = folder_}, nullptr, nullptr, nullptr, &options);
  EXPECT_THAT(std::string(log.status().message()), testing::HasSubstr("start a newer hookgated"));
}

}  // namespace
}  // namespace hookgate
