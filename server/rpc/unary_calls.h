// Runs unary calls on threads that may read the disk, and bounds how many wait for one. A call that
// waits for a commit holds no thread meanwhile: however long somebody locks the database, reading
// goes on.
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

  // The same for a call that writes: `begin` reads on the executor what it needs, and has `finish`
  // called once, now or later, on any thread. Bounded apart from those that read.
  using Finish = absl::AnyInvocable<void(const absl::Status&) &&>;
  grpc::ServerUnaryReactor* Begin(grpc::CallbackServerContext* call, const absl::Status& allowed,
                                  absl::AnyInvocable<void(Finish finish) &&> begin);

 private:
  // The call if it is refused at once; otherwise counted in `under_way`.
  static bool Refuse(grpc::ServerUnaryReactor& reactor, const absl::Status& allowed,
                     std::atomic<int>& under_way);

  Executor& executor_;
  std::atomic<int> reading_ = 0;
  std::atomic<int> writing_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_UNARY_CALLS_H_
