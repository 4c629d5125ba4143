#include "server/eventlog/sqlite_event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/store/database.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Outcome = AppendResult::Outcome;

const auto kAll = [](const StoredEvent&) { return true; };
constexpr Sequence kLast = std::numeric_limits<Sequence>::max();

std::string FreshFolder() {
  static int count = 0;
  return absl::StrCat(testing::TempDir(), "/log_", getpid(), "_", ++count);
}

std::unique_ptr<SqliteEventLog> OpenLog(const std::string& folder,
                                        CommitListener* listener = nullptr,
                                        CommitThread::Limits limits = {}) {
  auto log = SqliteEventLog::Open({.data_dir = folder, .limits = limits, .reserved_wal_bytes = 0},
                                  listener);
  EXPECT_TRUE(log.ok()) << log.status();
  return *std::move(log);
}

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(1'750'000'000 + seconds); }

std::unique_ptr<StoredEvent> NewEvent(absl::string_view webhook_id,
                                      absl::Time receive_time = At(0)) {
  auto event = std::make_unique<StoredEvent>();
  event->source = "openai";
  event->webhook_id = std::string(webhook_id);
  event->type = "batch.failed";
  event->subject = absl::StrCat("batch_of_", webhook_id);
  event->failure = true;
  event->receive_time = receive_time;
  event->envelope = absl::StrCat("envelope of ", webhook_id);
  event->raw_body = absl::StrCat("body of ", webhook_id);
  return event;
}

absl::StatusOr<AppendResult> Append(EventLog& log, std::unique_ptr<StoredEvent> event) {
  absl::Notification done;
  absl::StatusOr<AppendResult> result;
  log.Append(std::move(event), [&](absl::StatusOr<AppendResult> outcome) {
    result = std::move(outcome);
    done.Notify();
  });
  done.WaitForNotification();
  return result;
}

void AppendAll(EventLog& log, int count, absl::string_view prefix = "wh_") {
  for (int i = 1; i <= count; ++i) {
    ASSERT_TRUE(Append(log, NewEvent(absl::StrCat(prefix, i), At(i))).ok());
  }
}

std::vector<Sequence> SequencesOf(const std::vector<StoredEventPtr>& events) {
  std::vector<Sequence> sequences;
  sequences.reserve(events.size());
  for (const StoredEventPtr& event : events) sequences.push_back(event->sequence);
  return sequences;
}

TEST(SqliteEventLogTest, EventsKeepTheirOrderAndContentOverAReopening) {
  const std::string folder = FreshFolder();
  std::string epoch;
  {
    auto log = OpenLog(folder);
    epoch = log->epoch();
    AppendAll(*log, 3);
  }
  auto log = OpenLog(folder);
  EXPECT_EQ(log->epoch(), epoch);
  EXPECT_EQ(log->Position().earliest, 1);
  EXPECT_EQ(log->Position().head, 3);
  const auto page = log->Read(0, kAll, {.include_raw_body = true});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(SequencesOf(page->events), ElementsAre(1, 2, 3));
  const StoredEvent& event = *page->events[1];
  EXPECT_EQ(event.webhook_id, "wh_2");
  EXPECT_EQ(event.subject, "batch_of_wh_2");
  EXPECT_EQ(event.receive_time, At(2));
  EXPECT_EQ(event.envelope, "envelope of wh_2");
  EXPECT_EQ(event.raw_body, "body of wh_2");
  EXPECT_EQ(Append(*log, NewEvent("wh_4"))->sequence, 4);
}

TEST(SqliteEventLogTest, RepeatIsAnsweredWithTheFirstSequenceAndChangesNothing) {
  auto log = OpenLog(FreshFolder());
  EXPECT_EQ(Append(*log, NewEvent("a"))->outcome, Outcome::kStored);
  const auto repeat = Append(*log, NewEvent("a", At(99)));
  EXPECT_EQ(repeat->outcome, Outcome::kDuplicate);
  EXPECT_EQ(repeat->sequence, 1);
  EXPECT_EQ(log->Position().head, 1);
  EXPECT_EQ((*log->Get(1))->receive_time, At(0));
}

TEST(SqliteEventLogTest, SameIdFromAnotherSourceIsAnotherEvent) {
  auto log = OpenLog(FreshFolder());
  auto other = NewEvent("a");
  other->source = "staging";
  Append(*log, NewEvent("a")).IgnoreError();
  EXPECT_EQ(Append(*log, std::move(other))->outcome, Outcome::kStored);
}

TEST(SqliteEventLogTest, SameIdWithAnotherBodyIsAConflictAndTheFirstIsKept) {
  auto log = OpenLog(FreshFolder());
  auto changed = NewEvent("a");
  changed->raw_body = "forged";
  Append(*log, NewEvent("a")).IgnoreError();
  const auto conflict = Append(*log, std::move(changed));
  EXPECT_EQ(conflict->outcome, Outcome::kConflict);
  EXPECT_EQ(conflict->sequence, 1);
  EXPECT_EQ((*log->Find("openai", "a"))->raw_body, "body of a");
}

// Senders retry while the first attempt is still on its way; both are then in one group.
TEST(SqliteEventLogTest, TwentyAtOnceWithOneIdAreOneEvent) {
  auto log = OpenLog(FreshFolder());
  absl::BlockingCounter left(20);
  std::atomic<int> stored = 0;
  for (int i = 0; i < 20; ++i) {
    log->Append(NewEvent("same"), [&](absl::StatusOr<AppendResult> result) {
      if (result.ok() && result->outcome == Outcome::kStored) ++stored;
      left.DecrementCount();
    });
  }
  left.Wait();
  EXPECT_EQ(stored, 1);
  EXPECT_EQ(log->Position().head, 1);
}

TEST(SqliteEventLogTest, ManyWritersGetEachSequenceOnceAndTheListenerHearsThemInOrder) {
  class Listener : public CommitListener {
   public:
    void OnCommit(absl::Span<const StoredEventPtr> events) override {
      for (const StoredEventPtr& event : events) heard.push_back(event->sequence);
    }
    std::vector<Sequence> heard;
  } listener;
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  {
    auto log = OpenLog(FreshFolder(), &listener);
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] { AppendAll(*log, kEach, absl::StrCat("t", t, "_")); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  ASSERT_THAT(listener.heard, SizeIs(kThreads * kEach));
  for (size_t i = 0; i < listener.heard.size(); ++i) {
    EXPECT_EQ(listener.heard[i], static_cast<Sequence>(i + 1));
  }
}

TEST(SqliteEventLogTest, FullQueueRefusesAtOnceAndTheRestIsStored) {
  // The first answer holds the writer thread, so that what follows waits in the queue.
  auto log = OpenLog(FreshFolder(), nullptr, {.max_queued = 2});
  absl::Notification first_answered;
  absl::Notification go_on;
  log->Append(NewEvent("first"), [&](const absl::StatusOr<AppendResult>&) {
    first_answered.Notify();
    go_on.WaitForNotification();
  });
  first_answered.WaitForNotification();
  absl::BlockingCounter left(2);
  for (const char* id : {"second", "third"}) {
    log->Append(NewEvent(id), [&](const absl::StatusOr<AppendResult>& result) {
      EXPECT_TRUE(result.ok());
      left.DecrementCount();
    });
  }
  const auto refused = Append(*log, NewEvent("fourth"));
  EXPECT_TRUE(absl::IsUnavailable(refused.status()));
  EXPECT_EQ(ReasonOf(refused.status()), reason::kQueueFull);
  go_on.Notify();
  left.Wait();
  EXPECT_EQ(log->Position().head, 3);
}

TEST(SqliteEventLogTest, WriteAheadLogStaysBoundedWhileCommitsKeepComing) {
  const std::string folder = FreshFolder();
  auto log = OpenLog(folder);
  std::uintmax_t largest = 0;
  for (int i = 0; i < 400; ++i) {
    auto event = NewEvent(absl::StrCat("wh_", i));
    event->raw_body = std::string(1 << 20, 'x');
    ASSERT_TRUE(Append(*log, std::move(event)).ok());
    largest = std::max(largest, std::filesystem::file_size(folder + "/events.db-wal"));
  }
  EXPECT_LT(largest, 200u << 20);
}

TEST(SqliteEventLogTest, ClosingAnswersEverythingThatWaits) {
  const std::string folder = FreshFolder();
  std::atomic<int> stored = 0;
  {
    auto log = OpenLog(folder);
    for (int i = 0; i < 100; ++i) {
      log->Append(NewEvent(absl::StrCat(i)),
                  [&](const absl::StatusOr<AppendResult>& result) { stored += result.ok(); });
    }
  }
  EXPECT_EQ(stored, 100);
  EXPECT_EQ(OpenLog(folder)->Position().head, 100);
}

TEST(SqliteEventLogTest, ReadStopsAtEachLimitAndSaysHowFarItLooked) {
  auto log = OpenLog(FreshFolder());
  AppendAll(*log, 10);
  const auto by_count = log->Read(2, kAll, {.max_events = 3});
  EXPECT_THAT(SequencesOf(by_count->events), ElementsAre(3, 4, 5));
  EXPECT_EQ(by_count->scanned_to, 5);

  const auto by_bytes = log->Read(0, kAll, {.max_bytes = 1});
  EXPECT_THAT(SequencesOf(by_bytes->events), ElementsAre(1));

  const auto none = [](const StoredEvent&) { return false; };
  const auto by_scan = log->Read(0, none, {.max_scanned = 4});
  EXPECT_THAT(by_scan->events, IsEmpty());
  EXPECT_EQ(by_scan->scanned_to, 4);

  const auto to_the_end = log->Read(8, kAll, {});
  EXPECT_THAT(SequencesOf(to_the_end->events), ElementsAre(9, 10));
  EXPECT_EQ(to_the_end->scanned_to, 10);
  EXPECT_TRUE(to_the_end->events[0]->raw_body.empty());
}

TEST(SqliteEventLogTest, ListPagesHoldEveryEventOnceInEitherOrder) {
  auto log = OpenLog(FreshFolder());
  // Equal times, and a clock that was set back; failures and others, which are in two indexes.
  const int64_t seconds[] = {5, 5, 5, 9, 1, 7, 7};
  for (size_t i = 0; i < std::size(seconds); ++i) {
    auto event = NewEvent(absl::StrCat(i), At(seconds[i]));
    event->failure = i % 2 == 0;
    Append(*log, std::move(event)).IgnoreError();
  }
  for (bool newest_first : {true, false}) {
    std::vector<Sequence> seen;
    ListQuery query{.newest_first = newest_first};
    do {
      const auto page = log->List(query, kAll, {.max_events = 2});
      ASSERT_TRUE(page.ok()) << page.status();
      for (Sequence sequence : SequencesOf(page->events)) seen.push_back(sequence);
      query.after = page->next;
    } while (query.after.has_value());
    std::vector<Sequence> expected = {5, 1, 2, 3, 6, 7, 4};
    if (newest_first) std::reverse(expected.begin(), expected.end());
    EXPECT_EQ(seen, expected);
  }
}

// A log as version 3 of the schema left it: all events in one index by time.
TEST(SqliteEventLogTest, OlderLogIsListedInTheSameOrder) {
  const std::string folder = FreshFolder();
  {
    auto log = OpenLog(folder);
    for (const int second : {3, 1, 2}) {
      auto event = NewEvent(absl::StrCat(second), At(second));
      event->failure = second == 2;
      Append(*log, std::move(event)).IgnoreError();
    }
  }
  MakeVersion4(folder + "/events.db");
  ASSERT_TRUE((*Database::Open(folder + "/events.db", Database::Mode::kReadWrite))
                  ->Execute("DROP INDEX other_events_by_time;"
                            "CREATE INDEX events_by_time ON events (receive_time_us);"
                            "PRAGMA user_version = 3")
                  .ok());
  auto log = OpenLog(folder);
  const auto page = log->List({.newest_first = false}, kAll, {});
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(SequencesOf(page->events), ElementsAre(2, 3, 1));
  EXPECT_THAT(SequencesOf(log->List({.failures_only = true}, kAll, {})->events), ElementsAre(3));
}

TEST(SqliteEventLogTest, ScanShowsTheContentOfWhatMatchesAndSaysHowFarItLooked) {
  auto log = OpenLog(FreshFolder());
  AppendAll(*log, 5);
  const auto odd = [](const StoredEvent& event) { return event.sequence % 2 == 1; };
  std::vector<std::string> seen;
  const auto look = [&](const EventContent& event) {
    seen.push_back(absl::StrCat(event.sequence, ": ", event.envelope, ", ", event.raw_body));
  };
  EXPECT_EQ(log->Scan(3, absl::nullopt, {}, look).value(), 5);
  EXPECT_THAT(seen, ElementsAre("4: envelope of wh_4, ", "5: envelope of wh_5, "));
  seen.clear();
  EXPECT_EQ(
      log->Scan(0, EventPredicate(odd), {.max_events = 2, .include_raw_body = true}, look).value(),
      3);
  EXPECT_THAT(
      seen, ElementsAre("1: envelope of wh_1, body of wh_1", "3: envelope of wh_3, body of wh_3"));
  seen.clear();
  EXPECT_EQ(log->Scan(0, absl::nullopt, {.max_scanned = 2}, look).value(), 2);
  EXPECT_EQ(log->Scan(5, absl::nullopt, {}, look).value(), 5);
  EXPECT_THAT(seen, SizeIs(2));
}

TEST(SqliteEventLogTest, WindowIncludesItsStartAndExcludesItsEnd) {
  auto log = OpenLog(FreshFolder());
  AppendAll(*log, 5);
  const auto page = log->List({.start = At(2), .end = At(4), .newest_first = false}, kAll, {});
  EXPECT_THAT(SequencesOf(page->events), ElementsAre(2, 3));
}

TEST(SqliteEventLogTest, FailuresAreListedAndCountedApart) {
  auto log = OpenLog(FreshFolder());
  AppendAll(*log, 3);
  auto success = NewEvent("ok", At(4));
  success->failure = false;
  Append(*log, std::move(success)).IgnoreError();
  const ListQuery failures{.start = At(2), .failures_only = true};
  EXPECT_THAT(SequencesOf(log->List(failures, kAll, {})->events), ElementsAre(3, 2));
  for (const auto& all : {absl::optional<EventPredicate>(), absl::optional<EventPredicate>(kAll)}) {
    EXPECT_EQ(log->CountFailures(failures, all, 10)->count, 2);
    EXPECT_FALSE(log->CountFailures(failures, all, 2)->truncated);
    EXPECT_EQ(log->CountFailures(failures, all, 1)->count, 1);
    EXPECT_TRUE(log->CountFailures(failures, all, 1)->truncated);
  }
  const auto one = [](const StoredEvent& event) { return event.subject == "batch_of_wh_3"; };
  EXPECT_EQ(log->CountFailures(failures, one, 10)->count, 1);
  const auto none_of_the_newest = [](const StoredEvent& event) { return event.sequence == 2; };
  EXPECT_EQ(log->CountFailures(failures, none_of_the_newest, 1)->count, 0);
  EXPECT_TRUE(log->CountFailures(failures, none_of_the_newest, 1)->truncated);
}

TEST(SqliteEventLogTest, FirstAtOrAfterIsByTimeAndMayNotExistYet) {
  auto log = OpenLog(FreshFolder());
  AppendAll(*log, 3);
  auto success = NewEvent("ok", At(4));
  success->failure = false;
  Append(*log, std::move(success)).IgnoreError();
  EXPECT_EQ(*log->FirstAtOrAfter(At(-100)), absl::optional<Sequence>(1));
  EXPECT_EQ(*log->FirstAtOrAfter(At(2)), absl::optional<Sequence>(2));
  EXPECT_EQ(*log->FirstAtOrAfter(At(4)), absl::optional<Sequence>(4));
  EXPECT_EQ(*log->FirstAtOrAfter(At(5)), absl::nullopt);
}

TEST(SqliteEventLogTest, WhatIsNotThereIsNotFound) {
  auto log = OpenLog(FreshFolder());
  EXPECT_EQ(ReasonOf(log->Get(1).status()), reason::kEventNotFound);
  EXPECT_TRUE(absl::IsNotFound(log->Find("openai", "a").status()));
}

TEST(SqliteEventLogTest, TrimmedPositionsAreAnErrorThatNamesTheOldestHeld) {
  const std::string folder = FreshFolder();
  {
    auto log = OpenLog(folder);
    AppendAll(*log, 700);  // Several steps of trimming.
    EXPECT_EQ(*log->Trim({600, 600}), 600);
    EXPECT_EQ(log->Position().earliest, 601);
    const auto overtaken = log->Read(599, kAll, {});
    EXPECT_TRUE(absl::IsOutOfRange(overtaken.status())) << overtaken.status();
    EXPECT_EQ(ReasonOf(overtaken.status()), reason::kCursorOvertaken);
    EXPECT_THAT(std::string(overtaken.status().message()), testing::HasSubstr("601"));
    EXPECT_EQ(log->Read(600, kAll, {})->events.front()->sequence, 601);
  }
  EXPECT_EQ(OpenLog(folder)->Position().earliest, 601);
}

TEST(SqliteEventLogTest, SequencesAreNotGivenAgainAfterAllEventsWereTrimmed) {
  const std::string folder = FreshFolder();
  {
    auto log = OpenLog(folder);
    AppendAll(*log, 3);
    EXPECT_EQ(*log->Trim({kLast, kLast}), 3);
    EXPECT_EQ(log->Position().earliest, 4);
    EXPECT_EQ(log->Position().head, 3);
  }
  auto log = OpenLog(folder);
  EXPECT_EQ(Append(*log, NewEvent("new"))->sequence, 4);
}

// Events 1 to `count`, one a second, each with a body of `bytes`.
void AppendLarge(EventLog& log, int count, size_t bytes) {
  for (int i = 1; i <= count; ++i) {
    auto event = NewEvent(absl::StrCat("large", i), At(i));
    event->raw_body = std::string(bytes, 'x');
    ASSERT_TRUE(Append(log, std::move(event)).ok());
  }
}

constexpr size_t kLarge = 100'000;

TEST(SqliteEventLogTest, AboveItsBytesTheOldestGoUntilItIsNot) {
  auto log = OpenLog(FreshFolder());
  AppendLarge(*log, 100, kLarge);
  const int64_t used = *log->UsedBytes();
  const int64_t limit = used - 40 * static_cast<int64_t>(kLarge);
  const int64_t removed = *log->Trim({.max_bytes = limit, .excess = kLast});
  EXPECT_GE(removed, 35);
  EXPECT_LE(removed, 41) << "more than needed";
  EXPECT_LE(*log->UsedBytes(), limit);
  EXPECT_EQ(log->Position().earliest, removed + 1);
  // It is within its limit now.
  EXPECT_EQ(*log->Trim({.max_bytes = limit, .excess = kLast}), 0);
}

TEST(SqliteEventLogTest, HoweverLargeTheLogIsYoungEventsStay) {
  auto log = OpenLog(FreshFolder());
  AppendLarge(*log, 30, kLarge);
  EXPECT_EQ(*log->Trim({.max_bytes = 1, .excess = 10}), 10);
  EXPECT_GT(*log->UsedBytes(), 20 * static_cast<int64_t>(kLarge));
}

TEST(SqliteEventLogTest, WhicheverLimitCutsMoreDoes) {
  auto log = OpenLog(FreshFolder());
  AppendLarge(*log, 30, kLarge);
  const int64_t used = *log->UsedBytes();
  EXPECT_EQ(*log->Trim({.settled = 5, .unsettled = 5, .max_bytes = used, .excess = 19}), 5);
  EXPECT_EQ(*log->Trim({.settled = 10, .unsettled = 5, .max_bytes = 1, .excess = 7}), 5)
      << "the age is the stricter one here";
}

// What was free is used again: the log holds its size for as long as webhooks come.
TEST(SqliteEventLogTest, RemovedEventsMakeRoomForNewOnes) {
  const std::string folder = FreshFolder();
  auto log = OpenLog(folder);
  AppendLarge(*log, 30, kLarge);
  const int64_t limit = *log->UsedBytes();
  for (int i = 0; i < 60; ++i) {
    auto event = NewEvent(absl::StrCat("more", i), At(100 + i));
    event->raw_body = std::string(kLarge, 'y');
    ASSERT_TRUE(Append(*log, std::move(event)).ok());
    ASSERT_TRUE(log->Trim({.max_bytes = limit, .excess = kLast}).ok());
  }
  EXPECT_LE(*log->UsedBytes(), limit);
  log = nullptr;
  OpenLog(folder);  // Moves the write-ahead log into the database.
  EXPECT_LE(static_cast<int64_t>(std::filesystem::file_size(folder + "/events.db")),
            limit + 3 * static_cast<int64_t>(kLarge));
}

void PutIntoQuarantine(EventLog& log, const std::string& webhook_id,
                       absl::Time receive_time = At(1), const std::string& body = "{",
                       const std::string& source = "openai") {
  hookgate::PutIntoQuarantine(log, {.source = source,
                                    .webhook_id = webhook_id,
                                    .webhook_time = At(0),
                                    .receive_time = receive_time,
                                    .reason = reason::kBodyNotJson,
                                    .detail = "cut off",
                                    .raw_body = body});
}

constexpr int64_t kNewest = std::numeric_limits<int64_t>::max();

std::vector<int64_t> QuarantinedIds(SqliteEventLog& log, absl::string_view source = "") {
  std::vector<int64_t> ids;
  const auto entries = log.ListQuarantined(source, kNewest, 100);
  EXPECT_TRUE(entries.ok()) << entries.status();
  for (const QuarantineEntry& entry : *entries) ids.push_back(entry.id);
  return ids;
}

TEST(SqliteEventLogTest, RepeatsOfAQuarantinedWebhookCountUpOneEntry) {
  const std::string folder = FreshFolder();
  {
    auto log = OpenLog(folder);
    PutIntoQuarantine(*log, "bad", At(1), "first");
    PutIntoQuarantine(*log, "bad", At(2), "first");
  }
  auto log = OpenLog(folder);
  const auto entry = log->GetQuarantined(1);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->webhook.webhook_id, "bad");
  EXPECT_EQ(entry->webhook.raw_body, "first");
  EXPECT_EQ(entry->webhook.receive_time, At(1));
  EXPECT_EQ(entry->webhook.detail, "cut off");
  EXPECT_EQ(entry->last_receive_time, At(2));
  EXPECT_EQ(entry->receive_count, 2);
  EXPECT_EQ(entry->body_bytes, 5);
  EXPECT_THAT(QuarantinedIds(*log), ElementsAre(1));
}

// A sender that had repaired half of a body sent it again under the same id: nobody ever saw the
// new body, and the entry told of it beside the old one.
TEST(SqliteEventLogTest, AnotherBodyOfAQuarantinedWebhookIsKeptAsWell) {
  auto log = OpenLog(FreshFolder());
  PutIntoQuarantine(*log, "bad", At(1), "first");
  PutIntoQuarantine(*log, "bad", At(2), "second");
  PutIntoQuarantine(*log, "bad", At(3), "third");
  PutIntoQuarantine(*log, "bad", At(4), "second");
  PutIntoQuarantine(*log, "bad", At(5), "first");
  ASSERT_THAT(QuarantinedIds(*log), ElementsAre(3, 2, 1));
  const char* const bodies[] = {"first", "second", "third"};
  const int64_t counts[] = {2, 2, 1};
  for (int i = 0; i < 3; ++i) {
    const auto entry = log->GetQuarantined(i + 1);
    ASSERT_TRUE(entry.ok()) << entry.status();
    EXPECT_EQ(entry->webhook.webhook_id, "bad");
    EXPECT_EQ(entry->webhook.raw_body, bodies[i]);
    EXPECT_EQ(entry->webhook.receive_time, At(i + 1));
    EXPECT_EQ(entry->receive_count, counts[i]);
  }
  // What is left of it still counts its own repeats when the first one has gone.
  ASSERT_TRUE(Discard(*log, 1).ok());
  PutIntoQuarantine(*log, "bad", At(6), "second");
  EXPECT_EQ(log->GetQuarantined(2)->receive_count, 3);
  PutIntoQuarantine(*log, "bad", At(7), "first");
  const std::vector<int64_t> ids = QuarantinedIds(*log);
  ASSERT_THAT(ids, ElementsAre(testing::Gt(3), 3, 2));
  EXPECT_EQ(log->GetQuarantined(ids.front())->webhook.raw_body, "first");
}

TEST(SqliteEventLogTest, QuarantineIsListedNewestFirstInPages) {
  auto log = OpenLog(FreshFolder());
  for (int i = 1; i <= 3; ++i) PutIntoQuarantine(*log, absl::StrCat(i));
  PutIntoQuarantine(*log, "1", At(1), "{", "staging");
  EXPECT_THAT(QuarantinedIds(*log), ElementsAre(4, 3, 2, 1));
  EXPECT_THAT(QuarantinedIds(*log, "staging"), ElementsAre(4));
  const auto page = log->ListQuarantined("openai", 3, 1);
  ASSERT_EQ(page->size(), 1u);
  EXPECT_EQ(page->front().id, 2);
  EXPECT_EQ(page->front().webhook.raw_body, "");
  EXPECT_EQ(log->SummarizeQuarantine()->entries, 4);
}

TEST(SqliteEventLogTest, ReleasedWebhookIsAnEventAndNoLongerInQuarantine) {
  auto log = OpenLog(FreshFolder());
  PutIntoQuarantine(*log, "bad");
  const auto released = Release(*log, 1, NewEvent("bad"));
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_EQ(released->outcome, AppendResult::Outcome::kStored);
  EXPECT_EQ(log->Find("openai", "bad")->get()->sequence, released->sequence);
  EXPECT_THAT(QuarantinedIds(*log), IsEmpty());
  EXPECT_EQ(ReasonOf(Release(*log, 1, NewEvent("bad")).status()), reason::kQuarantineEntryNotFound);
  EXPECT_EQ(log->Position().head, 1);
}

TEST(SqliteEventLogTest, ReleaseOfAnEventThatItsSenderHasRepeatedAddsNothing) {
  auto log = OpenLog(FreshFolder());
  PutIntoQuarantine(*log, "bad");
  Append(*log, NewEvent("bad")).IgnoreError();
  EXPECT_EQ(Release(*log, 1, NewEvent("bad"))->outcome, AppendResult::Outcome::kDuplicate);
  EXPECT_THAT(QuarantinedIds(*log), IsEmpty());
  EXPECT_EQ(log->Position().head, 1);
}

TEST(SqliteEventLogTest, DiscardedWebhookIsGoneAndItsIdIsNotGivenAgain) {
  auto log = OpenLog(FreshFolder());
  PutIntoQuarantine(*log, "a");
  EXPECT_TRUE(Discard(*log, 1).ok());
  EXPECT_EQ(ReasonOf(Discard(*log, 1)), reason::kQuarantineEntryNotFound);
  EXPECT_EQ(ReasonOf(log->GetQuarantined(1).status()), reason::kQuarantineEntryNotFound);
  PutIntoQuarantine(*log, "b");
  EXPECT_THAT(QuarantinedIds(*log), ElementsAre(2));
}

TEST(SqliteEventLogTest, QuarantineIsBoundedByAgeAndByNumber) {
  auto log = OpenLog(FreshFolder());
  for (int i = 1; i <= 6; ++i) PutIntoQuarantine(*log, absl::StrCat(i), At(i));
  PutIntoQuarantine(*log, "2", At(7));  // Repeated: it is the youngest now.
  EXPECT_EQ(*log->TrimQuarantine({.touch = 2, .max_entries = 10}), 1);
  EXPECT_THAT(QuarantinedIds(*log), ElementsAre(6, 5, 4, 3, 2));
  EXPECT_EQ(*log->TrimQuarantine({.touch = 2, .max_entries = 2}), 3);
  EXPECT_THAT(QuarantinedIds(*log), ElementsAre(6, 2));
  EXPECT_EQ(log->SummarizeQuarantine()->removed_by_limits, 4);
}

// One statement removed all that was too much: a webhook waited for 7 s. And no clock decides what
// is the oldest.
TEST(SqliteEventLogTest, QuarantineIsTrimmedInStepsOldestFirst) {
  auto log = OpenLog(FreshFolder());
  for (int i = 1; i <= 70; ++i) PutIntoQuarantine(*log, absl::StrCat(i), At(-i));
  const std::string large(700'000, 'x');
  for (int i = 71; i <= 74; ++i) PutIntoQuarantine(*log, absl::StrCat(i), At(-i), large);
  int rests = 0;
  const auto count = [&rests] { return ++rests < 100; };
  EXPECT_EQ(*log->TrimQuarantine({.max_entries = 2}, count), 72);
  EXPECT_THAT(QuarantinedIds(*log), ElementsAre(74, 73));
  EXPECT_EQ(rests, 3) << "64; the small ones that are left with a large one; a large one";
  EXPECT_EQ(*log->TrimQuarantine({.touch = 74, .max_entries = 2}, [] { return false; }), 1);
  EXPECT_THAT(QuarantinedIds(*log), ElementsAre(74));
}

TEST(SqliteEventLogTest, TouchesAreNotGivenAgain) {
  const std::string folder = FreshFolder();
  {
    auto log = OpenLog(folder);
    for (const char* const id : {"a", "b"}) PutIntoQuarantine(*log, id);
    EXPECT_EQ(log->Ends().touch, 2);
    ASSERT_TRUE(log->StoreAges({.marks = {{.ends = log->Ends()}}}).ok());
    EXPECT_EQ(*log->TrimQuarantine({.touch = 2, .max_entries = 10}), 2);
  }
  auto log = OpenLog(folder);
  EXPECT_EQ(log->Ends().touch, 2);
  PutIntoQuarantine(*log, "c");
  EXPECT_EQ(*log->TrimQuarantine({.touch = 2, .max_entries = 10}), 0)
      << "as old as those that went";
}

TEST(SqliteEventLogTest, AgesAreLoadedAsTheyWereStored) {
  const std::string folder = FreshFolder();
  {
    auto log = OpenLog(folder);
    EXPECT_TRUE(log->LoadAges(At(0))->marks.empty());
    AgeChanges changes;
    changes.marks = {{.running = absl::Hours(1), .ends = {3, 4}},
                     {.running = absl::Hours(2), .ends = {5, 6}, .credit = absl::Hours(7)}};
    changes.clock =
        AgeClock{.running = absl::Hours(3), .trusted = AgeClock::Trusted{At(9), absl::Minutes(1)}};
    ASSERT_TRUE(log->StoreAges(changes).ok());
    ASSERT_TRUE(log->StoreAges({.first_mark = absl::Hours(2)}).ok());
  }
  const auto ages = OpenLog(folder)->LoadAges(At(0));
  ASSERT_TRUE(ages.ok()) << ages.status();
  ASSERT_THAT(ages->marks, SizeIs(1));
  EXPECT_EQ(ages->marks[0].running, absl::Hours(2));
  EXPECT_EQ(ages->marks[0].ends.sequence, 5);
  EXPECT_EQ(ages->marks[0].ends.touch, 6);
  EXPECT_EQ(ages->marks[0].credit, absl::Hours(7));
  EXPECT_EQ(ages->clock->running, absl::Hours(3));
  EXPECT_EQ(ages->clock->trusted->wall, At(9));
  EXPECT_EQ(ages->clock->trusted->running, absl::Minutes(1));
}

// One wrong bit of the time for which the log was open made every event years old, and the first
// moments of a start removed them all.
TEST(SqliteEventLogTest, DamagedAgesAreNotBelieved) {
  for (const char* const damage :
       {"UPDATE age_clock SET running_us = running_us + 17592186044416",
        "UPDATE age_clock SET trusted_wall_us = trusted_wall_us + 2",
        "UPDATE age_marks SET credit_us = 1 << 50", "UPDATE age_marks SET last_sequence = 900"}) {
    const std::string folder = FreshFolder();
    {
      auto log = OpenTemporaryLog(nullptr, folder);
      AppendEvent(*log);
      AgeChanges changes;
      changes.clock = AgeClock{.running = absl::Hours(48)};
      changes.marks = {{.running = absl::Hours(1), .ends = {.sequence = 1}}};
      ASSERT_TRUE(log->StoreAges(changes).ok());
    }
    {
      auto database = *Database::Open(folder + "/events.db", Database::Mode::kReadWrite);
      ASSERT_TRUE(database->Execute("PRAGMA ignore_check_constraints = ON").ok());
      ASSERT_TRUE(database->Execute(damage).ok()) << damage;
    }
    auto log = OpenTemporaryLog(nullptr, folder);
    const StoredAges ages = *log->LoadAges(absl::Now());
    ASSERT_TRUE(ages.clock.has_value());
    EXPECT_EQ(ages.clock->running, absl::ZeroDuration()) << damage;
    EXPECT_EQ(ages.marks.size(), 1u) << damage;
    EXPECT_EQ(ages.marks[0].running, absl::ZeroDuration()) << "as old as the newest event";
    EXPECT_EQ(log->Position().head, 1);
  }
}

// One stamped years ahead, and one of a clock that was years behind, among those of 50 days.
TEST(SqliteEventLogTest, LogOfAnOlderVersionIsAsOldAsItsStampsSay) {
  constexpr int64_t kDay = 24 * 3600;
  const std::string folder = FreshFolder();
  {
    auto log = OpenLog(folder);
    for (int day = 1; day <= 50; ++day) {
      const int64_t stamp = day == 20 ? 4000 : day == 30 ? -4000 : day;
      ASSERT_TRUE(Append(*log, NewEvent(absl::StrCat(day), At(stamp * kDay))).ok());
    }
  }
  MakeVersion4(folder + "/events.db");
  auto log = OpenLog(folder);
  const absl::Time wall = At(60 * kDay);
  const auto stored = log->LoadAges(wall);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EventAges ages(*stored, log->Ends(), wall, absl::ZeroDuration());
  const auto older_than = [&](int days) { return ages.OlderThan(absl::Hours(24 * days)).sequence; };
  EXPECT_EQ(older_than(51), 0);
  EXPECT_EQ(older_than(40), 10);
  EXPECT_EQ(older_than(30), 19) << "with the next one that says something";
  EXPECT_EQ(older_than(29), 21);
  EXPECT_EQ(older_than(1), 49);
  EXPECT_EQ(absl::Trunc(ages.uncredited() + absl::Seconds(1), absl::Minutes(1)),
            absl::Hours(24 * 10));
}

// A read that found no file descriptor failed, and its client took that for permanent.
TEST(SqliteEventLogTest, ReadingNeedsNoFileDescriptor) {
  auto log = OpenLog(FreshFolder());
  AppendAll(*log, 3);
  PutIntoQuarantine(*log, "bad");
  const auto id = CreateSubscription(*log, "billing", "settings", At(0), 0);
  ASSERT_TRUE(id.ok()) << id.status();
  constexpr int kReaders = 20;
  absl::Notification limited;
  absl::BlockingCounter reading(kReaders);
  absl::Notification limited_no_more;
  std::atomic<int> failed = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      limited.WaitForNotification();
      for (int round = 0; round < 20; ++round) {
        const bool all = log->Get(1).ok() && log->Find("openai", "wh_2").ok() &&
                         log->Read(0, kAll, {}).ok() && log->List({}, kAll, {}).ok() &&
                         log->FirstAtOrAfter(At(1)).ok() && log->UsedBytes().ok() &&
                         log->ListQuarantined("", kNewest, 10).ok() &&
                         log->GetQuarantined(1).ok() && log->SummarizeQuarantine().ok() &&
                         log->LoadSubscriptions().ok() && log->LoadSubscription(*id).ok();
        if (!all) ++failed;
      }
      reading.DecrementCount();
      limited_no_more.WaitForNotification();
    });
  }
  // The threads begin before and end after it: a sanitizer that looks at them then needs
  // descriptors.
  rlimit before;
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  limited.Notify();
  reading.Wait();
  const auto stored = Append(*log, NewEvent("new"));
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  limited_no_more.Notify();
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(failed, 0);
  EXPECT_TRUE(stored.ok()) << stored.status();
}

