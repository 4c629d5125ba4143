#include "server/replication/replicated_log_conformance.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

// Long enough for an engine on a busy machine; a test that passes does not wait for it.
constexpr absl::Duration kPatience = absl::Seconds(20);
// Calls that are tried again while the engine cannot be reached.
constexpr int kAttempts = 200;

// What is expected to be stored.
std::string Record(LogIndex index, absl::string_view writer = "a") {
  return absl::StrCat("record ", index, " of ", std::string(writer));
}

// Appends, and goes on while it is unknown whether it was done or the engine cannot be reached.
CompareAppendResult AppendUntilKnown(ReplicatedLog& log, LogIndex expected,
                                     const std::string& bytes) {
  CompareAppendResult result;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    result = log.CompareAppend(expected, bytes, kPatience);
    const bool again = result.outcome == CompareAppendOutcome::kUnknown ||
                       ReasonOf(result.status) == log_reason::kEngineUnavailable;
    if (!again) break;
  }
  return result;
}

void ExpectAppends(ReplicatedLog& log, LogIndex expected, const std::string& bytes) {
  const CompareAppendResult result = AppendUntilKnown(log, expected, bytes);
  EXPECT_EQ(result.outcome, CompareAppendOutcome::kAppended) << result.status;
  EXPECT_EQ(result.index, expected + 1);
}

// Appends records 1 to `last`.
void Fill(ReplicatedLog& log, LogIndex last) {
  for (LogIndex index = 1; index <= last; ++index) ExpectAppends(log, index - 1, Record(index));
}

// All records from `from` to the last, page by page; fails the test if they have a hole.
std::vector<LogRecord> ReadAll(ReplicatedLog& log, LogIndex from = 1,
                               const RecordLimits& limits = {}) {
  std::vector<LogRecord> records;
  absl::StatusOr<RecordRange> range = log.Last();
  for (int attempt = 0; attempt < kAttempts && !range.ok(); ++attempt) range = log.Last();
  EXPECT_TRUE(range.ok()) << range.status();
  if (!range.ok()) return records;
  while (from <= range->last) {
    const absl::StatusOr<std::vector<LogRecord>> page = log.Read(from, limits);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok() || page->empty()) {
      ADD_FAILURE() << "record " << from << " of " << range->last << " is not read";
      break;
    }
    for (const LogRecord& record : *page) {
      EXPECT_EQ(record.index, from);
      from = record.index + 1;
      records.push_back(record);
    }
  }
  return records;
}

std::string NumberOf(const absl::Status& status, const std::string& key) {
  const auto metadata = MetadataOf(status);
  const auto number = metadata.find(key);
  return number == metadata.end() ? "" : number->second;
}

}  // namespace

void ReplicatedLogConformanceTest::SetUp() {
  engine_ = GetParam().make();
  if (engine_ == nullptr) GTEST_SKIP() << "the engine is not installed";
  // Engines that outlive the process must not know the name from another run.
  static std::atomic<int> last = 0;
  options_.cluster = absl::StrCat("c", getpid(), "_", ++last);
  options_.max_record_bytes = 256 << 10;
}

TEST_P(ReplicatedLogConformanceTest, NewLogIsEmpty) {
  const auto log = Open();
  const absl::StatusOr<RecordRange> range = log->Last();
  ASSERT_TRUE(range.ok()) << range.status();
  EXPECT_EQ(range->first, 1);
  EXPECT_EQ(range->last, 0);
  const absl::StatusOr<std::vector<LogRecord>> records = log->Read(1, {});
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(*records, IsEmpty());
  EXPECT_TRUE(log->Confirm(0).ok());
}

TEST_P(ReplicatedLogConformanceTest, RecordsAreReadInOrderWithoutAHole) {
  const auto writer = Open();
  Fill(*writer, 50);
  const auto reader = Open();
  for (ReplicatedLog* const log : {writer.get(), reader.get()}) {
    const std::vector<LogRecord> records = ReadAll(*log);
    ASSERT_THAT(records, SizeIs(50));
    for (const LogRecord& record : records) EXPECT_EQ(record.bytes, Record(record.index));
  }
}

