#include "server/delivery/cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

TEST(CursorTest, ResolvesToTheSequenceItWasMadeFrom) {
  auto log = OpenTemporaryLog();
  AppendEvent(*log);
  for (Sequence sequence : {0, 1}) {
    EXPECT_EQ(*ResolveCursor(FormatCursor(log->history(), sequence), "after_cursor", *log),
              sequence);
  }
}

TEST(CursorTest, TextThatIsNoCursorIsAnErrorOfItsField) {
  auto log = OpenTemporaryLog();
  const std::string& epoch = log->epoch();
  for (const std::string& text :
       {std::string(), std::string("42"), epoch, absl::StrCat(epoch, "-"),
        absl::StrCat(epoch, "--1"), absl::StrCat(epoch, "-01"), absl::StrCat(epoch, "- 1"),
        absl::StrCat(epoch, "-1 "), absl::StrCat(epoch, "-99999999999999999999"),
        absl::StrCat("X", epoch.substr(1), "-1"), absl::StrCat(epoch, "-1-"),
        absl::StrCat(epoch, "-1-0000000"), absl::StrCat(epoch, "-1-000000000"),
        absl::StrCat(epoch, "-1-0000000G"), absl::StrCat(epoch, "-1-0000000A"),
        absl::StrCat(epoch, "--00000000"), std::string(1000, 'a'), std::string("\0\xff", 2)}) {
    const absl::Status status = ResolveCursor(text, "after_cursor", *log).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_EQ(FieldOf(status), "after_cursor") << text;
  }
}

TEST(CursorTest, CursorOfAnotherEpochNamesWhereThisLogBegins) {
  auto log = OpenTemporaryLog();
  auto other = OpenTemporaryLog();
  const absl::Status status =
      ResolveCursor(FormatCursor(other->history(), 0), "after_cursor", *log).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(ReasonOf(status), reason::kCursorOfAnotherLog);
  EXPECT_EQ(MetadataOf(status).at("earliest_cursor"), FormatCursor(log->history(), 0));
}

void Append(EventLog& log, int count) {
  for (int i = 0; i < count; ++i) AppendEvent(log);
}

absl::Status Refusal(const std::string& cursor, const EventLog& log) {
  return ResolveCursor(cursor, "after_cursor", log).status();
}

// A subscriber was at event 6 when a backup of 3 events was put back. Once the log had 6 events
// again it went on after the sixth, and never heard of those before.
TEST(CursorTest, CursorOfEventsThatAreGoneIsRefusedBeforeAndAfterTheLogHasOutgrownIt) {
  const std::string folder = FreshTestFolder();
  std::string at_backup;
  std::string lost;
  std::string backup;
  {
    auto log = OpenTemporaryLog(nullptr, folder);
    Append(*log, 3);
    at_backup = FormatCursor(log->history(), 3);
    backup = BackUpLog(folder);
    Append(*log, 3);
    lost = FormatCursor(log->history(), 6);
  }
  auto log = OpenTemporaryLog(nullptr, backup);
  EXPECT_EQ(ReasonOf(Refusal(lost, *log)), reason::kCursorOfAnotherHistory);
  Append(*log, 5);
  const absl::Status refusal = Refusal(lost, *log);
  EXPECT_TRUE(absl::IsFailedPrecondition(refusal));
  EXPECT_EQ(ReasonOf(refusal), reason::kCursorOfAnotherHistory);
  EXPECT_EQ(MetadataOf(refusal).at("earliest_cursor"), FormatCursor(log->history(), 0));
  // Both are the same up to the third event, and what is said there is taken.
  EXPECT_EQ(MetadataOf(refusal).at("common_cursor"), at_backup);
  EXPECT_EQ(*ResolveCursor(at_backup, "after_cursor", *log), 3);
}

