// A log whose events are older than a test has time for.
#ifndef HOOKGATE_TESTS_SUPPORT_AGED_LOG_H_
#define HOOKGATE_TESTS_SUPPORT_AGED_LOG_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace hookgate {

// Has the events up to `through` of the log in `folder`, which nobody has open, be that old, so
// that the next start's retention finds them so. Fails the test if it cannot.
void MakeOld(const std::string& folder, int64_t through, absl::Duration age);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_AGED_LOG_H_
