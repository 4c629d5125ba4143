// Hands calls that only the leader answers on to it, as bytes both ways, while this replica follows.
#ifndef HOOKGATE_SERVER_CLUSTER_CALL_FORWARDER_H_
#define HOOKGATE_SERVER_CLUSTER_CALL_FORWARDER_H_

#include <memory>

#include "common/clock.h"
#include "server/cluster/open_calls.h"
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
  void EndAll();

 private:
  class BytesHeld;
  class ForwardedCall;

  const Replica& replica_;
  const Peers& peers_;
  const Clock& clock_;
  // Each does its own locking.
  const std::shared_ptr<BytesHeld> held_;
  OpenCalls<ForwardedCall> open_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_CALL_FORWARDER_H_
