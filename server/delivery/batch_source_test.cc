#include "server/delivery/batch_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_clock.h"
#include "tests/support/forwarding_log.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = BatchSource::Next::Kind;

std::vector<Sequence> SequencesIn(const BatchFrame& frame) {
  v1::SubscribeResponse response;
  EXPECT_TRUE(response.ParseFromString(frame.bytes));
  std::vector<Sequence> sequences;
  for (const v1::Event& event : response.event_batch().events()) {
    sequences.push_back(event.sequence());
  }
  return sequences;
}

Selection OfType(const std::string& type, bool include_raw_body = false) {
  v1::EventFilter filter;
  if (!type.empty()) filter.add_types(type);
  return Selection(*EventFilter::Create(filter), include_raw_body);
}

// Counts the reads of a log, and can fail one.
class CountingLog final : public ForwardingLog {
 public:
  using ForwardingLog::ForwardingLog;
  int reads() const { return reads_; }
  void FailNextRead() { fail_next_ = true; }

  absl::StatusOr<Sequence> Scan(Sequence after, absl::optional<EventPredicate> matches,
                                const ReadLimits& limits, EventVisitor visit) override {
    ++reads_;
    if (fail_next_.exchange(false)) return absl::InternalError("the disk has gone");
    return ForwardingLog::Scan(after, matches, limits, visit);
  }

 private:
  std::atomic<int> reads_ = 0;
  std::atomic<bool> fail_next_ = false;
};

class BatchSourceTest : public testing::Test {
 protected:
  explicit BatchSourceTest(Tail::Limits tail = {}, BatchSource::Limits limits = {})
      : tail_(tail, watch_), stored_(OpenTemporaryLog(&tail_)), source_(limits, tail_, log_) {
    tail_.StartAfter(0);
  }

  void Append(int count, const std::string& type = "batch.failed") {
    for (int i = 0; i < count; ++i) {
      AppendEvent(*stored_, {.type = type, .receive_time = absl::FromUnixSeconds(++second_)});
    }
  }
  // Removes the first `count` events.
  void Trim(int64_t count) { ASSERT_EQ(*stored_->Trim({count, count}), count); }
  // And what is read ahead.
  void Read(const Selection& selection, Sequence after) {
    absl::optional<Sequence> next = after;
    for (int ahead = 0; next.has_value(); ++ahead) next = source_.Read(selection, *next, ahead);
  }
  // The batch after `after`, from wherever it is.
  absl::StatusOr<BatchFramePtr> Get(const Selection& selection, Sequence after) {
    BatchSource::Next next = source_.TryNext(selection, after);
    if (next.kind == Kind::kBatch) return next.batch;
    if (next.kind == Kind::kNothingNew) return BatchFramePtr();
    absl::Notification done;
    absl::StatusOr<BatchFramePtr> result;
    const bool first = source_.Await(selection, after, [&](const auto& batch) {
      result = batch;
      done.Notify();
    });
    if (first) Read(selection, after);
    done.WaitForNotification();
    return result;
  }
  // All from `after` to the head.
  std::vector<Sequence> GetAll(const Selection& selection, Sequence after) {
    std::vector<Sequence> all;
    while (true) {
      const absl::StatusOr<BatchFramePtr> batch = Get(selection, after);
      EXPECT_TRUE(batch.ok()) << batch.status();
      if (!batch.ok() || *batch == nullptr) return all;
      EXPECT_EQ((*batch)->after, after);
      EXPECT_GT((*batch)->through, after);
      after = (*batch)->through;
      const std::vector<Sequence> sequences = SequencesIn(**batch);
      all.insert(all.end(), sequences.begin(), sequences.end());
    }
  }

  FakeClock clock_;
  HeadWatch watch_{clock_};
  Tail tail_;
  const std::unique_ptr<SqliteEventLog> stored_;
  CountingLog log_{*stored_};
  BatchSource source_;
  int64_t second_ = 0;
};

TEST_F(BatchSourceTest, CaughtUpStreamsOfOneSelectionShareTheFrame) {
  Append(3);
  const Selection all = OfType("");
  const BatchFramePtr first = *Get(all, 0);
  EXPECT_THAT(SequencesIn(*first), ElementsAre(1, 2, 3));
  EXPECT_EQ(*Get(OfType(""), 0), first);
  EXPECT_EQ(source_.TryNext(all, 3).kind, Kind::kNothingNew);
  EXPECT_EQ(source_.TryNext(all, 3).head, 3);
}

TEST_F(BatchSourceTest, SelectionsAreKeptApart) {
  Append(1);
  Append(1, "batch.completed");
  EXPECT_THAT(GetAll(OfType(""), 0), ElementsAre(1, 2));
  EXPECT_THAT(GetAll(OfType("batch.failed"), 0), ElementsAre(1));
  EXPECT_THAT(GetAll(OfType("batch.completed"), 0), ElementsAre(2));
  EXPECT_THAT(GetAll(OfType("none"), 0), IsEmpty());
  EXPECT_NE(*Get(OfType("", /*include_raw_body=*/true), 0), *Get(OfType(""), 0));
}

TEST_F(BatchSourceTest, FrameThatHasGrownOldIsSentOnlyIfItHoldsHalfOfWhatIsThere) {
  const Selection all = OfType("");
  Append(2);
  const BatchFramePtr early = *Get(all, 0);
  Append(2);
  EXPECT_EQ(*Get(all, 0), early);
  Append(1);
  EXPECT_THAT(SequencesIn(**Get(all, 0)), ElementsAre(1, 2, 3, 4, 5));
}

