// Reads conflicts over a connection that somebody else uses, too.
#ifndef HOOKGATE_SERVER_EVENTLOG_CONFLICT_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_CONFLICT_READER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/eventlog/conflict_log.h"
#include "server/store/database.h"

namespace hookgate {

// Operators ask seldom, so statements are prepared for each call. Not thread-safe. Calls mean what
// they mean in ConflictLog.
class ConflictReader {
 public:
  // `database` outlives the reader.
  explicit ConflictReader(Database& database) : database_(database) {}

  absl::StatusOr<std::vector<ConflictEntry>> List(absl::string_view source, int64_t before,
                                                  int64_t max_entries);
  absl::StatusOr<ConflictEntry> Get(Sequence sequence);
  // The newest touch at which what is newer has `max_entries` entries or would, with it, have more
  // than `max_bytes` of bodies; 0: there is less.
  absl::StatusOr<int64_t> LastTouchAbove(int64_t max_entries, int64_t max_bytes);

 private:
  Database& database_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_CONFLICT_READER_H_
