// The calls of one kind that are open, for whoever has to end them all. It keeps none of them
// alive.
#ifndef HOOKGATE_SERVER_CLUSTER_OPEN_CALLS_H_
#define HOOKGATE_SERVER_CLUSTER_OPEN_CALLS_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace hookgate {

// Thread-safe.
template <typename Call>
class OpenCalls {
 public:
  void Add(const std::shared_ptr<Call>& call) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (calls_.size() >= next_sweep_) {
      calls_.erase(std::remove_if(calls_.begin(), calls_.end(),
                                  [](const auto& each) { return each.expired(); }),
                   calls_.end());
      next_sweep_ = 2 * calls_.size() + kLeastSweep;
    }
    calls_.push_back(call);
  }

  // Those that live, which are not in here any more.
  std::vector<std::shared_ptr<Call>> TakeAll() ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<std::shared_ptr<Call>> open;
    absl::MutexLock lock(&mu_);
    for (const std::weak_ptr<Call>& each : calls_) {
      if (std::shared_ptr<Call> call = each.lock(); call != nullptr)
        open.push_back(std::move(call));
    }
    calls_.clear();
    return open;
  }

 private:
  static constexpr size_t kLeastSweep = 64;

  absl::Mutex mu_;
  std::vector<std::weak_ptr<Call>> calls_ ABSL_GUARDED_BY(mu_);
  // At that size those that have ended are let go, so that each costs a step or two in all.
  size_t next_sweep_ ABSL_GUARDED_BY(mu_) = kLeastSweep;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_OPEN_CALLS_H_