class SmallBatches : public BatchSourceTest {
 protected:
  SmallBatches()
      : BatchSourceTest({.max_events = 2}, {.max_batch_events = 4, .block = 8, .read_ahead = 0}) {}
};

TEST_F(SmallBatches, StreamsThatBeganApartMeetAtTheNextBlock) {
  Append(30);
  const Selection all = OfType("");
  EXPECT_EQ((*Get(all, 3))->through, 7);
  EXPECT_EQ((*Get(all, 7))->through, 8);
  EXPECT_EQ((*Get(all, 0))->through, 4);
  EXPECT_EQ((*Get(all, 4))->through, 8);
  const int reads = log_.reads();
  EXPECT_EQ(*Get(all, 8), *Get(all, 8));
  EXPECT_EQ(log_.reads(), reads + 1);
}

TEST_F(SmallBatches, OneReadServesAllWhoAwaitIt) {
  Append(30);
  const Selection all = OfType("");
  std::vector<BatchFramePtr> got;
  const auto note = [&](const absl::StatusOr<BatchFramePtr>& batch) { got.push_back(*batch); };
  EXPECT_TRUE(source_.Await(all, 0, note));
  EXPECT_FALSE(source_.Await(all, 0, note));
  EXPECT_TRUE(source_.Await(OfType("batch.failed"), 0, note));
  Read(all, 0);
  EXPECT_EQ(log_.reads(), 1);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0], got[1]);
  Read(OfType("batch.failed"), 0);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_NE(got[2], got[0]);
}

TEST_F(SmallBatches, FailedReadIsToldToAllAndTriedAgain) {
  Append(30);
  const Selection all = OfType("");
  log_.FailNextRead();
  EXPECT_EQ(Get(all, 0).status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(SequencesIn(**Get(all, 0)), ElementsAre(1, 2, 3, 4));
}

TEST_F(SmallBatches, WhatRetentionHasOvertakenIsAnErrorEvenIfAFrameOfItIsStillThere) {
  Append(30);
  const Selection all = OfType("");
  ASSERT_TRUE(Get(all, 0).ok());
  ASSERT_TRUE(Get(all, 4).ok());
  Trim(2);
  EXPECT_EQ(ReasonOf(Get(all, 0).status()), reason::kCursorOvertaken);
  EXPECT_THAT(SequencesIn(**Get(all, 4)), ElementsAre(5, 6, 7, 8));
}

class ReadingAhead : public BatchSourceTest {
 protected:
  ReadingAhead()
      : BatchSourceTest({.max_events = 2}, {.max_batch_events = 4, .block = 8, .read_ahead = 2}) {}
};

TEST_F(ReadingAhead, NextBatchesAreInMemoryWhenTheyAreAskedFor) {
  Append(30);
  const Selection all = OfType("");
  ASSERT_TRUE(Get(all, 0).ok());
  EXPECT_EQ(log_.reads(), 3);
  EXPECT_EQ(source_.TryNext(all, 4).kind, Kind::kBatch);
  EXPECT_EQ(source_.TryNext(all, 8).kind, Kind::kBatch);
  EXPECT_EQ(source_.TryNext(all, 12).kind, Kind::kOnDisk);
}

// Streams that begin anywhere, select anything, and are now faster, now slower than the log and
// than each other, get exactly what a read of the log gives.
TEST_F(ReadingAhead, ManyStreamsGetExactlyWhatTheLogHolds) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const std::vector<std::string> types = {"batch.failed", "batch.completed", "eval.run.failed"};
  constexpr int kEvents = 400;
  std::vector<std::string> type_of = {""};
  for (int i = 0; i < kEvents; ++i) type_of.push_back(types[random() % types.size()]);

  std::thread writer([&] {
    for (int i = 1; i <= kEvents; ++i) Append(1, type_of[i]);
  });
  std::vector<std::thread> streams;
  for (int i = 0; i < 8; ++i) {
    const std::string wanted = i % 2 == 0 ? "" : types[random() % types.size()];
    const auto start = static_cast<Sequence>(random() % 40);
    const unsigned stream_seed = random();
    streams.emplace_back([this, &type_of, wanted, start, stream_seed] {
      std::mt19937 own_random(stream_seed);
      const Selection selection = OfType(wanted);
      ASSERT_TRUE(Eventually("events are stored up to the start",
                             [&] { return stored_->Position().head >= start; }));
      std::vector<Sequence> got;
      for (Sequence after = start; after < kEvents;) {
        const absl::StatusOr<BatchFramePtr> batch = Get(selection, after);
        ASSERT_TRUE(batch.ok()) << batch.status();
        if (*batch == nullptr) continue;
        after = (*batch)->through;
        for (const Sequence sequence : SequencesIn(**batch)) got.push_back(sequence);
        for (unsigned pause = own_random() % 50; pause > 0; --pause) std::this_thread::yield();
      }
      std::vector<Sequence> expected;
      for (Sequence sequence = start + 1; sequence <= kEvents; ++sequence) {
        if (wanted.empty() || type_of[sequence] == wanted) expected.push_back(sequence);
      }
      EXPECT_EQ(got, expected) << "type \"" << wanted << "\" after " << start;
    });
  }
  writer.join();
  for (std::thread& stream : streams) stream.join();
}

}  // namespace
}  // namespace hookgate
