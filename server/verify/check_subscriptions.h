// What a log keeps beside its events: quarantine, conflicts, durable subscriptions, and what those
// still owe.
#ifndef HOOKGATE_SERVER_VERIFY_CHECK_SUBSCRIPTIONS_H_
#define HOOKGATE_SERVER_VERIFY_CHECK_SUBSCRIPTIONS_H_

#include "server/store/database.h"
#include "server/verify/findings.h"
#include "server/verify/verify_event_log.h"

namespace hookgate {

// Each fills in its counts. What cannot be read any further is a finding.

void CheckQuarantine(Database& database, VerifyReport& report, Findings& findings);

// Both REQUIRE: `report.earliest_sequence` and `report.head_sequence` are as the log says.
void CheckConflicts(Database& database, VerifyReport& report, Findings& findings);
void CheckSubscriptions(Database& database, VerifyReport& report, Findings& findings);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_VERIFY_CHECK_SUBSCRIPTIONS_H_
