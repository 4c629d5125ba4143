// Hands calls that only the leader answers on to it, as bytes both ways, while this replica
// follows.
#ifndef HOOKGATE_SERVER_CLUSTER_CALL_FORWARDER_H_
#define HOOKGATE_SERVER_CLUSTER_CALL_FORWARDER_H_

#include <cstddef>
#include <memory>

#include "common/clock.h"
#include "server/cluster/leader_route.h"
#include "server/cluster/open_calls.h"
#include "server/grpc_server/method_table.h"

namespace hookgate {

// Thread-safe.
class CallForwarder final : public MethodTable::Diverter {
 public:
  // Of what is on its way through this replica, for all calls together: requests that the leader
  // has not taken, answers that clients have not. A call that would exceed it ends, as it is with
  // answers that no client takes.
  static constexpr size_t kMaxBytesHeld = 256 << 20;

  // All of it outlives the forwarder.
  CallForwarder(const LeaderRoute& route, const Clock& clock,
                size_t max_bytes_held = kMaxBytesHeld);

  // Null if the method is answered from what every replica holds, if this one leads, or if nobody
  // does: then the method itself says so.
  std::shared_ptr<CallHandler> Divert(const MethodTable::Entry& method, std::shared_ptr<Call> call,
                                      const CallInfo& info) override;

  // Ends all that it has handed on, with UNAVAILABLE draining: this replica is about to end.
  void EndAll();

 private:
  class BytesHeld;
  class ForwardedCall;

  const LeaderRoute& route_;
  const Clock& clock_;
  // Each does its own locking.
  const std::shared_ptr<BytesHeld> held_;
  OpenCalls<ForwardedCall> open_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_CALL_FORWARDER_H_
