// Reads the ages that an event log has stored: for how long it was open, and its events' ages.
#ifndef HOOKGATE_SERVER_EVENTLOG_AGE_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_AGE_READER_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/eventlog/event_ages.h"
#include "server/eventlog/event_log.h"
#include "server/store/database.h"

namespace hookgate {

// RetentionTarget::LoadAges. `position` is the log's. For a log that has no ages yet it walks
// through its indexes by time.
absl::StatusOr<StoredAges> ReadAges(Database& database, const EventLogPosition& position,
                                    absl::Time wall);

// Rows of stored ages of which some bit is not as it was written.
absl::StatusOr<int64_t> CountDamagedAges(Database& database);

// Removes all ages if a row of them is damaged: one wrong bit may make every event look years old,
// and retention would remove it. The log has the ages of one that has none then. Whether it did. On
// a connection that writes, before anything has read them.
absl::StatusOr<bool> DropDamagedAges(Database& database);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_AGE_READER_H_
