// Waits for what is begun with a callback.
#ifndef HOOKGATE_TESTS_SUPPORT_AWAIT_OUTCOME_H_
#define HOOKGATE_TESTS_SUPPORT_AWAIT_OUTCOME_H_

#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/notification.h"

namespace hookgate {

// Calls `start` with a callback, and returns what that is called with.
template <typename Outcome>
Outcome AwaitOutcome(absl::FunctionRef<void(absl::AnyInvocable<void(Outcome) &&>)> start) {
  absl::Notification done;
  Outcome result;
  start([&](Outcome outcome) {
    result = std::move(outcome);
    done.Notify();
  });
  done.WaitForNotification();
  return result;
}

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_AWAIT_OUTCOME_H_
