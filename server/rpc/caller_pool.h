// The callers of calls that last: there are ten thousand streams, and few connections, so those of
// one identity on one connection hold one Caller.
#ifndef HOOKGATE_SERVER_RPC_CALLER_POOL_H_
#define HOOKGATE_SERVER_RPC_CALLER_POOL_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "server/grpc_server/call.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/caller.h"

namespace hookgate {

// Thread-safe.
class CallerPool {
 public:
  // `gate` outlives the pool and its callers.
  explicit CallerPool(CallGate& gate) : gate_(gate) {}

  // Who makes the call that `info` is about: the one that the last such call of the connection
  // holds, if it shows the same, or a new one.
  std::shared_ptr<const Caller> Share(const CallInfo& info) ABSL_LOCKS_EXCLUDED(mu_);

  // How many connections the pool knows, also if none of their calls is left: at most twice as many
  // as have some, or a few.
  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void ForgetUnheld() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  CallGate& gate_;
  mutable absl::Mutex mu_;
  // By the connection's peer: who made its last call.
  absl::flat_hash_map<std::string, std::weak_ptr<const Caller>> known_ ABSL_GUARDED_BY(mu_);
  size_t forget_at_ ABSL_GUARDED_BY(mu_) = 0;  // when known_ is as large
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_CALLER_POOL_H_
