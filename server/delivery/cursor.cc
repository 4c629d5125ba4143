#include "server/delivery/cursor.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

bool IsLowerHex(absl::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

// Only what FormatCursor writes: no sign, no blanks, no leading zeros.
bool ParseSequence(absl::string_view text, Sequence& sequence) {
  if (text.empty() || text.find_first_not_of("0123456789") != absl::string_view::npos) return false;
  if (text.size() > 1 && text.front() == '0') return false;
  return absl::SimpleAtoi(text, &sequence);
}

absl::Status CursorOfAnotherLog(absl::string_view message) {
  return ErrorWithReason(absl::StatusCode::kFailedPrecondition, reason::kCursorOfAnotherLog,
                         message);
}

}  // namespace

std::string FormatCursor(absl::string_view epoch, Sequence sequence) {
  char buffer[kMaxCursorBytes];
  return std::string(buffer, FormatCursorTo(buffer, epoch, sequence));
}

char* FormatCursorTo(char* buffer, absl::string_view epoch, Sequence sequence) {
  char* const dash = std::copy_n(epoch.begin(), std::min(epoch.size(), kEpochBytes), buffer);
  *dash = '-';
  return std::to_chars(dash + 1, buffer + kMaxCursorBytes, sequence).ptr;
}

absl::StatusOr<Sequence> ResolveCursor(absl::string_view cursor, absl::string_view field,
                                       const EventLog& log) {
  Sequence sequence = 0;
  if (cursor.size() < kEpochBytes + 2 || cursor[kEpochBytes] != '-' ||
      !IsLowerHex(cursor.substr(0, kEpochBytes)) ||
      !ParseSequence(cursor.substr(kEpochBytes + 1), sequence)) {
    return InvalidField(field, "is no cursor: pass on one that this gateway gave, unchanged");
  }
  const LogPosition position = log.Position();
  if (cursor.substr(0, kEpochBytes) != log.epoch()) {
    return WithEarliestCursor(
        CursorOfAnotherLog(
            absl::StrCat(field, " belongs to another log (epoch ", cursor.substr(0, kEpochBytes),
                         ", this one is ", log.epoch(),
                         "): the gateway's data was replaced. Start from earliest_cursor to "
                         "get all that this log holds")),
        log);
  }
  if (sequence > position.head) {
    return WithEarliestCursor(
        CursorOfAnotherLog(absl::StrCat(field, " is at sequence ", sequence,
                                        ", but the log ends at ", position.head,
                                        ": the gateway's data was put back to an older state. "
                                        "Events stored since then would be "
                                        "skipped; start from a cursor at or before its end")),
        log);
  }
  if (sequence + 1 < position.earliest) {
    return WithEarliestCursor(
        ErrorWithReason(
            absl::StatusCode::kOutOfRange, reason::kCursorOvertaken,
            absl::StrCat(field, " is at sequence ", sequence,
                         ", but retention has removed all events before ", position.earliest,
                         ". Start from earliest_cursor to get all that is left")),
        log);
  }
  return sequence;
}

absl::Status WithEarliestCursor(absl::Status error, const EventLog& log) {
  const std::string reason = ReasonOf(error);
  if (reason == reason::kCursorOvertaken || reason == reason::kCursorOfAnotherLog) {
    SetMetadata(error, "earliest_cursor", FormatCursor(log.epoch(), log.Position().earliest - 1));
  }
  return error;
}

}  // namespace hookgate
