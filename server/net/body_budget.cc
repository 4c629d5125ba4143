#include "server/net/body_budget.h"

#include <algorithm>

namespace hookgate {

bool BodyBudget::Share::Grow(int64_t bytes) {
  return bytes <= budget_.free_bytes_ || budget_.Take(id_, bytes - budget_.free_bytes_, holder_);
}

void BodyBudget::Share::Release() {
  if (id_ != 0) budget_.Return(std::exchange(id_, 0));
}

bool BodyBudget::Take(int64_t& id, int64_t bytes, const std::weak_ptr<BodyHolder>& holder) {
  std::vector<std::shared_ptr<BodyHolder>> leaving;
  bool taken = false;
  {
    absl::MutexLock lock(&mu_);
    auto held = held_.find(id);
    if (id != 0 && held == held_.end()) return false;  // It has been told to give up.
    const int64_t more = id == 0 ? bytes : bytes - held->second.bytes;
    taken = MakeRoom(more, id, leaving);
    if (taken) {
      if (id == 0) {
        id = ++last_id_;
        held_.emplace(id, Held{.since = clock_.MonotonicNow(), .holder = holder});
      }
      held_.find(id)->second.bytes = bytes;
      held_bytes_ += more;
    }
  }
  for (const auto& other : leaving) other->GiveUpBody();
  return taken;
}

void BodyBudget::Return(int64_t id) {
  absl::MutexLock lock(&mu_);
  const auto held = held_.find(id);
  if (held == held_.end()) return;  // Others have it already.
  held_bytes_ -= held->second.bytes;
  held_.erase(held);
}

bool BodyBudget::HasRoomFor(int64_t bytes) const {
  if (bytes <= free_bytes_) return true;
  absl::MutexLock lock(&mu_);
  if (held_bytes_ + bytes - free_bytes_ <= max_bytes_) return true;
  return !held_.empty() && clock_.MonotonicNow() - held_.begin()->second.since > kPatience;
}

// What has been given up is free on the thread of its connection a moment later.
bool BodyBudget::MakeRoom(int64_t more, int64_t except,
                          std::vector<std::shared_ptr<BodyHolder>>& leaving) {
  if (held_bytes_ + more <= max_bytes_) return true;
  const absl::Duration now = clock_.MonotonicNow();
  for (auto it = held_.begin(); it != held_.end() && held_bytes_ + more > max_bytes_;) {
    if (now - it->second.since <= kPatience) break;  // Those behind it are younger.
    if (it->first == except) {
      ++it;
      continue;
    }
    held_bytes_ -= it->second.bytes;
    if (auto holder = it->second.holder.lock(); holder != nullptr) {
      leaving.push_back(std::move(holder));
    }
    it = held_.erase(it);
  }
  return held_bytes_ + more <= max_bytes_;
}

int64_t BodyBudget::held_bytes() const {
  absl::MutexLock lock(&mu_);
  return held_bytes_;
}

}  // namespace hookgate
