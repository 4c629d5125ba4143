// Those that wait for a turn, by the address that they come from: one of each address after the
// other. So a crowd from one address makes those of another address wait for one turn of the crowd,
// not for all of it. Pure. Not thread-safe. Holds as many as are pushed: each may wait once.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_TURN_QUEUE_H_
#define HOOKGATE_SERVER_GRPC_SERVER_TURN_QUEUE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace hookgate {

template <typename T>
class TurnQueue {
 public:
  // As ConnectionTable::NetworkOf has it.
  using Network = std::array<uint8_t, 16>;

  void Push(const Network& network, T waiting) {
    std::deque<T>& of_network = waiting_[network];
    if (of_network.empty()) order_.push_back(network);
    of_network.push_back(std::move(waiting));
  }

  // The next one. Only if there is one.
  T Pop() {
    const Network network = order_.front();
    order_.pop_front();
    const auto of_network = waiting_.find(network);
    T next = std::move(of_network->second.front());
    of_network->second.pop_front();
    if (of_network->second.empty()) {
      waiting_.erase(of_network);
    } else {
      order_.push_back(network);
    }
    return next;
  }

  bool empty() const { return order_.empty(); }

 private:
  std::deque<Network> order_;  // each that has waiting ones, once
  absl::flat_hash_map<Network, std::deque<T>> waiting_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_TURN_QUEUE_H_
