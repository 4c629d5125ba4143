// A log whose reads by sequence wait for as long as a test says, as if the disk were slow; and that
// notes what was asked for.
#ifndef HOOKGATE_TESTS_SUPPORT_HELD_LOG_H_
#define HOOKGATE_TESTS_SUPPORT_HELD_LOG_H_

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/forwarding_log.h"

namespace hookgate {

// Thread-safe.
class HeldLog final : public ForwardingLog {
 public:
  struct ReadCall {
    Sequence after = 0;
    ReadLimits limits;
  };

  using ForwardingLog::ForwardingLog;

  // Read and Scan wait from now on; Release ends that, and lets those go on that wait.
  void Hold() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    held_ = true;
  }
  void Release() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    held_ = false;
  }
  // Until a Read or Scan waits.
  void AwaitReader() ABSL_LOCKS_EXCLUDED(mu_) {
    const auto some = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return waiting_ > 0; };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&some));
  }
  // The calls of Read, in their order.
  std::vector<ReadCall> reads() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return reads_;
  }

  absl::StatusOr<EventPage> Read(Sequence after, EventPredicate matches,
                                 const ReadLimits& limits) override {
    {
      absl::MutexLock lock(&mu_);
      reads_.push_back({after, limits});
    }
    Wait();
    return ForwardingLog::Read(after, matches, limits);
  }
  absl::StatusOr<Sequence> Scan(Sequence after, absl::optional<EventPredicate> matches,
                                const ReadLimits& limits, EventVisitor visit) override {
    Wait();
    return ForwardingLog::Scan(after, matches, limits, visit);
  }

 private:
  void Wait() ABSL_LOCKS_EXCLUDED(mu_) {
    const auto free = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !held_; };
    absl::MutexLock lock(&mu_);
    ++waiting_;
    mu_.Await(absl::Condition(&free));
    --waiting_;
  }

  mutable absl::Mutex mu_;
  bool held_ ABSL_GUARDED_BY(mu_) = false;
  int waiting_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<ReadCall> reads_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_HELD_LOG_H_
