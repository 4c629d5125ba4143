// Reads what the log keeps of how the gateway is.
#ifndef HOOKGATE_SERVER_EVENTLOG_STATUS_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_STATUS_READER_H_

#include "absl/status/statusor.h"
#include "server/eventlog/status_rows.h"
#include "server/store/database.h"

namespace hookgate {

// StatusLog::LoadStatus.
absl::StatusOr<StoredStatus> ReadStatus(Database& database);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_STATUS_READER_H_
