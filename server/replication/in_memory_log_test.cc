#include "server/replication/in_memory_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/status.h"
#include "server/replication/log_errors.h"
#include "server/replication/replicated_log_conformance.h"

namespace hookgate {
namespace {

using testing::SizeIs;

class MemoryConformanceEngine final : public ConformanceEngine {
 public:
  std::unique_ptr<ReplicatedLog> Open(const ReplicatedLogOptions& options) override {
    return std::make_unique<InMemoryLog>(engine_, options);
  }
  void BreakConnections() override {}
  void Freeze() override { engine_.Pause(); }
  void Thaw() override {
    engine_.Resume();
    engine_.DeliverDelayed();
  }

 private:
  InMemoryEngine engine_;
};

ConformanceEngine* MakeMemoryEngine() {
  static auto* const engine = new MemoryConformanceEngine;
  return engine;
}

INSTANTIATE_TEST_SUITE_P(Memory, ReplicatedLogConformanceTest,
                         testing::Values(ConformanceEngineMaker{&MakeMemoryEngine}));

constexpr absl::Duration kTimeout = absl::Seconds(20);

class InMemoryLogTest : public testing::Test {
 protected:
  InMemoryEngine engine_;
  const ReplicatedLogOptions options_{.cluster = "demo"};
  InMemoryLog log_{engine_, options_};
  InMemoryLog other_{engine_, options_};

  CompareAppendOutcome Append(InMemoryLog& log, LogIndex expected, const std::string& bytes) {
    return log.CompareAppend(expected, bytes, kTimeout).outcome;
  }
};

TEST_F(InMemoryLogTest, LostAnswerIsUnknownAndDone) {
  log_.LoseAnswers(1);
  EXPECT_EQ(Append(log_, 0, "a"), CompareAppendOutcome::kUnknown);
  EXPECT_THAT(engine_.Records("demo"), SizeIs(1));
  EXPECT_EQ(Append(log_, 0, "a"), CompareAppendOutcome::kAppended);
}

TEST_F(InMemoryLogTest, LostRequestIsUnknownAndNotDone) {
  log_.LoseRequests(1);
  EXPECT_EQ(Append(log_, 0, "a"), CompareAppendOutcome::kUnknown);
  EXPECT_EQ(Append(other_, 0, "b"), CompareAppendOutcome::kAppended);
  EXPECT_EQ(Append(log_, 0, "a"), CompareAppendOutcome::kLost);
}

// A paused leader's append reaches the engine after its successor's.
TEST_F(InMemoryLogTest, DelayedRequestArrivesLaterAndLosesThen) {
  log_.DelayRequests(1);
  EXPECT_EQ(Append(log_, 0, "a"), CompareAppendOutcome::kUnknown);
  EXPECT_EQ(Append(other_, 0, "b"), CompareAppendOutcome::kAppended);
  engine_.DeliverDelayed();
  const auto records = engine_.Records("demo");
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].bytes, "b");
}

TEST_F(InMemoryLogTest, HandleThatIsCutOffIsRefusedAndOthersGoOn) {
  log_.SetCutOff(true);
  EXPECT_EQ(Append(log_, 0, "a"), CompareAppendOutcome::kRefused);
  EXPECT_FALSE(log_.AwaitRecord(0, absl::ZeroDuration()));
  EXPECT_EQ(Append(other_, 0, "b"), CompareAppendOutcome::kAppended);
  log_.SetCutOff(false);
  EXPECT_EQ(Append(log_, 0, "a"), CompareAppendOutcome::kLost);
}

