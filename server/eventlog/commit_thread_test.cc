#include "server/eventlog/commit_thread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/eventlog/commit_gate.h"
#include "server/eventlog/event_jobs.h"
#include "server/eventlog/event_log_metrics.h"
#include "server/metrics/metric_registry.h"
#include "server/replication/record.pb.h"
#include "server/store/schema.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

absl::StatusOr<AppendResult> Append(CommitThread& writer, absl::string_view id, size_t body_bytes) {
  auto event = std::make_unique<StoredEvent>();
  event->source = "s";
  event->webhook_id = std::string(id);
  event->raw_body = std::string(body_bytes, 'x');
  absl::Notification done;
  absl::StatusOr<AppendResult> result;
  writer.Submit(MakeAppendJob(std::move(event), [&](absl::StatusOr<AppendResult> outcome) {
    result = std::move(outcome);
    done.Notify();
  }));
  done.WaitForNotification();
  return result;
}

// The database of a log, new or as a test before has left it, with what a writer needs beside it.
// It outlives its writer.
class TestLog {
 public:
  explicit TestLog(const std::string& name, const EventLogPosition& position = {})
      : path_(absl::StrCat(testing::TempDir(), "/", name, "_", getpid(), ".db")),
        position_(position),
        database_(*Database::Open(path_, Database::Mode::kCreate)) {
    EXPECT_TRUE(MigrateSchema(*database_, "0000000000000001").ok());
    // What is beyond the position is lost.
    EXPECT_TRUE(
        database_->Execute(absl::StrCat("DELETE FROM events WHERE sequence > ", position.head))
            .ok());
    webhooks_ = *WebhookIndex::Open(*database_, position, WebhookIndex::kEntriesPerRun, true);
    texts_ = *TextIndex::Open(*database_, position, TextIndex::kEntriesPerRun, true);
    times_ = *ReceiveTimes::Open(*database_, position, true);
  }

  // Until Start.
  Database* database() { return database_.get(); }

  // Once.
  std::unique_ptr<CommitThread> Start(const CommitThread::Limits& limits = {},
                                      CommitListener* listener = nullptr,
                                      CommitCompanion* companion = nullptr,
                                      EventLogMetrics* metrics = nullptr,
                                      CommitGate* gate = nullptr) {
    auto checkpointer =
        std::make_unique<Checkpointer>(*Database::Open(path_, Database::Mode::kReadWrite));
    return *CommitThread::Start(
        std::move(database_), std::move(checkpointer),
        {.position = position_, .agreed_schema = gate != nullptr ? SchemaVersion() : 0},
        {*webhooks_, *texts_, repeats_, *times_}, limits, listener, companion, metrics, gate);
  }

 private:
  const std::string path_;
  const EventLogPosition position_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<WebhookIndex> webhooks_;
  std::unique_ptr<TextIndex> texts_;
  RepeatCounts repeats_;
  std::unique_ptr<ReceiveTimes> times_;
};

// The database may not grow beyond a number of pages, which fails as a full disk does.
TEST(CommitThreadTest, FullDiskRefusesWhatDoesNotFitAndGoesOnOnceThereIsRoom) {
  TestLog log("full");
  ASSERT_TRUE(log.database()->Execute("PRAGMA max_page_count = 60").ok());
  const FakeClock clock;
  MetricRegistry registry;
  EventLogMetrics metrics(registry, clock);
  auto writer = log.Start({}, nullptr, nullptr, &metrics);

  ASSERT_TRUE(Append(*writer, "fits", 1000).ok());
  EXPECT_TRUE(metrics.healthy());
  EXPECT_TRUE(absl::IsUnavailable(Append(*writer, "too large", 1 << 20).status()));
  EXPECT_FALSE(writer->Health().ok());
  EXPECT_FALSE(metrics.healthy());
  EXPECT_EQ(writer->Position().head, 1);

  // What finds nothing to write succeeds, and is no sign that there is room: it once was taken for
  // one, so that the gateway said it was ready while each webhook was refused.
  absl::Notification trimmed;
  writer->Submit(
      MakeTrimJob({}, {.max_events = 10, .max_bytes = 1000}, [&](absl::StatusOr<int64_t> removed) {
        EXPECT_EQ(removed.value_or(-1), 0);
        trimmed.Notify();
      }));
  trimmed.WaitForNotification();
  EXPECT_FALSE(writer->Health().ok());

  const auto small = Append(*writer, "small", 1000);
  ASSERT_TRUE(small.ok()) << small.status();
  EXPECT_EQ(small->sequence, 2);
  EXPECT_TRUE(writer->Health().ok());
  EXPECT_TRUE(metrics.healthy());
  EXPECT_EQ(metrics.head(), 2);
  const std::string scrape = registry.Write(MetricFormat::kText);
  for (const char* line : {"hookgate_log_commits_total{result=\"ok\"} 2",
                           "hookgate_log_commits_total{result=\"full\"} 1",
                           "hookgate_log_commits_total{result=\"busy\"} 0",
                           "hookgate_log_commits_total{result=\"failed\"} 0",
                           "hookgate_log_commit_duration_seconds_count 2",
                           "hookgate_log_head_sequence 2", "hookgate_log_earliest_sequence 1",
                           "hookgate_log_queue_webhooks 0", "hookgate_log_queue_bytes 0"}) {
    EXPECT_THAT(scrape, testing::HasSubstr(absl::StrCat("\n", line, "\n")));
  }
}

