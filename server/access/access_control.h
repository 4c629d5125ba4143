// The policy in force. It changes as a whole; whoever decides by one keeps it until he has.
#ifndef HOOKGATE_SERVER_ACCESS_ACCESS_CONTROL_H_
#define HOOKGATE_SERVER_ACCESS_ACCESS_CONTROL_H_

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/access/access_policy.h"

namespace hookgate {

// Thread-safe.
class AccessControl {
 public:
  explicit AccessControl(AccessPolicy policy = AccessPolicy())
      : policy_(std::make_shared<const AccessPolicy>(std::move(policy))) {}

  std::shared_ptr<const AccessPolicy> policy() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return policy_;
  }

  void Replace(AccessPolicy policy) ABSL_LOCKS_EXCLUDED(mu_) {
    auto next = std::make_shared<const AccessPolicy>(std::move(policy));
    absl::MutexLock lock(&mu_);
    policy_.swap(next);
  }

 private:
  mutable absl::Mutex mu_;
  std::shared_ptr<const AccessPolicy> policy_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_ACCESS_ACCESS_CONTROL_H_
