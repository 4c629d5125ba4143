#include "server/delivery/cursor.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

struct ParsedCursor {
  absl::string_view epoch;
  Sequence sequence = 0;
  absl::optional<HistoryMark> mark;  // nullopt: of a gateway that gave none
};

bool IsLowerHex(absl::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

// Only what FormatCursor writes: no sign, no blanks, no leading zeros.
bool ParseSequence(absl::string_view text, Sequence& sequence) {
  if (text.empty() || text.find_first_not_of("0123456789") != absl::string_view::npos) return false;
  if (text.size() > 1 && text.front() == '0') return false;
  return absl::SimpleAtoi(text, &sequence);
}

bool Parse(absl::string_view text, ParsedCursor& cursor) {
  if (text.size() < kEpochBytes + 2 || text[kEpochBytes] != '-') return false;
  cursor.epoch = text.substr(0, kEpochBytes);
  absl::string_view sequence = text.substr(kEpochBytes + 1);
  if (const size_t dash = sequence.find('-'); dash != absl::string_view::npos) {
    cursor.mark = ParseMark(sequence.substr(dash + 1));
    if (!cursor.mark.has_value()) return false;
    sequence = sequence.substr(0, dash);
  }
  return IsLowerHex(cursor.epoch) && ParseSequence(sequence, cursor.sequence);
}

const FormerEpoch* FindFormer(const EventLogHistory& history, absl::string_view epoch) {
  const auto found =
      std::find_if(history.former.begin(), history.former.end(),
                   [epoch](const FormerEpoch& former) { return former.epoch == epoch; });
  return found == history.former.end() ? nullptr : &*found;
}

absl::Status OfAnotherLog(const ParsedCursor& cursor, absl::string_view field,
                          const EventLogHistory& history) {
  return ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, reason::kCursorOfAnotherLog,
      absl::StrCat(field, " belongs to another log (epoch ", cursor.epoch, ", this one is ",
                   history.epoch,
                   "): the gateway's data was replaced. Start from earliest_cursor to "
                   "get all that this log holds"));
}

// The log was put back, or copied, since the cursor was given.
//   limit  the sequence up to which the log that gave it may be the same as this one
absl::Status OfAnotherHistory(const ParsedCursor& cursor, absl::string_view what, Sequence limit,
                              const EventLog& log) {
  absl::Status error = ErrorWithReason(
      absl::StatusCode::kFailedPrecondition, reason::kCursorOfAnotherHistory,
      absl::StrCat(what,
                   ". To go on from here would skip events that were stored since, or repeat some: "
                   "start from common_cursor, if it is given, or from earliest_cursor"));
  if (!cursor.mark.has_value()) return error;
  // Up to the end of the stretch that the cursor's event is in, both logs are one: it was one
  // process that appended all of it.
  const EventLogHistory& history = log.history();
  const absl::optional<Sequence> end = history.sequences.LastOf(*cursor.mark);
  if (!end.has_value()) return error;
  const Sequence common = std::min({*end, limit, cursor.sequence});
  if (common + 1 >= log.Position().earliest && common <= log.Position().head) {
    SetMetadata(error, "common_cursor", FormatCursor(history, common));
  }
  return error;
}

absl::Status Overtaken(const ParsedCursor& cursor, absl::string_view field, Sequence earliest) {
  return ErrorWithReason(absl::StatusCode::kOutOfRange, reason::kCursorOvertaken,
                         absl::StrCat(field, " is at sequence ", cursor.sequence,
                                      ", but retention has removed all events before ", earliest,
                                      ". Start from earliest_cursor to get all that is left"));
}

absl::Status Check(const ParsedCursor& cursor, absl::string_view field, const EventLog& log) {
  const EventLogHistory& history = log.history();
  const EventLogPosition position = log.Position();
  if (cursor.epoch != history.epoch) {
    const FormerEpoch* const former = FindFormer(history, cursor.epoch);
    if (former == nullptr) return OfAnotherLog(cursor, field, history);
    return OfAnotherHistory(
        cursor,
        absl::StrCat(
            field, " is at sequence ", cursor.sequence,
            " of this log as it was before it was restored from a backup, at ",
            absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", former->restore_time, absl::UTCTimeZone()),
            "; the newest event of the backup was ", former->head),
        former->head, log);
  }
  if (cursor.sequence > position.head) {
    return OfAnotherHistory(
        cursor,
        absl::StrCat(field, " is at sequence ", cursor.sequence, ", but the log ends at ",
                     position.head, ": the gateway's data was put back to an older state"),
        position.head, log);
  }
  // Before the mark: what retention is past has none.
  if (cursor.sequence + 1 < position.earliest) {
    return Overtaken(cursor, field, position.earliest);
  }
  if (cursor.mark.has_value() && *cursor.mark != history.sequences.MarkAt(cursor.sequence)) {
    return OfAnotherHistory(
        cursor,
        absl::StrCat(
            field, " is at sequence ", cursor.sequence,
            ", where this gateway has a different event than the one the cursor was given for: "
            "either its data was put back to an older state, and has grown since, or the cursor "
            "was changed"),
        position.head, log);
  }
  return absl::OkStatus();
}

}  // namespace

char* FormatMarkTo(char* buffer, HistoryMark mark) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (size_t i = kMarkBytes; i > 0; --i, mark >>= 4) buffer[i - 1] = kDigits[mark & 0xf];
  return buffer + kMarkBytes;
}

absl::optional<HistoryMark> ParseMark(absl::string_view text) {
  if (text.size() != kMarkBytes || !IsLowerHex(text)) return absl::nullopt;
  HistoryMark mark = 0;
  std::from_chars(text.data(), text.data() + text.size(), mark, 16);
  return mark;
}

std::string FormatCursor(const EventLogHistory& history, Sequence sequence) {
  char buffer[kMaxCursorBytes];
  return std::string(buffer, FormatCursorTo(buffer, history, sequence));
}

char* FormatCursorTo(char* buffer, const EventLogHistory& history, Sequence sequence) {
  char* at =
      std::copy_n(history.epoch.begin(), std::min(history.epoch.size(), kEpochBytes), buffer);
  *at++ = '-';
  at = std::to_chars(at, buffer + kMaxCursorBytes, sequence).ptr;
  *at++ = '-';
  return FormatMarkTo(at, history.sequences.MarkAt(sequence));
}

absl::StatusOr<Sequence> ResolveCursor(absl::string_view cursor, absl::string_view field,
                                       const EventLog& log) {
  ParsedCursor parsed;
  if (!Parse(cursor, parsed)) {
    return InvalidField(field, "is not a cursor: pass on one that this gateway gave, unchanged");
  }
  absl::Status status = Check(parsed, field, log);
  if (!status.ok()) return WithEarliestCursor(std::move(status), log);
  return parsed.sequence;
}

absl::optional<Sequence> SequenceBeyondHead(absl::string_view cursor, const EventLog& log) {
  ParsedCursor parsed;
  if (!Parse(cursor, parsed) || parsed.epoch != log.epoch()) return absl::nullopt;
  if (parsed.sequence <= log.Position().head) return absl::nullopt;
  return parsed.sequence;
}

absl::Status WithEarliestCursor(absl::Status error, const EventLog& log) {
  const std::string reason = ReasonOf(error);
  if (reason == reason::kCursorOvertaken || reason == reason::kCursorOfAnotherLog ||
      reason == reason::kCursorOfAnotherHistory) {
    SetMetadata(error, "earliest_cursor", FormatCursor(log.history(), log.Position().earliest - 1));
  }
  return error;
}

}  // namespace hookgate