TEST_P(ReplicatedLogConformanceTest, ReadKeepsToItsLimits) {
  const auto log = Open();
  Fill(*log, 20);
  for (const LogIndex from : {LogIndex{1}, LogIndex{4}, LogIndex{2}, LogIndex{20}}) {
    const auto records = log->Read(from, {.max_records = 3});
    ASSERT_TRUE(records.ok()) << records.status();
    // Fewer, if the others are still on their way from the engine.
    ASSERT_THAT(*records, SizeIs(AllOf(Ge(1), Le(from == 20 ? 1 : 3))));
    for (size_t i = 0; i < records->size(); ++i) {
      EXPECT_EQ((*records)[i].index, from + static_cast<LogIndex>(i));
    }
  }
  const auto by_bytes =
      log->Read(1, {.max_bytes = static_cast<int64_t>(Record(1).size() + Record(2).size())});
  ASSERT_TRUE(by_bytes.ok());
  EXPECT_THAT(*by_bytes, SizeIs(AllOf(Ge(1), Le(2))));
  // One record may exceed it alone, or a reader would stand still for ever.
  const auto alone = log->Read(3, {.max_bytes = 1});
  ASSERT_TRUE(alone.ok());
  ASSERT_THAT(*alone, SizeIs(1));
  EXPECT_EQ(alone->front().bytes, Record(3));
  EXPECT_THAT(ReadAll(*log, 4, {.max_records = 7, .max_bytes = 40}), SizeIs(17));
  const auto above = log->Read(21, {});
  ASSERT_TRUE(above.ok()) << above.status();
  EXPECT_THAT(*above, IsEmpty());
}

// The one thing that safety needs.
TEST_P(ReplicatedLogConformanceTest, OneOfManyWritersWinsAnIndex) {
  constexpr int kWriters = 6;
  constexpr LogIndex kRounds = 15;
  std::vector<std::unique_ptr<ReplicatedLog>> logs;
  for (int i = 0; i < kWriters; ++i) {
    logs.push_back(Open());
    ASSERT_TRUE(logs.back()->Identity().ok());
  }
  for (LogIndex index = 1; index <= kRounds; ++index) {
    std::vector<CompareAppendResult> results(kWriters);
    std::vector<std::thread> threads;
    for (int i = 0; i < kWriters; ++i) {
      threads.emplace_back([&, i] {
        results[i] = AppendUntilKnown(*logs[i], index - 1, Record(index, absl::StrCat(i)));
      });
    }
    for (std::thread& thread : threads) thread.join();
    int winner = -1;
    for (int i = 0; i < kWriters; ++i) {
      if (results[i].outcome != CompareAppendOutcome::kAppended) continue;
      EXPECT_EQ(winner, -1) << "two writers have record " << index;
      winner = i;
    }
    ASSERT_NE(winner, -1) << "nobody has record " << index;
    for (int i = 0; i < kWriters; ++i) {
      if (i == winner) continue;
      EXPECT_EQ(results[i].outcome, CompareAppendOutcome::kLost) << results[i].status;
      EXPECT_EQ(results[i].status.code(), absl::StatusCode::kAborted);
      if (results[i].there.index != 0) {
        EXPECT_EQ(results[i].there.index, index);
        EXPECT_EQ(results[i].there.bytes, Record(index, absl::StrCat(winner)));
      }
    }
    const auto record = logs[(winner + 1) % kWriters]->Read(index, {});
    ASSERT_TRUE(record.ok()) << record.status();
    // The handle that reads has lost, so it knows that there is a record.
    ASSERT_THAT(*record, SizeIs(1));
    EXPECT_EQ(record->front().bytes, Record(index, absl::StrCat(winner)));
  }
  EXPECT_THAT(ReadAll(*logs[0]), SizeIs(kRounds));
}

