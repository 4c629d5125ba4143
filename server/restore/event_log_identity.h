// Which log a file is, and how far it goes: enough to tell whether one holds what another does not.
#ifndef HOOKGATE_SERVER_RESTORE_EVENT_LOG_IDENTITY_H_
#define HOOKGATE_SERVER_RESTORE_EVENT_LOG_IDENTITY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/eventlog/event_log_history.h"
#include "server/store/database.h"

namespace hookgate {

struct EventLogIdentity {
  std::string epoch;
  int64_t earliest = 1;
  int64_t head = 0;
  int64_t quarantined = 0;
  int64_t subscriptions = 0;
  Stretches stretches;
  // Of a replica: its cluster's name, and the newest record of the cluster's log that it has
  // applied.
  std::string cluster;
  int64_t applied = 0;

  // Nothing was ever put into it.
  bool empty() const { return head == 0 && quarantined == 0 && subscriptions == 0; }
  // Whether all events that `other` has numbered are in this one, or were.
  bool Continues(const EventLogIdentity& other) const {
    return epoch == other.epoch && head >= other.head &&
           stretches.MarkAt(other.head) == other.stretches.MarkAt(other.head);
  }
};

// Of a log of this build's schema version or an older one.
// FAILED_PRECONDITION if it is of a newer one, another application's, or not a log; DATA_LOSS if it
// cannot be read.
absl::StatusOr<EventLogIdentity> ReadIdentity(Database& database);

// "a log (epoch ..., events 1 to 6, 2 subscriptions)".
std::string Describe(const EventLogIdentity& identity);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RESTORE_EVENT_LOG_IDENTITY_H_
