// Runs unary calls on threads that may block, and bounds how many wait for one.
#ifndef HOOKGATE_SERVER_RPC_UNARY_CALLS_H_
#define HOOKGATE_SERVER_RPC_UNARY_CALLS_H_

#include <grpcpp/server_context.h>

#include <atomic>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "server/base/executor.h"

namespace hookgate {

// Thread-safe.
class UnaryCalls {
 public:
  // `executor` outlives the calls.
  explicit UnaryCalls(Executor& executor) : executor_(executor) {}

  // If `allowed`, has `work` done on the executor, and finishes `call` with its status. gRPC keeps
  // the request and the response of the call until then. RESOURCE_EXHAUSTED too_many_queries if too
  // many wait. Finishes it with `allowed` otherwise: what the caller's rights say about this very
  // request.
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* call, const absl::Status& allowed,
                                absl::AnyInvocable<absl::Status() &&> work);

 private:
  Executor& executor_;
  std::atomic<int> under_way_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_UNARY_CALLS_H_