TEST_P(ReplicatedLogConformanceTest, SameBytesAtTheSameIndexAreTheSameAppend) {
  const auto log = Open();
  Fill(*log, 1);
  ExpectAppends(*log, 0, Record(1));
  Fill(*log, 3);
  // A retry that comes when others have gone on.
  ExpectAppends(*log, 0, Record(1));
  const auto other = Open();
  ExpectAppends(*other, 1, Record(2));
  const CompareAppendResult lost = AppendUntilKnown(*other, 1, Record(2, "b"));
  EXPECT_EQ(lost.outcome, CompareAppendOutcome::kLost);
  EXPECT_EQ(lost.index, 2);
  EXPECT_EQ(lost.there.index, 2);
  EXPECT_EQ(lost.there.bytes, Record(2));
  EXPECT_THAT(ReadAll(*log), SizeIs(3));
}

// The engine has less than the writer knows to have been there: it lost it, or it is another one.
TEST_P(ReplicatedLogConformanceTest, AppendAboveTheLastRecordIsRefused) {
  const auto log = Open();
  for (LogIndex last = 0; last <= 2; ++last) {
    if (last > 0) ExpectAppends(*log, last - 1, Record(last));
    const CompareAppendResult result = AppendUntilKnown(*log, last + 5, Record(last + 6));
    EXPECT_EQ(result.outcome, CompareAppendOutcome::kRefused);
    EXPECT_EQ(ReasonOf(result.status), log_reason::kLogBehind) << result.status;
    EXPECT_EQ(NumberOf(result.status, "last"), absl::StrCat(last));
  }
  EXPECT_THAT(ReadAll(*log), SizeIs(2));
}

TEST_P(ReplicatedLogConformanceTest, HandleReadsWhatItAppended) {
  const auto writer = Open();
  const auto reader = Open();
  for (LogIndex index = 1; index <= 20; ++index) {
    ExpectAppends(*writer, index - 1, Record(index));
    const auto own = writer->Read(index, {});
    ASSERT_TRUE(own.ok()) << own.status();
    ASSERT_THAT(*own, SizeIs(1));
    const auto range = reader->Last();
    ASSERT_TRUE(range.ok()) << range.status();
    EXPECT_EQ(range->last, index);
    const auto others = reader->Read(index, {});
    ASSERT_TRUE(others.ok()) << others.status();
    ASSERT_THAT(*others, SizeIs(1));
    EXPECT_EQ(others->front().bytes, Record(index));
  }
}

TEST_P(ReplicatedLogConformanceTest, ReaderBesideAWriterSeesItsRecordsAndNoHole) {
  constexpr LogIndex kRecords = 150;
  const auto writer = Open();
  ASSERT_TRUE(writer->Identity().ok());
  const auto reader = Open();
  std::thread writing([&] { Fill(*writer, kRecords); });
  LogIndex next = 1;
  for (int idle = 0; next <= kRecords && idle < kAttempts;) {
    if (!reader->AwaitRecord(next - 1, kPatience)) ++idle;
    const auto page = reader->Read(next, {});
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok()) break;
    for (const LogRecord& record : *page) {
      EXPECT_EQ(record.index, next);
      EXPECT_EQ(record.bytes, Record(next));
      ++next;
    }
  }
  writing.join();
  EXPECT_EQ(next, kRecords + 1);
  EXPECT_TRUE(reader->Confirm(kRecords).ok());
}

