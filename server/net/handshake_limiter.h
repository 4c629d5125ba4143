// How many TLS handshakes may begin in a second, in all and from one address: each costs the server
// up to a millisecond of CPU, and the peer next to nothing.
//
// An address that has used up its share is to be closed before anything is computed. When all have
// used up what there is, connections rather wait in the kernel's queue: after a restart, ten
// thousand honest clients come at once, and none of them has to come again.
#ifndef HOOKGATE_SERVER_NET_HANDSHAKE_LIMITER_H_
#define HOOKGATE_SERVER_NET_HANDSHAKE_LIMITER_H_

#include <cstddef>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/net/connection_table.h"

namespace hookgate {

// Not thread-safe: used where connections are accepted.
class HandshakeLimiter {
 public:
  using Address = ConnectionTable::Address;

  // Each at least 1. After a second in which there were none, twice as many at once.
  struct Limits {
    int per_second = 1;
    int per_second_of_an_address = 1;  // by ConnectionTable::NetworkOf
  };
  // `clock` outlives it.
  HandshakeLimiter(const Limits& limits, const Clock& clock);

  // Whether one more may begin now, as far as all of them go.
  bool HasRoom();
  // One begins at `address`. False: the address has used up its share, and nothing is counted.
  //   exempt  a proxy that many clients come through: it has no share of its own
  bool Take(const Address& address, bool exempt);

  // Addresses that are remembered: those that have not been quiet for long enough. For tests.
  size_t addresses() const { return shares_.size(); }

 private:
  // What is left, and when that was so.
  struct Bucket {
    double tokens = 0;
    absl::Duration at;
  };
  static void Refill(Bucket& bucket, double per_second, absl::Duration now);
  void ForgetQuietOnes(absl::Duration now);

  // Constant after construction.
  const double per_second_;
  const double per_second_of_an_address_;
  const Clock& clock_;

  Bucket all_;
  absl::flat_hash_map<Address, Bucket> shares_;  // of those that are not full
  size_t forget_at_;                             // so many shares
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_NET_HANDSHAKE_LIMITER_H_