// It stayed as long as somebody's long read had made it, until a restart.
TEST(SqliteEventLogTest, WriteAheadLogThatGrewFarTooLongIsCutWhileItRuns) {
  const std::string folder = FreshFolder();
  auto log = OpenLog(folder);
  const auto size = [&] {
    return static_cast<int64_t>(std::filesystem::file_size(folder + "/events.db-wal"));
  };
  auto reader = *Database::Open(folder + "/events.db", Database::Mode::kReadOnly);
  {
    const auto transaction = Transaction::Begin(*reader, Transaction::Kind::kRead);
    ASSERT_TRUE(reader->UsedBytes().ok());
    AppendLarge(*log, 100, 1 << 20);
    EXPECT_GT(size(), 95 << 20);
  }
  // What retention does each minute; the checkpoint itself is made by another thread.
  for (int i = 0; i < 10'000 && size() > CommitThread::kLongestIdleWalBytes; ++i) {
    ASSERT_TRUE(log->StoreAges({.clock = AgeClock{.running = absl::Seconds(i)}}).ok());
  }
  EXPECT_LE(size(), CommitThread::kLongestIdleWalBytes);
}

TEST(SqliteEventLogTest, SecondLogOnTheSameFolderIsRefused) {
  const std::string folder = FreshFolder();
  auto log = OpenLog(folder);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(SqliteEventLog::Open({.data_dir = folder}, nullptr).status()));
}

