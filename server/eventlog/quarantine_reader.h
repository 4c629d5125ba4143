// Reads the quarantine over a connection of its own.
#ifndef HOOKGATE_SERVER_EVENTLOG_QUARANTINE_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_QUARANTINE_READER_H_

#include <cstdint>
#include <memory>
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
  static absl::StatusOr<QuarantineReader> Open(const std::string& database_path);

  absl::StatusOr<std::vector<QuarantineEntry>> List(absl::string_view source, int64_t before,
                                                    int64_t max_entries);
  absl::StatusOr<QuarantineEntry> Get(int64_t id);
  absl::StatusOr<int64_t> Count();

 private:
  explicit QuarantineReader(std::unique_ptr<Database> database) : database_(std::move(database)) {}

  std::unique_ptr<Database> database_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_QUARANTINE_READER_H_
