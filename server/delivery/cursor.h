// A position in one history of one log, as clients keep it. Opaque to clients; the text is
// "<epoch>-<sequence>-<mark>", so that an operator can read it. The mark, 8 hex digits, is that of
// the event with this sequence (eventlog/event_log_history.h): it proves that the log which gets
// the cursor holds the event that the cursor was given for, whichever events the client's filter
// admits.
#ifndef HOOKGATE_SERVER_DELIVERY_CURSOR_H_
#define HOOKGATE_SERVER_DELIVERY_CURSOR_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/event_log_history.h"

namespace hookgate {

inline constexpr size_t kEpochBytes = 16;
inline constexpr size_t kMarkBytes = 8;
inline constexpr size_t kMaxCursorBytes = kEpochBytes + 1 + 20 + 1 + kMarkBytes;

// The cursor behind `sequence`: reading goes on with the next one. 0 is before the first event.
std::string FormatCursor(const EventLogHistory& history, Sequence sequence);
// The same into `buffer`, which has room for kMaxCursorBytes. Returns the end.
char* FormatCursorTo(char* buffer, const EventLogHistory& history, Sequence sequence);

// Writes kMarkBytes. Returns the end.
char* FormatMarkTo(char* buffer, HistoryMark mark);
// Only what FormatMarkTo writes.
absl::optional<HistoryMark> ParseMark(absl::string_view text);

// The sequence of `cursor`, checked against a log. Cursors of Hookgate 0.1 have no mark: they are
// taken as they are, unless they are beyond the head.
//   field  how errors call it, such as "after_cursor"
// Errors, with metadata earliest_cursor where it helps:
//   INVALID_ARGUMENT invalid_request               not a cursor
//   FAILED_PRECONDITION cursor_of_another_log      an epoch that this log never had
//   FAILED_PRECONDITION cursor_of_another_history  this log was put back to an older state since
//                                                  the cursor was given, or it is the copy of a log
//                                                  that went on elsewhere. Metadata common_cursor
//                                                  if it is known up to where both are the same
//   OUT_OF_RANGE cursor_overtaken                  events after it have been removed
absl::StatusOr<Sequence> ResolveCursor(absl::string_view cursor, absl::string_view field,
                                       const EventLog& log);

// The sequence of a cursor of this log that is beyond its head: of events that another replica has
// applied already, and this one has not. Nullopt: it is not one, or not a cursor at all.
absl::optional<Sequence> SequenceBeyondHead(absl::string_view cursor, const EventLog& log);

// `error`, and if its reason is one of the three above that name a cursor, the metadata
// earliest_cursor.
absl::Status WithEarliestCursor(absl::Status error, const EventLog& log);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_CURSOR_H_
