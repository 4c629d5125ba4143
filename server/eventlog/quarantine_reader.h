// Reads the quarantine over a connection that somebody else uses, too.
#ifndef HOOKGATE_SERVER_EVENTLOG_QUARANTINE_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_QUARANTINE_READER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/eventlog/quarantine_log.h"
#include "server/store/database.h"

namespace hookgate {

// Operators ask seldom, so statements are prepared for each call. Not thread-safe. Calls mean what
// they mean in QuarantineLog.
class QuarantineReader {
 public:
  // `database` outlives the reader.
  explicit QuarantineReader(Database& database) : database_(database) {}

  absl::StatusOr<std::vector<QuarantineEntry>> List(absl::string_view source, int64_t before,
                                                    int64_t max_entries);
  absl::StatusOr<QuarantineEntry> Get(int64_t id);
  absl::StatusOr<std::vector<QuarantineEntry>> Find(absl::string_view source,
                                                    absl::string_view webhook_id,
                                                    int64_t max_entries);
  absl::StatusOr<int64_t> Count();
  absl::StatusOr<std::map<std::string, int64_t>> CountBySource();
  // The newest touch that the newest `max_entries` are above; 0: there are not more.
  absl::StatusOr<int64_t> LastTouchAbove(int64_t max_entries);

 private:
  Database& database_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_QUARANTINE_READER_H_