TEST(CommitThreadTest, QueueIsBoundedByBytesToo) {
  TestLog log("bytes");
  auto writer = log.Start({.max_queued_bytes = 1000});
  EXPECT_FALSE(Append(*writer, "too large", 1001).ok());
  EXPECT_TRUE(Append(*writer, "fits", 1000).ok());
}

// Writes nothing, but waits until it may, says how many rows it writes, and notes when it is
// answered.
class FakeJob final : public CommitJob {
 public:
  FakeJob(std::string name, int64_t rows, std::vector<std::string>& answered,
          absl::Notification* may_write = nullptr, absl::Notification* writes = nullptr)
      : name_(std::move(name)),
        rows_(rows),
        answered_(answered),
        may_write_(may_write),
        writes_(writes) {}

  int64_t bytes() const override { return 0; }
  int64_t rows() const override { return rows_; }
  absl::Status Write(CommitStatements&, CommitState&) override {
    if (writes_ != nullptr) writes_->Notify();
    if (may_write_ != nullptr) may_write_->WaitForNotification();
    return absl::OkStatus();
  }
  void Answer(const absl::Status&) override { answered_.push_back(name_); }

 private:
  const std::string name_;
  const int64_t rows_;
  std::vector<std::string>& answered_;
  absl::Notification* const may_write_;
  absl::Notification* const writes_;
};

// Writes nothing, ever.
class RowlessJob final : public CommitJob {
 public:
  explicit RowlessJob(absl::Notification& answered) : answered_(answered) {}
  int64_t bytes() const override { return 0; }
  int64_t rows() const override { return 0; }
  absl::Status Write(CommitStatements&, CommitState&) override { return absl::OkStatus(); }
  void Answer(const absl::Status&) override { answered_.Notify(); }

 private:
  absl::Notification& answered_;
};

// For a few rows of status there is room when there is none for a webhook: the gateway said each
// second that it was ready again. And a webhook does not depend on them.
TEST(CommitThreadTest, StatusAloneTellsNothingOfTheDisk) {
  class Companion final : public CommitCompanion {
   public:
    const StatusChanges* Due(const GroupOutcomes&) override { return &changes; }
    void Committed(const GroupOutcomes&) override { ++commits; }
    StatusChanges changes;
    int commits = 0;
  } companion;
  TestLog log("status");
  ASSERT_TRUE(log.database()->Execute("PRAGMA max_page_count = 60").ok());
  auto writer = log.Start({}, nullptr, &companion);
  const auto commit = [&] {
    absl::Notification done;
    writer->SubmitYielding(std::make_unique<RowlessJob>(done));
    done.WaitForNotification();
  };
  companion.changes.head = StatusHead{.last_reload = std::string(1 << 20, 'x')};
  commit();
  EXPECT_EQ(companion.commits, 0);
  EXPECT_TRUE(writer->Health().ok());
  companion.changes = {.counters = {{"stored", 1}}};
  EXPECT_FALSE(Append(*writer, "too large", 1 << 20).ok());
  EXPECT_FALSE(writer->Health().ok());
  commit();
  EXPECT_GE(companion.commits, 1);
  EXPECT_FALSE(writer->Health().ok());
  EXPECT_TRUE(Append(*writer, "small", 1000).ok());
  EXPECT_TRUE(writer->Health().ok());
}

