// A position in one particular log, as clients keep it: the log's epoch and a sequence. Opaque to
// clients; the text is "<epoch>-<sequence>", so that an operator can read it.
#ifndef HOOKGATE_SERVER_DELIVERY_CURSOR_H_
#define HOOKGATE_SERVER_DELIVERY_CURSOR_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

inline constexpr size_t kEpochBytes = 16;
inline constexpr size_t kMaxCursorBytes = kEpochBytes + 1 + 20;

// The cursor behind `sequence`: reading goes on with the next one. 0 is before the first event.
// `epoch` has kEpochBytes bytes.
std::string FormatCursor(absl::string_view epoch, Sequence sequence);
// The same into `buffer`, which has room for kMaxCursorBytes. Returns the end.
char* FormatCursorTo(char* buffer, absl::string_view epoch, Sequence sequence);

// The sequence of `cursor`, checked against a log.
//   field  how errors call it, such as "after_cursor"
// Errors, with metadata earliest_cursor where it helps:
//   INVALID_ARGUMENT invalid_request           not a cursor
//   FAILED_PRECONDITION cursor_of_another_log  another epoch, or beyond the log's head: the log was
//                                              replaced, or put back to an older state
//   OUT_OF_RANGE cursor_overtaken              events after it have been removed
absl::StatusOr<Sequence> ResolveCursor(absl::string_view cursor, absl::string_view field,
                                       const EventLog& log);

// `error`, and if its reason is cursor_overtaken or cursor_of_another_log, the metadata
// earliest_cursor.
absl::Status WithEarliestCursor(absl::Status error, const EventLog& log);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_CURSOR_H_