TEST_P(ReplicatedLogConformanceTest, TrimRemovesFromTheFrontAndKeepsTheLast) {
  const auto log = Open();
  Fill(*log, 10);
  auto range = log->Trim(4);
  ASSERT_TRUE(range.ok()) << range.status();
  EXPECT_EQ(range->first, 5);
  EXPECT_EQ(range->last, 10);
  // What was trimmed is refused by name, to readers and to writers, whoever they are.
  const auto other = Open();
  for (ReplicatedLog* const handle : {log.get(), other.get()}) {
    EXPECT_TRUE(handle->Last().ok());
    const auto trimmed = handle->Read(4, {});
    EXPECT_EQ(ReasonOf(trimmed.status()), log_reason::kLogTrimmed) << trimmed.status();
    EXPECT_EQ(NumberOf(trimmed.status(), "first"), "5");
    EXPECT_THAT(ReadAll(*handle, 5), SizeIs(6));
  }
  const CompareAppendResult late = AppendUntilKnown(*other, 2, Record(3));
  EXPECT_EQ(late.outcome, CompareAppendOutcome::kRefused);
  EXPECT_EQ(ReasonOf(late.status), log_reason::kLogTrimmed) << late.status;
  // Repeating it, or asking for less, changes nothing.
  range = other->Trim(2);
  ASSERT_TRUE(range.ok()) << range.status();
  EXPECT_EQ(range->first, 5);
  range = log->Trim(1000);
  ASSERT_TRUE(range.ok()) << range.status();
  EXPECT_EQ(range->first, 10);
  EXPECT_EQ(range->last, 10);
  ExpectAppends(*log, 10, Record(11));
  EXPECT_THAT(ReadAll(*other, 10), SizeIs(2));
}