// The rows of a group are written many at once, behind what looks for repeats.
TEST(CommitThreadTest, RepeatsWithinAGroupAreFoundBeforeTheirRowsAreWritten) {
  TestLog log("repeats");
  std::vector<std::string> answered;
  absl::Notification first_writes, first_may_write;
  {
    auto writer = log.Start();
    writer->Submit(
        std::make_unique<FakeJob>("first", 1, answered, &first_may_write, &first_writes));
    first_writes.WaitForNotification();
    for (const char* const id_and_body : {"a 1", "b 1", "a 1", "b 2", "c 1"}) {
      auto event = std::make_unique<StoredEvent>();
      event->source = "s";
      event->webhook_id = std::string(id_and_body, 1);
      event->raw_body = std::string(id_and_body + 2);
      writer->Submit(MakeAppendJob(
          std::move(event), [&answered, id_and_body](absl::StatusOr<AppendResult> result) {
            answered.push_back(absl::StrCat(id_and_body, ": ", static_cast<int>(result->outcome),
                                            " at ", result->sequence));
          }));
    }
    // In the same group: it sees the rows.
    writer->Submit(MakeTrimJob({.settled = 2, .unsettled = 2}, {.max_events = 9, .max_bytes = 1000},
                               [&answered](absl::StatusOr<int64_t> removed) {
                                 answered.push_back(absl::StrCat("removed ", *removed));
                               }));
    first_may_write.Notify();
  }
  EXPECT_THAT(answered, testing::ElementsAre("first", "a 1: 0 at 1", "b 1: 0 at 2", "a 1: 1 at 1",
                                             "b 2: 2 at 2", "c 1: 0 at 3", "removed 2"));
}

// A log that was mended by hand may have lost its newest events, while the index of webhook-ids
// still names them. What is looked for among the events of a group is not looked for beyond them.
TEST(CommitThreadTest, AnIndexThatNamesLostEventsFindsNoRepeat) {
  std::vector<std::string> answered;
  // Submits appends of `ids` that are committed in one group, to a log that ends at `position`.
  const auto append = [&](EventLogPosition position, std::vector<std::string> ids) {
    TestLog log("lost", position);
    absl::Notification first_writes, first_may_write;
    auto writer = log.Start();
    writer->Submit(
        std::make_unique<FakeJob>("first", 1, answered, &first_may_write, &first_writes));
    first_writes.WaitForNotification();
    for (const std::string& id : ids) {
      auto event = std::make_unique<StoredEvent>();
      event->source = "s";
      event->webhook_id = id;
      writer->Submit(
          MakeAppendJob(std::move(event), [&answered, id](absl::StatusOr<AppendResult> result) {
            answered.push_back(absl::StrCat(id, ": ", static_cast<int>(result->outcome), " at ",
                                            result->sequence));
          }));
    }
    first_may_write.Notify();
    writer.reset();
  };
  append({}, {"a", "b", "c"});
  append({.earliest = 1, .head = 1}, {"x", "c", "b", "a"});
  EXPECT_THAT(answered,
              testing::ElementsAre("first", "a: 0 at 1", "b: 0 at 2", "c: 0 at 3", "first",
                                   "x: 0 at 2", "c: 0 at 3", "b: 0 at 4", "a: 1 at 1"));
}

// With 1,000 subscriptions that consumed a backlog, a webhook waited for all that they wrote: a
// second.
TEST(CommitThreadTest, WhatGivesWayLeavesRoomInEachGroup) {
  TestLog log("yielding");
  std::vector<std::string> answered;  // by the writer's thread alone
  absl::Notification all_are_queued;
  {
    auto writer = log.Start({.max_yielding_rows = 100});
    writer->Submit(std::make_unique<FakeJob>("first", 1, answered, &all_are_queued));
    for (int i = 0; i < 4; ++i) {
      writer->SubmitYielding(std::make_unique<FakeJob>(absl::StrCat(i), 60, answered));
    }
    writer->Submit(std::make_unique<FakeJob>("webhook", 1, answered));
    all_are_queued.Notify();
  }
  // The first may have begun alone, or have taken the first two along.
  ASSERT_EQ(answered.size(), 6u);
  EXPECT_EQ(answered.back(), "3");
  const auto webhook = std::find(answered.begin(), answered.end(), "webhook");
  EXPECT_LE(webhook - answered.begin(), 3);
  EXPECT_EQ(std::count(answered.begin(), webhook, "2"), 0);
}

