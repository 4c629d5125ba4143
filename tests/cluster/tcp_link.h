// A connection between two processes that a test can cut: a TCP proxy on loopback.
#ifndef HOOKGATE_TESTS_CLUSTER_TCP_LINK_H_
#define HOOKGATE_TESTS_CLUSTER_TCP_LINK_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace hookgate {

// Thread-safe.
class TcpLink {
 public:
  // What happens to the bytes of one direction, of all connections and of those to come.
  enum class Way {
    kOpen,  // They pass.
    kHeld,  // They wait, and ends of connections with them: as when a network takes nothing.
    kLost,  // They vanish. The connection ends once the link is open again.
  };

  // Listens on a port of its own, and connects each caller to `target_port` of 127.0.0.1, where
  // somebody may listen now or later.
  explicit TcpLink(int target_port);
  ~TcpLink();
  TcpLink(const TcpLink&) = delete;
  TcpLink& operator=(const TcpLink&) = delete;

  int port() const { return port_; }

  void Set(Way to_target, Way to_caller) ABSL_LOCKS_EXCLUDED(mu_);
  void Cut() { Set(Way::kHeld, Way::kHeld); }
  void Heal() { Set(Way::kOpen, Way::kOpen); }
  // What is read from now on, in either direction, is passed on so much later, in its order. Zero
  // ends it.
  void Delay(absl::Duration delay) ABSL_LOCKS_EXCLUDED(mu_);
  // Flips one bit of the first piece of so many bytes or more that goes to a caller from now on,
  // near its end.
  void FlipABitToCaller(size_t least_bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // Of both directions, since the beginning.
  int64_t lost_bytes() const ABSL_LOCKS_EXCLUDED(mu_);
  int64_t flipped_bits() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Time = std::chrono::steady_clock::time_point;

  // One direction of one connection.
  struct Flow {
    int from = -1;
    int to = -1;
    std::string bytes;                                 // read, and to be written
    std::deque<std::pair<Time, std::string>> delayed;  // read, and to be written from then on
    size_t delayed_bytes = 0;
    bool ended = false;
    bool end_passed = false;
  };
  struct Connection {
    Flow to_target;
    Flow to_caller;
    bool damaged = false;  // it has lost bytes
  };

  void Run();
  void Accept() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // False: the connection is broken.
  bool Read(Flow& flow, Way way, Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What is due becomes what is to be written. The time at which more will be; `none` if nothing
  // waits.
  static Time TakeDue(Flow& flow, Time now, Time none);
  bool Write(Flow& flow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Wake() const;

  const int target_port_;
  int listener_ = -1;
  int wake_ = -1;
  int port_ = 0;

  mutable absl::Mutex mu_;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  Way to_target_ ABSL_GUARDED_BY(mu_) = Way::kOpen;
  Way to_caller_ ABSL_GUARDED_BY(mu_) = Way::kOpen;
  std::chrono::nanoseconds delay_ ABSL_GUARDED_BY(mu_){0};
  size_t flip_from_ ABSL_GUARDED_BY(mu_) = 0;  // 0: nothing is to be flipped
  int64_t lost_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t flipped_bits_ ABSL_GUARDED_BY(mu_) = 0;
  std::list<Connection> connections_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_TCP_LINK_H_
