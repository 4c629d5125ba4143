#include "server/rpc/caller_pool.h"

#include <algorithm>

namespace hookgate {
namespace {

constexpr size_t kAFew = 64;

}  // namespace

std::shared_ptr<const Caller> CallerPool::Share(const CallInfo& info) {
  auto caller = std::make_shared<const Caller>(info, gate_);
  absl::MutexLock lock(&mu_);
  if (known_.size() >= forget_at_) ForgetUnheld();
  std::weak_ptr<const Caller>& known = known_[caller->peer()];
  if (auto held = known.lock(); held != nullptr && held->IsSameAs(*caller)) return held;
  known = caller;
  return caller;
}

size_t CallerPool::size() const {
  absl::MutexLock lock(&mu_);
  return known_.size();
}

void CallerPool::ForgetUnheld() {
  absl::erase_if(known_, [](const auto& known) { return known.second.expired(); });
  forget_at_ = std::max(kAFew, 2 * known_.size());
}

}  // namespace hookgate
