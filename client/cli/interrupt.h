// The user's wish that a command ends: Ctrl-C, SIGTERM, or a terminal that closes.
#ifndef HOOKGATE_CLIENT_CLI_INTERRUPT_H_
#define HOOKGATE_CLIENT_CLI_INTERRUPT_H_

#include <deque>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace hookgate::cli {

// Thread-safe.
class Interrupt {
 public:
  // While it lives, the first Trigger calls `first` and the second `second`, which may be empty.
  // They must neither block nor use the Interrupt. One Handler at a time.
  class Handler {
   public:
    Handler(Interrupt& interrupt, std::function<void()> first, std::function<void()> second = {})
        : interrupt_(interrupt) {
      interrupt_.Set({std::move(first), std::move(second)});
    }
    ~Handler() { interrupt_.Set({}); }
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;

   private:
    Interrupt& interrupt_;
  };

  // Returns whether a handler took it; if none did, nothing will end gracefully.
  bool Trigger() {
    // With the lock held, so that what the handler refers to is still there.
    absl::MutexLock lock(&mu_);
    if (handlers_.empty()) return false;
    const std::function<void()> handler = std::move(handlers_.front());
    handlers_.pop_front();
    if (handler) handler();
    return handler != nullptr;
  }

 private:
  void Set(std::deque<std::function<void()>> handlers) {
    absl::MutexLock lock(&mu_);
    handlers_ = std::move(handlers);
  }

  absl::Mutex mu_;
  std::deque<std::function<void()>> handlers_ ABSL_GUARDED_BY(mu_);  // Those still to be called.
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_INTERRUPT_H_
