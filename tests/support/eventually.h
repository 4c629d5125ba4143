// Waits, with an end, for what another thread or process brings about.
#ifndef HOOKGATE_TESTS_SUPPORT_EVENTUALLY_H_
#define HOOKGATE_TESTS_SUPPORT_EVENTUALLY_H_

#include <chrono>
#include <string>
#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace hookgate {

// Asks `holds` again and again until it is true:
//   ASSERT_TRUE(Eventually("the stream has ended", [&] { return server.open_streams() == 0; }));
// A failure says `what` was waited for, while the test's other threads and processes are as they
// were: a test that only hangs until its time-out says nothing.
//   patience  less than the 60 s of a small test, and much more than a busy machine takes
inline testing::AssertionResult Eventually(
    absl::string_view what, absl::FunctionRef<bool()> holds,
    std::chrono::milliseconds patience = std::chrono::seconds(45)) {
  // Not the wall clock, which tests set.
  const auto end = std::chrono::steady_clock::now() + patience;
  for (int looks = 0; !holds(); ++looks) {
    if (std::chrono::steady_clock::now() >= end) {
      return testing::AssertionFailure()
             << "not within " << patience.count() << " ms: " << std::string(what);
    }
    // Mostly it is a matter of microseconds; and what is waited for needs a core, too.
    if (looks < 100) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_EVENTUALLY_H_
