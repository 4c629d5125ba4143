// The user's wish that a command ends: Ctrl-C, or SIGTERM.
#ifndef HOOKGATE_CLIENT_CLI_INTERRUPT_H_
#define HOOKGATE_CLIENT_CLI_INTERRUPT_H_

#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace hookgate::cli {

// Thread-safe.
class Interrupt {
 public:
  // While it lives, Trigger calls `handler`, which must neither block nor use the Interrupt. One at
  // a time.
  class Handler {
   public:
    Handler(Interrupt& interrupt, std::function<void()> handler) : interrupt_(interrupt) {
      interrupt_.Set(std::move(handler));
    }
    ~Handler() { interrupt_.Set(nullptr); }
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;

   private:
    Interrupt& interrupt_;
  };

  // Returns whether a handler took it; if none did, nobody will end politely.
  bool Trigger() {
    // With the lock held, so that what the handler refers to is still there.
    absl::MutexLock lock(&mu_);
    if (handler_) handler_();
    return handler_ != nullptr;
  }

 private:
  void Set(std::function<void()> handler) {
    absl::MutexLock lock(&mu_);
    handler_ = std::move(handler);
  }

  absl::Mutex mu_;
  std::function<void()> handler_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_INTERRUPT_H_