// A webhook that came while many rows were written for consumers waited for them, and for as many
// again in its own group.
TEST(CommitThreadTest, AfterManyRowsThatGaveWayAGroupIsForTheOthers) {
  TestLog log("turns");
  std::vector<std::string> answered;  // by the writer's thread alone
  absl::Notification first_writes, first_may_write, second_writes, second_may_write;
  {
    auto writer = log.Start({.max_yielding_rows = 100});
    writer->Submit(
        std::make_unique<FakeJob>("first", 1, answered, &first_may_write, &first_writes));
    first_writes.WaitForNotification();
    writer->Submit(
        std::make_unique<FakeJob>("second", 1, answered, &second_may_write, &second_writes));
    writer->SubmitYielding(std::make_unique<FakeJob>("acks 1", 60, answered));
    first_may_write.Notify();
    second_writes.WaitForNotification();
    writer->SubmitYielding(std::make_unique<FakeJob>("one ack", 1, answered));
    writer->SubmitYielding(std::make_unique<FakeJob>("acks 2", 60, answered));
    writer->Submit(std::make_unique<FakeJob>("third", 1, answered));
    second_may_write.Notify();
  }
  EXPECT_THAT(answered,
              testing::ElementsAre("first", "second", "acks 1", "third", "one ack", "acks 2"));
}

// Beside 1,000 subscriptions that consumed a backlog, the p99 of a webhook was 4.5 times as high:
// each waited for a transaction that had as many rows as are worth a sync. While webhooks come, it
// has few of them; where those come by the dozen, more, since consumers would fall behind.
TEST(CommitThreadTest, BesideWebhooksATransactionHasFewRowsThatGaveWay) {
  TestLog log("beside");
  std::vector<std::string> answered;  // by the writer's thread alone
  absl::Notification first_writes, first_may_write, second_writes, second_may_write, third_writes;
  {
    auto writer = log.Start({.max_yielding_rows = 100,
                             .min_yielding_rows = 20,
                             .yielding_rows_for_each = 4,
                             .others_come_for = absl::InfiniteDuration()});
    EXPECT_FALSE(writer->OthersCome());
    EXPECT_EQ(writer->YieldingRows(), 100);
    writer->Submit(
        std::make_unique<FakeJob>("first", 1, answered, &first_may_write, &first_writes));
    EXPECT_TRUE(writer->OthersCome());
    EXPECT_EQ(writer->YieldingRows(), 20);
    first_writes.WaitForNotification();
    writer->Submit(
        std::make_unique<FakeJob>("second", 1, answered, &second_may_write, &second_writes));
    for (const char* acks : {"acks 1", "acks 2", "acks 3"}) {
      writer->SubmitYielding(std::make_unique<FakeJob>(acks, 15, answered));
    }
    first_may_write.Notify();
    second_writes.WaitForNotification();
    writer->Submit(std::make_unique<FakeJob>("more", 1, answered, nullptr, &third_writes));
    for (int i = 1; i < 10; ++i) writer->Submit(std::make_unique<FakeJob>("more", 1, answered));
    second_may_write.Notify();
    third_writes.WaitForNotification();
    EXPECT_EQ(writer->YieldingRows(), 40);
  }
  const auto third = std::find(answered.begin(), answered.end(), "more");
  EXPECT_EQ(std::vector<std::string>(answered.begin(), third),
            (std::vector<std::string>{"first", "second", "acks 1", "acks 2"}));
}