TEST_P(ReplicatedLogConformanceTest, IdentityIsTheLogsAndOfNoOther) {
  // Made by several at once, it is one log.
  std::vector<std::unique_ptr<ReplicatedLog>> logs;
  for (int i = 0; i < 4; ++i) logs.push_back(Open());
  std::vector<std::string> identities(logs.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < logs.size(); ++i) {
    threads.emplace_back([&, i] {
      absl::StatusOr<std::string> identity = logs[i]->Identity();
      for (int attempt = 0; attempt < kAttempts && !identity.ok(); ++attempt) {
        identity = logs[i]->Identity();
      }
      EXPECT_TRUE(identity.ok()) << identity.status();
      if (identity.ok()) identities[i] = *identity;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(std::set<std::string>(identities.begin(), identities.end()), SizeIs(1));
  EXPECT_THAT(identities[0], testing::MatchesRegex("[0-9a-f]{16}"));

  options_.cluster += "_b";
  const auto other = Open();
  const auto identity = other->Identity();
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_NE(*identity, identities[0]);
}

TEST_P(ReplicatedLogConformanceTest, AnotherLogThanTheReplicasIsRefused) {
  Fill(*Open(), 1);
  options_.genesis = "0123456789abcdef";
  const auto log = Open();
  EXPECT_EQ(ReasonOf(log->Identity().status()), log_reason::kLogReplaced);
  EXPECT_EQ(ReasonOf(log->Last().status()), log_reason::kLogReplaced);
  EXPECT_EQ(ReasonOf(log->Read(1, {}).status()), log_reason::kLogReplaced);
  EXPECT_EQ(ReasonOf(log->Trim(1).status()), log_reason::kLogReplaced);
  EXPECT_EQ(ReasonOf(log->Confirm(1)), log_reason::kLogReplaced);
  const CompareAppendResult result = log->CompareAppend(1, Record(2), kPatience);
  EXPECT_EQ(result.outcome, CompareAppendOutcome::kRefused);
  EXPECT_EQ(ReasonOf(result.status), log_reason::kLogReplaced);
  EXPECT_EQ(ReasonOf(log->State().status), log_reason::kLogReplaced);
}

TEST_P(ReplicatedLogConformanceTest, LogIsNotMadeWhereItShouldBe) {
  options_.create = false;
  for (const char* const genesis : {"", "0123456789abcdef"}) {
    options_.genesis = genesis;
    const auto log = Open();
    EXPECT_EQ(ReasonOf(log->Identity().status()), log_reason::kLogMissing);
    const CompareAppendResult result = log->CompareAppend(0, Record(1), kPatience);
    EXPECT_EQ(result.outcome, CompareAppendOutcome::kRefused);
    EXPECT_EQ(ReasonOf(result.status), log_reason::kLogMissing);
  }
}

TEST_P(ReplicatedLogConformanceTest, RecordsMayBeOfAnySizeUpToTheBound) {
  const auto log = Open();
  std::string bytes(static_cast<size_t>(options().max_record_bytes), '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 % 251);
  const CompareAppendResult too_large = log->CompareAppend(0, bytes + "x", kPatience);
  EXPECT_EQ(too_large.outcome, CompareAppendOutcome::kRefused);
  EXPECT_EQ(ReasonOf(too_large.status), log_reason::kRecordSize);
  const CompareAppendResult empty = log->CompareAppend(0, "", kPatience);
  EXPECT_EQ(empty.outcome, CompareAppendOutcome::kRefused);
  EXPECT_EQ(ReasonOf(empty.status), log_reason::kRecordSize);
  EXPECT_EQ(log->max_record_bytes(), options().max_record_bytes);

  const std::string zero("\0", 1);
  ExpectAppends(*log, 0, bytes);
  ExpectAppends(*log, 1, zero);
  // The same by comparison with what is there, which an engine may write in another way.
  ExpectAppends(*log, 0, bytes);
  const std::vector<LogRecord> records = ReadAll(*Open());
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_TRUE(records[0].bytes == bytes);
  EXPECT_EQ(records[1].bytes, zero);
}

TEST_P(ReplicatedLogConformanceTest, BrokenConnectionsAreMadeAnew) {
  const auto log = Open();
  Fill(*log, 3);
  EXPECT_THAT(ReadAll(*log), SizeIs(3));
  for (LogIndex index = 4; index <= 6; ++index) {
    engine_->BreakConnections();
    ExpectAppends(*log, index - 1, Record(index));
  }
  engine_->BreakConnections();
  absl::StatusOr<std::vector<LogRecord>> records = log->Read(1, {});
  for (int i = 0; i < kAttempts && !records.ok(); ++i) {
    EXPECT_EQ(ReasonOf(records.status()), log_reason::kEngineUnavailable) << records.status();
    records = log->Read(1, {});
  }
  EXPECT_THAT(ReadAll(*log), SizeIs(6));
}

// An engine that hangs makes no call hang; what was sent meanwhile is there once, or not at all.
TEST_P(ReplicatedLogConformanceTest, AppendWithoutAnAnswerIsUnknownUntilItIsRepeated) {
  options_.timeout = absl::Milliseconds(300);
  const auto log = Open();
  const auto other = Open();
  Fill(*log, 2);
  EXPECT_THAT(ReadAll(*other), SizeIs(2));
  engine_->Freeze();
  const CompareAppendResult unknown = log->CompareAppend(2, Record(3), absl::Milliseconds(300));
  EXPECT_EQ(unknown.outcome, CompareAppendOutcome::kUnknown) << unknown.status;
  EXPECT_EQ(ReasonOf(unknown.status), log_reason::kEngineUnavailable);
  EXPECT_EQ(ReasonOf(other->Last().status()), log_reason::kEngineUnavailable);
  EXPECT_EQ(ReasonOf(log->State().status), log_reason::kEngineUnavailable);
  EXPECT_EQ(log->State().unknown_appends, 1);
  engine_->Thaw();
  // By its successor, as it were; one of the two is there in the end.
  const CompareAppendResult second = AppendUntilKnown(*other, 2, Record(3, "b"));
  const CompareAppendResult first = AppendUntilKnown(*log, 2, Record(3));
  const bool first_won = first.outcome == CompareAppendOutcome::kAppended;
  EXPECT_EQ(first.outcome,
            first_won ? CompareAppendOutcome::kAppended : CompareAppendOutcome::kLost);
  EXPECT_EQ(second.outcome,
            first_won ? CompareAppendOutcome::kLost : CompareAppendOutcome::kAppended)
      << second.status;
  for (ReplicatedLog* const handle : {log.get(), other.get()}) {
    const std::vector<LogRecord> records = ReadAll(*handle);
    ASSERT_THAT(records, SizeIs(3));
    EXPECT_EQ(records[2].bytes, first_won ? Record(3) : Record(3, "b"));
  }
}

TEST_P(ReplicatedLogConformanceTest, WaitEndsWithARecordOrWhenWoken) {
  const auto log = Open();
  const auto other = Open();
  Fill(*log, 1);
  EXPECT_TRUE(log->AwaitRecord(0, kPatience));
  EXPECT_TRUE(other->AwaitRecord(0, kPatience));
  EXPECT_FALSE(other->AwaitRecord(1, absl::ZeroDuration()));
  // Until somebody appends.
  std::thread appending([&] { ExpectAppends(*log, 1, Record(2)); });
  bool news = false;
  for (int i = 0; i < kAttempts && !news; ++i) news = other->AwaitRecord(1, kPatience);
  EXPECT_TRUE(news);
  appending.join();
  // Until it is woken, also if that came first.
  other->Wake();
  EXPECT_FALSE(other->AwaitRecord(2, absl::Hours(1)));
  std::thread waking([&] { other->Wake(); });
  EXPECT_FALSE(other->AwaitRecord(2, absl::Hours(1)));
  waking.join();
  const auto records = other->Read(2, {});
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_THAT(*records, SizeIs(1));
  EXPECT_EQ(records->front().bytes, Record(2));
}

TEST_P(ReplicatedLogConformanceTest, ConfirmReachesAsFarAsTheLog) {
  const auto log = Open();
  Fill(*log, 3);
  const auto other = Open();
  for (LogIndex index = 0; index <= 3; ++index) {
    const absl::Status confirmed = other->Confirm(index);
    EXPECT_TRUE(confirmed.ok()) << confirmed;
  }
  const absl::Status behind = other->Confirm(4);
  EXPECT_EQ(ReasonOf(behind), log_reason::kLogBehind) << behind;
  EXPECT_EQ(NumberOf(behind, "last"), "3");
}

TEST_P(ReplicatedLogConformanceTest, ShutdownEndsWhatWaitsAndRefusesTheRest) {
  const auto log = Open();
  Fill(*log, 1);
  std::thread waiting([&] { EXPECT_FALSE(log->AwaitRecord(1, absl::Hours(1))); });
  log->Shutdown();
  waiting.join();
  EXPECT_EQ(ReasonOf(log->Last().status()), log_reason::kEngineUnavailable);
  EXPECT_EQ(ReasonOf(log->Read(1, {}).status()), log_reason::kEngineUnavailable);
  EXPECT_EQ(log->CompareAppend(1, Record(2), kPatience).outcome, CompareAppendOutcome::kRefused);
  EXPECT_THAT(ReadAll(*Open()), SizeIs(1));
}

TEST_P(ReplicatedLogConformanceTest, StateTellsWhatHappened) {
  const auto log = Open();
  EXPECT_EQ(ReasonOf(log->State().status), log_reason::kEngineUnavailable);
  Fill(*log, 2);
  EXPECT_EQ(AppendUntilKnown(*log, 0, Record(1, "b")).outcome, CompareAppendOutcome::kLost);
  const EngineState state = log->State();
  EXPECT_TRUE(state.status.ok()) << state.status;
  EXPECT_EQ(state.appends, 2);
  EXPECT_EQ(state.lost_appends, 1);
  EXPECT_EQ(state.unknown_appends, 0);
  EXPECT_GE(state.connections, 1);
  EXPECT_NE(state.server, "");
  EXPECT_NE(state.engine, "");
}

}  // namespace hookgate
