// Hands calls that only the leader answers on to it, as bytes both ways, while this replica follows.
#ifndef HOOKGATE_SERVER_CLUSTER_CALL_FORWARDER_H_
#define HOOKGATE_SERVER_CLUSTER_CALL_FORWARDER_H_

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "server/cluster/peers.h"
#include "server/cluster/replica.h"
#include "server/grpc_server/method_table.h"

namespace hookgate {

// Thread-safe.
class CallForwarder final : public MethodTable::Diverter {
 public:
  // All of it outlives the forwarder.
  CallForwarder(const Replica& replica, const Peers& peers, const Clock& clock);

  // Null if the method is answered from what every replica holds, if this one leads, or if nobody
  // does: then the method itself says so.
  std::shared_ptr<CallHandler> Divert(const MethodTable::Entry& method, std::shared_ptr<Call> call,
                                      const CallInfo& info) override;

  // Ends all that it has handed on, with UNAVAILABLE draining: this replica is about to end.
  void EndAll() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class BytesHeld;
  class ForwardedCall;

  const Replica& replica_;
  const Peers& peers_;
  const Clock& clock_;
  const std::shared_ptr<BytesHeld> held_;  // Does its own locking.

  absl::Mutex mu_;
  std::vector<std::weak_ptr<ForwardedCall>> open_ ABSL_GUARDED_BY(mu_);
  size_t next_sweep_ ABSL_GUARDED_BY(mu_) = 64;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_CALL_FORWARDER_H_
