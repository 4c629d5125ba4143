// Those that wait for a turn, in groups: one of each group after the other. So a crowd makes those
// of another group wait for one turn of the crowd, not for all of it. Pure. Not thread-safe. Holds
// as many as are pushed: each may wait once.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_TURN_QUEUE_H_
#define HOOKGATE_SERVER_GRPC_SERVER_TURN_QUEUE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace hookgate {

// Those of one address (ConnectionTable::NetworkOf), apart: who has no identity, and who has one
// and wastes time.
struct TurnGroup {
  std::array<uint8_t, 16> network = {};
  bool is_identified = false;

  bool operator==(const TurnGroup& other) const {
    return network == other.network && is_identified == other.is_identified;
  }
  template <typename H>
  friend H AbslHashValue(H hash, const TurnGroup& group) {
    return H::combine(std::move(hash), group.network, group.is_identified);
  }
};

template <typename T>
class TurnQueue {
 public:
  void Push(const TurnGroup& group, T waiting) {
    std::deque<T>& of_group = waiting_[group];
    if (of_group.empty()) order_.push_back(group);
    of_group.push_back(std::move(waiting));
  }

  // The next one. Only if there is one.
  T Pop() {
    const TurnGroup group = order_.front();
    order_.pop_front();
    const auto of_group = waiting_.find(group);
    T next = std::move(of_group->second.front());
    of_group->second.pop_front();
    if (of_group->second.empty()) {
      waiting_.erase(of_group);
    } else {
      order_.push_back(group);
    }
    return next;
  }

  bool empty() const { return order_.empty(); }

 private:
  std::deque<TurnGroup> order_;  // each that has waiting ones, once
  absl::flat_hash_map<TurnGroup, std::deque<T>> waiting_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_TURN_QUEUE_H_
