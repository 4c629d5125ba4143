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
    EXPECT_EQ(*ResolveCursor(FormatCursor(log->epoch(), sequence), "after_cursor", *log), sequence);
  }
}

TEST(CursorTest, TextThatIsNoCursorIsAnErrorOfItsField) {
  auto log = OpenTemporaryLog();
  const std::string& epoch = log->epoch();
  for (const std::string& text :
       {std::string(), std::string("42"), epoch, absl::StrCat(epoch, "-"),
        absl::StrCat(epoch, "--1"), absl::StrCat(epoch, "-01"), absl::StrCat(epoch, "- 1"),
        absl::StrCat(epoch, "-1 "), absl::StrCat(epoch, "-99999999999999999999"),
        absl::StrCat("X", epoch.substr(1), "-1"), std::string(1000, 'a'),
        std::string("\0\xff", 2)}) {
    const absl::Status status = ResolveCursor(text, "after_cursor", *log).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_EQ(FieldOf(status), "after_cursor") << text;
  }
}

TEST(CursorTest, CursorOfAnotherEpochNamesWhereThisLogBegins) {
  auto log = OpenTemporaryLog();
  auto other = OpenTemporaryLog();
  const absl::Status status =
      ResolveCursor(FormatCursor(other->epoch(), 0), "after_cursor", *log).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(ReasonOf(status), reason::kCursorOfAnotherLog);
  EXPECT_EQ(MetadataOf(status).at("earliest_cursor"), FormatCursor(log->epoch(), 0));
}

// A data folder that was restored from a backup has the same epoch and fewer events: reading on
// from a later cursor would skip those that it stores next.
TEST(CursorTest, CursorBeyondTheHeadIsOfAnotherLog) {
  auto log = OpenTemporaryLog();
  AppendEvent(*log);
  const absl::Status status =
      ResolveCursor(FormatCursor(log->epoch(), 2), "after_cursor", *log).status();
  EXPECT_EQ(ReasonOf(status), reason::kCursorOfAnotherLog);
}

TEST(CursorTest, OvertakenCursorNamesTheEarliestThatIsLeft) {
  auto log = OpenTemporaryLog();
  for (int i = 0; i < 3; ++i) AppendEvent(*log, {.receive_time = absl::FromUnixSeconds(i)});
  ASSERT_EQ(*log->Trim({absl::FromUnixSeconds(2), absl::FromUnixSeconds(2)}), 2);
  const std::string earliest = FormatCursor(log->epoch(), 2);
  const absl::Status status =
      ResolveCursor(FormatCursor(log->epoch(), 1), "after_cursor", *log).status();
  EXPECT_TRUE(absl::IsOutOfRange(status));
  EXPECT_EQ(ReasonOf(status), reason::kCursorOvertaken);
  EXPECT_EQ(MetadataOf(status).at("earliest_cursor"), earliest);
  EXPECT_EQ(*ResolveCursor(earliest, "after_cursor", *log), 2);
}

}  // namespace
}  // namespace hookgate