// A small webhook waited for the sync of all that was in the queue with it: up to 64 MiB. What goes
// into one transaction is bounded by bytes as well as by number.
TEST(CommitThreadTest, AGroupIsBoundedByBytesToo) {
  class Listener : public CommitListener {
   public:
    void OnCommit(absl::Span<const StoredEventPtr> events) override {
      absl::MutexLock lock(&mu);
      groups.push_back(events.size());
      if (groups.size() == 1) go_on.WaitForNotification();
    }
    absl::Mutex mu;
    std::vector<size_t> groups ABSL_GUARDED_BY(mu);
    absl::Notification go_on;
  } listener;
  TestLog log("group");
  auto writer = log.Start({.max_group = 4, .max_group_bytes = 1000}, &listener);
  // The first group holds the writer until all the others wait.
  const std::vector<size_t> bodies = {1, 600, 400, 1, 5000, 1, 1, 1, 1, 1};
  absl::BlockingCounter left(static_cast<int>(bodies.size()));
  for (size_t i = 0; i < bodies.size(); ++i) {
    auto event = std::make_unique<StoredEvent>();
    event->webhook_id = absl::StrCat(i);
    event->raw_body = std::string(bodies[i], 'x');
    writer->Submit(MakeAppendJob(std::move(event), [&](const absl::StatusOr<AppendResult>& stored) {
      EXPECT_TRUE(stored.ok()) << stored.status();
      left.DecrementCount();
    }));
    if (i == 0) {
      ASSERT_TRUE(Eventually("the first is stored", [&] { return writer->Position().head > 0; }));
    }
  }
  listener.go_on.Notify();
  left.Wait();
  absl::MutexLock lock(&listener.mu);
  // 600 and 400 fill one; 5000 is one alone; of the small ones the number decides.
  EXPECT_THAT(listener.groups, testing::ElementsAre(1, 2, 1, 1, 4, 1));
}

// Refuses one record as a leader does during an upgrade.
class RefusingGate final : public CommitGate {
 public:
  absl::Status Admit(bool) const override { return absl::OkStatus(); }
  absl::Status AgreeFor(const absl::Status& why) const override { return why; }
  absl::StatusOr<RecordTail> Seal(replication::v1::Record&) override {
    if (refuses_next.exchange(false)) {
      return ErrorWithReason(absl::StatusCode::kFailedPrecondition, reason::kUpgradeUnfinished,
                             "one of them needs more");
    }
    return RecordTail{.index = ++index_};
  }
  absl::Status Append(absl::FunctionRef<void(const absl::Status&)>) override {
    return absl::OkStatus();
  }
  void Committed() override {}
  void NotCommitted() override { ADD_FAILURE() << "could not be committed"; }

  std::atomic<bool> refuses_next = false;

 private:
  int64_t index_ = 1;
};

// What a job of a group that was split had noted in its first attempt was counted once more in the
// second one: three events were six that went for the size, and minus three for the age.
TEST(CommitThreadTest, WhatIsWrittenAgainIsCountedOnce) {
  class Companion final : public CommitCompanion {
   public:
    const StatusChanges* Due(const GroupOutcomes&) override { return nullptr; }
    void Committed(const GroupOutcomes& outcomes) override {
      for_size += outcomes.events_removed_for_size;
      for_age += outcomes.events_removed_for_age;
    }
    int64_t for_size = 0;
    int64_t for_age = 0;
  } companion;
  RefusingGate gate;
  TestLog log("split");
  auto writer = log.Start({}, nullptr, &companion, nullptr, &gate);
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Append(*writer, id, 10).ok());

  std::vector<std::string> answered;
  absl::Notification first_writes, first_may_write;
  writer->Submit(std::make_unique<FakeJob>("first", 1, answered, &first_may_write, &first_writes));
  first_writes.WaitForNotification();
  absl::BlockingCounter left(2);
  absl::StatusOr<int64_t> removed;
  writer->Submit(MakeTrimJob({.max_bytes = 0, .excess = 3},
                             {.max_events = 10, .max_bytes = 1 << 20},
                             [&](absl::StatusOr<int64_t> count) {
                               removed = std::move(count);
                               left.DecrementCount();
                             }));
  auto event = std::make_unique<StoredEvent>();
  event->webhook_id = "d";
  writer->Submit(MakeAppendJob(std::move(event), [&](const absl::StatusOr<AppendResult>& stored) {
    EXPECT_TRUE(stored.ok()) << stored.status();
    left.DecrementCount();
  }));
  gate.refuses_next = true;
  first_may_write.Notify();
  left.Wait();
  EXPECT_FALSE(gate.refuses_next) << "nothing was refused";
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(*removed, 3);
  EXPECT_EQ(companion.for_size, 3);
  EXPECT_EQ(companion.for_age, 0);
}

}  // namespace
}  // namespace hookgate
