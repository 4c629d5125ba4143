// The events of a log, each with its row, its envelope and its body.
#ifndef HOOKGATE_SERVER_VERIFY_CHECK_EVENTS_H_
#define HOOKGATE_SERVER_VERIFY_CHECK_EVENTS_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/store/database.h"
#include "server/verify/findings.h"
#include "server/verify/verify_event_log.h"

namespace hookgate {

// REQUIRES: `report.earliest_sequence` and `report.head_sequence` are as the log says.
// Fills in the counts of events. What cannot be read any further is a finding.
void CheckEvents(Database& database, const std::function<void(absl::string_view)>& progress,
                 VerifyReport& report, Findings& findings);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_VERIFY_CHECK_EVENTS_H_
