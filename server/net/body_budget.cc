#include "server/net/body_budget.h"

#include <algorithm>

namespace hookgate {

bool BodyBudget::Share::Grow(int64_t bytes) {
  return bytes <= budget_.free_bytes_ ||
         budget_.Take(id_, bytes - budget_.free_bytes_, origin_, holder_);
}

void BodyBudget::Share::Release() {
  if (id_ != 0) budget_.Return(std::exchange(id_, 0));
}

bool BodyBudget::Take(int64_t& id, int64_t bytes, const BodyOrigin& origin,
                      const std::weak_ptr<BodyHolder>& holder) {
  Removed leaving;
  {
    absl::MutexLock lock(&mu_);
    const auto held = held_.find(id);
    if (id != 0 && held == held_.end()) return false;  // It has been told to give up.
    const int64_t more = id == 0 ? bytes : bytes - held->second.bytes;
    if (!MakeRoom(more, id, origin, leaving)) return false;
    Held grown = {.since = clock_.MonotonicNow(), .origin = origin, .holder = holder};
    if (id == 0) {
      id = ++last_id_;
    } else {
      grown = Remove(id);
    }
    grown.bytes = bytes;
    Add(id, std::move(grown));
  }
  for (const auto& [other, held] : leaving) {
    if (const auto told = held.holder.lock(); told != nullptr) told->GiveUpBody();
  }
  return true;
}

void BodyBudget::Return(int64_t id) {
  absl::MutexLock lock(&mu_);
  if (held_.contains(id)) Remove(id);  // Otherwise others have it already.
}

bool BodyBudget::Holds(int64_t id) const {
  absl::MutexLock lock(&mu_);
  return held_.contains(id);
}

bool BodyBudget::HasRoomFor(int64_t bytes, const BodyOrigin& origin) const {
  if (bytes <= free_bytes_) return true;
  const int64_t counted = bytes - free_bytes_;
  if (counted > max_bytes_) return false;
  absl::MutexLock lock(&mu_);
  if (Fits(counted)) return true;
  const int64_t afterwards = BytesOf(origin) + counted;
  return LargestAbove(afterwards, origin) != nullptr ||
         FirstPastPatience(afterwards, /*except=*/0, origin) != 0;
}

// What has been given up is free on the thread of its connection a moment later.
bool BodyBudget::MakeRoom(int64_t more, int64_t except, const BodyOrigin& origin,
                          Removed& leaving) {
  while (!Fits(more)) {
    // Smaller each time that a body of `origin` itself has left.
    const int64_t afterwards = BytesOf(origin) + more;
    int64_t id = 0;
    if (const BodyOrigin* largest = LargestAbove(afterwards, origin); largest != nullptr) {
      id = *origins_.find(*largest)->second.ids.begin();
    } else {
      id = FirstPastPatience(afterwards, except, origin);
    }
    if (id == 0) {
      for (auto& [other, held] : leaving) Add(other, std::move(held));
      leaving.clear();
      return false;
    }
    Held removed = Remove(id);
    leaving.emplace_back(id, std::move(removed));
  }
  return true;
}

int64_t BodyBudget::BytesOf(const BodyOrigin& origin) const {
  const auto found = origins_.find(origin);
  return found == origins_.end() ? 0 : found->second.bytes;
}

const BodyOrigin* BodyBudget::LargestAbove(int64_t bytes, const BodyOrigin& origin) const {
  for (auto it = by_bytes_.rbegin(); it != by_bytes_.rend() && it->first > bytes; ++it) {
    if (it->second != origin) return &it->second;
  }
  return nullptr;
}

int64_t BodyBudget::FirstPastPatience(int64_t bytes, int64_t except,
                                      const BodyOrigin& origin) const {
  const bool only_own = bytes > max_bytes_ / 4;
  const absl::Duration now = clock_.MonotonicNow();
  for (const auto& [id, held] : held_) {
    if (now - held.since <= kPatience) break;  // Those behind it are younger.
    if (id != except && (!only_own || held.origin == origin)) return id;
  }
  return 0;
}

void BodyBudget::Add(int64_t id, Held held) {
  OfOrigin& of = origins_[held.origin];
  by_bytes_.erase({of.bytes, held.origin});
  of.bytes += held.bytes;
  of.ids.insert(id);
  by_bytes_.emplace(of.bytes, held.origin);
  held_bytes_ += held.bytes;
  held_.emplace(id, std::move(held));
}

BodyBudget::Held BodyBudget::Remove(int64_t id) {
  const auto found = held_.find(id);
  Held held = std::move(found->second);
  held_.erase(found);
  held_bytes_ -= held.bytes;
  const auto of = origins_.find(held.origin);
  by_bytes_.erase({of->second.bytes, held.origin});
  of->second.bytes -= held.bytes;
  of->second.ids.erase(id);
  if (of->second.ids.empty()) {
    origins_.erase(of);
  } else {
    by_bytes_.emplace(of->second.bytes, held.origin);
  }
  return held;
}

int64_t BodyBudget::held_bytes() const {
  absl::MutexLock lock(&mu_);
  return held_bytes_;
}

}  // namespace hookgate