// Each process that appends leaves a row; without an end to them a gateway that is started often
// would read more and more.
TEST(SqliteEventLogTest, StretchesThatRetentionIsPastAreForgotten) {
  const std::string folder = FreshFolder();
  for (int run = 1; run <= 4; ++run) {
    auto log = OpenLog(folder);
    EXPECT_TRUE(Append(*log, NewEvent(absl::StrCat("first", run), At(run))).ok());
    EXPECT_TRUE(Append(*log, NewEvent(absl::StrCat("second", run), At(run))).ok());
    if (run == 3) {
      EXPECT_EQ(*log->Trim({4, 4}), 4);
    }
  }
  auto database = *Database::Open(folder + "/events.db", Database::Mode::kReadOnly);
  auto rows = *database->Prepare("SELECT first_sequence, mark FROM stretches ORDER BY 1");
  std::vector<int64_t> first;
  while (*rows.Step()) {
    first.push_back(rows.ColumnInt(0));
    EXPECT_NE(rows.ColumnInt(1), 0);
  }
  // The first of them has the place before event 5, where a cursor may be.
  EXPECT_THAT(first, ElementsAre(3, 5, 7));
}

// After a failure that leaves the state of the disk unknown, nothing may be promised any more.
TEST(SqliteEventLogTest, UnknownFailureRefusesWritesUntilARestart) {
  const std::string folder = FreshFolder();
  auto log = OpenLog(folder);
  AppendAll(*log, 1);
  auto saboteur = *Database::Open(folder + "/events.db", Database::Mode::kReadWrite);
  ASSERT_TRUE(saboteur->Execute("ALTER TABLE events RENAME TO hidden").ok());
  const auto failed = Append(*log, NewEvent("a"));
  EXPECT_TRUE(absl::IsUnavailable(failed.status()));
  EXPECT_EQ(ReasonOf(failed.status()), reason::kStoreUnavailable);
  ASSERT_TRUE(saboteur->Execute("ALTER TABLE hidden RENAME TO events").ok());
  EXPECT_FALSE(Append(*log, NewEvent("b")).ok());
  EXPECT_FALSE(log->Health().ok());
  log.reset();
  EXPECT_EQ(Append(*OpenLog(folder), NewEvent("b"))->sequence, 2);
}

}  // namespace
}  // namespace hookgate