// A folder that is copied while no gateway runs has the same past, and a future of its own.
TEST(CursorTest, CopiesOfALogTakeEachOthersCursorsUpToWhereTheyPart) {
  const std::string folder = FreshTestFolder();
  { Append(*OpenTemporaryLog(nullptr, folder), 2); }
  const std::string copy = BackUpLog(folder);
  auto one = OpenTemporaryLog(nullptr, folder);
  auto other = OpenTemporaryLog(nullptr, copy);
  Append(*one, 4);
  Append(*other, 4);
  for (Sequence sequence = 0; sequence <= 6; ++sequence) {
    const std::string cursor = FormatCursor(one->history(), sequence);
    EXPECT_EQ(*ResolveCursor(cursor, "after_cursor", *one), sequence);
    const auto there = ResolveCursor(cursor, "after_cursor", *other);
    EXPECT_EQ(there.ok(), sequence <= 2) << sequence;
    EXPECT_EQ(ReasonOf(there.status()), there.ok() ? "" : reason::kCursorOfAnotherHistory);
  }
}

// A restart begins a stretch of its own, and changes no cursor that was given before.
TEST(CursorTest, CursorsStayTheSameOverRestarts) {
  const std::string folder = FreshTestFolder();
  std::vector<std::string> cursors;
  for (Sequence sequence = 1; sequence <= 5; ++sequence) {
    auto log = OpenTemporaryLog(nullptr, folder);
    Append(*log, 1);
    cursors.push_back(FormatCursor(log->history(), sequence));
    // And one that appends nothing leaves no trace.
    log.reset();
    OpenTemporaryLog(nullptr, folder);
  }
  auto log = OpenTemporaryLog(nullptr, folder);
  for (Sequence sequence = 1; sequence <= 5; ++sequence) {
    const std::string& cursor = cursors[static_cast<size_t>(sequence) - 1];
    EXPECT_EQ(FormatCursor(log->history(), sequence), cursor);
    EXPECT_EQ(*ResolveCursor(cursor, "after_cursor", *log), sequence);
  }
}

// Retention removes events, and with them the stretches that no cursor can be in any more.
TEST(CursorTest, CursorBeforeTheOldestEventIsProvenThoughItsEventIsGone) {
  const std::string folder = FreshTestFolder();
  std::string cursor;
  for (int run = 1; run <= 3; ++run) {
    auto log = OpenTemporaryLog(nullptr, folder);
    for (int i = 0; i < 2; ++i) AppendEvent(*log, {.receive_time = absl::FromUnixSeconds(run)});
    if (run == 2) cursor = FormatCursor(log->history(), 4);
    if (run < 3) continue;
    ASSERT_EQ(*log->Trim({4, 4}), 4);
    EXPECT_EQ(FormatCursor(log->history(), 4), cursor);
  }
  Append(*OpenTemporaryLog(nullptr, folder), 1);
  auto log = OpenTemporaryLog(nullptr, folder);
  EXPECT_EQ(*ResolveCursor(cursor, "after_cursor", *log), 4);
  EXPECT_EQ(FormatCursor(log->history(), 4), cursor);
}

// Gateways of before gave cursors without a mark: "<epoch>-<sequence>".
TEST(CursorTest, CursorWithoutAMarkIsTaken) {
  auto log = OpenTemporaryLog();
  Append(*log, 2);
  EXPECT_EQ(*ResolveCursor(absl::StrCat(log->epoch(), "-1"), "after_cursor", *log), 1);
  const absl::Status beyond = Refusal(absl::StrCat(log->epoch(), "-3"), *log);
  EXPECT_EQ(ReasonOf(beyond), reason::kCursorOfAnotherHistory);
  EXPECT_EQ(MetadataOf(beyond).count("common_cursor"), 0);
}

TEST(CursorTest, OvertakenCursorNamesTheEarliestThatIsLeft) {
  auto log = OpenTemporaryLog();
  for (int i = 0; i < 3; ++i) AppendEvent(*log, {.receive_time = absl::FromUnixSeconds(i)});
  ASSERT_EQ(*log->Trim({2, 2}), 2);
  const std::string earliest = FormatCursor(log->history(), 2);
  const absl::Status status =
      ResolveCursor(FormatCursor(log->history(), 1), "after_cursor", *log).status();
  EXPECT_TRUE(absl::IsOutOfRange(status));
  EXPECT_EQ(ReasonOf(status), reason::kCursorOvertaken);
  EXPECT_EQ(MetadataOf(status).at("earliest_cursor"), earliest);
  EXPECT_EQ(*ResolveCursor(earliest, "after_cursor", *log), 2);
}

}  // namespace
}  // namespace hookgate
