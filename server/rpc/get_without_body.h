// Reads one event of the log, but not its body, which may be a megabyte.
#ifndef HOOKGATE_SERVER_RPC_GET_WITHOUT_BODY_H_
#define HOOKGATE_SERVER_RPC_GET_WITHOUT_BODY_H_

#include "absl/status/statusor.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// As EventLog::Get, with an empty raw_body. Null if the log does not hold it (any more). Reads the
// disk; its errors.
absl::StatusOr<StoredEventPtr> GetWithoutBody(EventLog& log, Sequence sequence);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_GET_WITHOUT_BODY_H_