TEST_F(InMemoryLogTest, WhatTheEngineForgetsIsRefusedAsBehind) {
  EXPECT_EQ(Append(log_, 0, "a"), CompareAppendOutcome::kAppended);
  EXPECT_EQ(Append(log_, 1, "b"), CompareAppendOutcome::kAppended);
  engine_.RollBack("demo", 1);
  EXPECT_EQ(ReasonOf(log_.CompareAppend(2, "c", kTimeout).status), log_reason::kLogBehind);
  EXPECT_EQ(ReasonOf(log_.Confirm(2)), log_reason::kLogBehind);
  engine_.Wipe("demo");
  EXPECT_EQ(ReasonOf(log_.CompareAppend(1, "b", kTimeout).status), log_reason::kLogBehind);
  engine_.Replace("demo");
  EXPECT_EQ(ReasonOf(log_.CompareAppend(0, "a", kTimeout).status), log_reason::kLogReplaced);
  engine_.Remove("demo");
  EXPECT_EQ(ReasonOf(log_.Last().status()), log_reason::kLogMissing);
}

TEST_F(InMemoryLogTest, FlippedBitIsReadAndDamageIsAnError) {
  for (LogIndex index = 1; index <= 3; ++index) {
    EXPECT_EQ(Append(log_, index - 1, "abc"), CompareAppendOutcome::kAppended);
  }
  engine_.FlipBit("demo", 1, 8);
  EXPECT_EQ(log_.Read(1, {.max_records = 1})->at(0).bytes, "acc");
  engine_.Damage("demo", 2);
  EXPECT_THAT(*log_.Read(1, {}), SizeIs(1));
  EXPECT_EQ(ReasonOf(log_.Read(2, {}).status()), log_reason::kLogDamaged);
  EXPECT_THAT(*log_.Read(3, {}), SizeIs(1));
}

// As PostgreSQL shows a commit whose wait for the standbys was cancelled.
TEST_F(InMemoryLogTest, RecordWithoutAStandbyIsShownAndGoesWithACrash) {
  EXPECT_EQ(Append(log_, 0, "a"), CompareAppendOutcome::kAppended);
  engine_.ShowNextWithoutStandby("demo");
  EXPECT_EQ(Append(log_, 1, "b"), CompareAppendOutcome::kUnknown);
  EXPECT_THAT(*other_.Read(1, {}), SizeIs(2));
  engine_.Crash("demo");
  EXPECT_THAT(*other_.Read(1, {}), SizeIs(1));

  engine_.ShowNextWithoutStandby("demo");
  EXPECT_EQ(Append(log_, 1, "b"), CompareAppendOutcome::kUnknown);
  EXPECT_TRUE(other_.Confirm(2).ok());
  engine_.Crash("demo");
  EXPECT_THAT(*other_.Read(1, {}), SizeIs(2));
}

TEST_F(InMemoryLogTest, UnsafeSettingIsRefusedByName) {
  engine_.SetUnsafe("fsync");
  const absl::Status refused = log_.Last().status();
  EXPECT_EQ(ReasonOf(refused), log_reason::kUnsafeSetting);
  EXPECT_EQ(MetadataOf(refused)["setting"], "fsync");
}

TEST(CheckOptionsTest, RefusesWhatAnEngineCannotTake) {
  EXPECT_TRUE(CheckOptions({.cluster = "a_1"}).ok());
  EXPECT_EQ(FieldOf(CheckOptions({})), "cluster");
  EXPECT_EQ(FieldOf(CheckOptions({.cluster = "A"})), "cluster");
  EXPECT_EQ(FieldOf(CheckOptions({.cluster = "a.b"})), "cluster");
  EXPECT_EQ(FieldOf(CheckOptions({.cluster = std::string(33, 'a')})), "cluster");
  EXPECT_EQ(FieldOf(CheckOptions({.cluster = "a", .genesis = "0123"})), "genesis");
  EXPECT_EQ(FieldOf(CheckOptions({.cluster = "a", .max_record_bytes = 0})), "max_record_bytes");
  EXPECT_EQ(FieldOf(CheckOptions(
                {.cluster = "a", .max_record_bytes = ReplicatedLog::kMostRecordBytes + 1})),
            "max_record_bytes");
  EXPECT_EQ(FieldOf(CheckOptions({.cluster = "a", .timeout = absl::ZeroDuration()})), "timeout");
}

}  // namespace
}  // namespace hookgate
