#include "tests/support/aged_log.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/store/database.h"

namespace hookgate {

void MakeOld(const std::string& folder, int64_t through, absl::Duration age) {
  const auto database =
      Database::Open(absl::StrCat(folder, "/events.db"), Database::Mode::kReadWrite);
  ASSERT_TRUE(database.ok()) << database.status();
  // Age is the time for which the log was open since then.
  const int64_t age_us = absl::ToInt64Microseconds(age);
  const absl::Status made = (*database)->Execute(absl::StrCat(
      "UPDATE events SET receive_time_us = ", absl::ToUnixMicros(absl::Now() - age),
      " WHERE sequence <= ", through,
      "; INSERT INTO age_marks (running_us, last_sequence, last_touch, credit_us, sum) "
      "SELECT running_us - ",
      age_us, ", ", through, ", 0, 0, running_us - ", age_us, " + 3 * ", through,
      " FROM age_clock"));
  EXPECT_TRUE(made.ok()) << made;
}

}  // namespace hookgate
