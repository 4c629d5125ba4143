// What is told gets into the log, once, whatever the disk does; and nobody waits for it.

#include "server/operator_events/operator_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <memory>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "hookgate/v1/event.pb.h"
#include "tests/support/eventually.h"
#include "tests/support/forwarding_log.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::SizeIs;

class FakeProbe final : public OperatorProbe {
 public:
  std::vector<SubscriptionVitals> Subscriptions(bool) override {
    ++looks;
    absl::MutexLock lock(&mu_);
    return {vitals_};
  }
  std::vector<SourceVitals> Sources() override { return {}; }

  void Lose(int64_t events) {
    absl::MutexLock lock(&mu_);
    vitals_.lost += events;
  }

  std::atomic<int> looks = 0;

 private:
  absl::Mutex mu_;
  SubscriptionVitals vitals_ ABSL_GUARDED_BY(mu_) = {.id = 1, .name = "billing"};
};

// Takes nothing for a while, as when the disk is full.
class RefusingLog final : public ForwardingLog {
 public:
  using ForwardingLog::ForwardingLog;

  void Append(std::unique_ptr<StoredEvent> event, AppendDone done) override {
    ++appends;
    if (appends <= refused) return std::move(done)(absl::UnavailableError("the disk is full"));
    ForwardingLog::Append(std::move(event), std::move(done));
  }

  std::atomic<int> appends = 0;
  std::atomic<int> refused = 0;
};

class OperatorEventsTest : public testing::Test {
 protected:
  static OperatorLimits On(const char* types) {
    OperatorLimits limits;
    limits.types = *MatchOperatorEventTypes(types);
    return limits;
  }
  void WaitForEvents(int64_t count) {
    ASSERT_TRUE(
        Eventually("the events are stored", [&] { return log_->Position().head >= count; }));
  }
  hookgate::v1::Event Stored(Sequence sequence) {
    hookgate::v1::Event event;
    EXPECT_TRUE(event.ParseFromString((*log_->Get(sequence))->envelope));
    return event;
  }

  const Clock& clock_ = SystemClock();
  const std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog();
  RefusingLog refusing_{*log_};
  FakeProbe probe_;
  TraceParents trace_parents_;
};

TEST_F(OperatorEventsTest, WhatHappensAfterTheFirstLookIsStored) {
  probe_.Lose(100);
  OperatorEvents events(On("*"), probe_, refusing_, trace_parents_, clock_);
  probe_.Lose(4);
  WaitForEvents(1);
  const hookgate::v1::Event event = Stored(1);
  EXPECT_EQ(event.source(), "hookgate");
  EXPECT_EQ(event.type(), "hookgate.subscription.lost");
  EXPECT_EQ(event.subscription_lost().data().events(), 4);
  EXPECT_EQ(event.subscription_lost().data().total_events(), 104);
  EXPECT_EQ(event.webhook_id(), event.subscription_lost().id());
  EXPECT_EQ(ReadTraceParent(event.trace_parent()), event.trace_parent());
}

TEST_F(OperatorEventsTest, WhatTheLogDoesNotTakeIsStoredLaterOnce) {
  refusing_.refused = 2;
  OperatorEvents events(On("*"), probe_, refusing_, trace_parents_, clock_);
  probe_.Lose(4);
  WaitForEvents(1);
  EXPECT_EQ(refusing_.appends, 3);
  const int looks = probe_.looks;
  ASSERT_TRUE(Eventually("it looks twice", [&] { return probe_.looks >= looks + 2; }));
  EXPECT_EQ(refusing_.appends, 3);
  EXPECT_EQ(log_->Position().head, 1);
}

// What waited for a locked disk was lost at a graceful end, though the end had time left.
TEST_F(OperatorEventsTest, WhatWaitsAtTheEndIsTriedOn) {
  refusing_.refused = 3;
  {
    OperatorEvents events(On("*"), probe_, refusing_, trace_parents_, clock_);
    probe_.Lose(4);
    ASSERT_TRUE(Eventually("it tries to store", [&] { return refusing_.appends >= 1; }));
    events.Stop(absl::Hours(1));
  }
  EXPECT_EQ(refusing_.appends, 4);
  EXPECT_EQ(log_->Position().head, 1);
}

TEST_F(OperatorEventsTest, AnEndThatMayNotWaitDoesNot) {
  refusing_.refused = std::numeric_limits<int>::max();
  OperatorEvents events(On("*"), probe_, refusing_, trace_parents_, clock_);
  probe_.Lose(4);
  ASSERT_TRUE(Eventually("it tries to store", [&] { return refusing_.appends >= 1; }));
  events.Stop();
  events.Stop(absl::Hours(1));  // The first one counts: this would not end.
}

TEST_F(OperatorEventsTest, AReloadThatFailedIsToldWhereItIsOn) {
  OperatorEvents events(On("hookgate.source.*"), probe_, refusing_, trace_parents_, clock_);
  events.NoteFailedReload({"not told"});
  events.SetLimits(On("hookgate.reload.*"));
  ASSERT_TRUE(Eventually("it looks three times", [&] { return probe_.looks >= 3; }));
  events.NoteFailedReload({"http: is wrong\x1b"});
  WaitForEvents(1);
  const auto event = Stored(1).reload_failed();
  EXPECT_EQ(event.data().error_count(), 1);
  EXPECT_EQ(event.data().errors(0), "http: is wrong\\x1b");
}

// No thread wakes for what is off.
TEST_F(OperatorEventsTest, WithoutATypeThatIsOnNobodyLooks) {
  OperatorEvents events({}, probe_, refusing_, trace_parents_, clock_);
  events.NoteFailedReload({"not told"});
  probe_.Lose(1);
  EXPECT_EQ(probe_.looks, 0);
  events.SetLimits(On("*"));
  ASSERT_TRUE(Eventually("it looks twice", [&] { return probe_.looks >= 2; }));
  EXPECT_EQ(log_->Position().head, 0);
  events.Stop();
}

// What GetStatus counts are webhooks.
TEST(OperatorEventsCountTest, OperatorEventsAreNotCountedAsWebhooks) {
  class Companion final : public CommitCompanion {
   public:
    const StatusChanges* Due(const GroupOutcomes&) override { return nullptr; }
    void Committed(const GroupOutcomes& outcomes) override {
      webhooks += outcomes.stored + outcomes.duplicates + outcomes.conflicts;
      ++groups;
    }
    std::atomic<int64_t> webhooks = 0;
    std::atomic<int64_t> groups = 0;
  } companion;
  const auto log = SqliteEventLog::Open({.data_dir = FreshTestFolder(), .reserved_wal_bytes = 0},
                                        nullptr, &companion);
  ASSERT_TRUE(log.ok()) << log.status();
  const Clock& clock = SystemClock();
  FakeProbe probe;
  TraceParents trace_parents;
  OperatorEvents events(
      [] {
        OperatorLimits limits;
        limits.types = *MatchOperatorEventTypes("*");
        return limits;
      }(),
      probe, **log, trace_parents, clock);
  probe.Lose(1);
  ASSERT_TRUE(Eventually("the event is stored", [&] { return companion.groups > 0; }));
  EXPECT_EQ((*log)->Position().head, 1);
  EXPECT_EQ(companion.webhooks, 0);
}

}  // namespace
}  // namespace hookgate
