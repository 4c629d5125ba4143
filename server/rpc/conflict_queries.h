// The calls of AdminService about conflicts, without gRPC: request in, response or error out. Each
// reads the log, so it may block; Discard waits for its commits in callbacks.
#ifndef HOOKGATE_SERVER_RPC_CONFLICT_QUERIES_H_
#define HOOKGATE_SERVER_RPC_CONFLICT_QUERIES_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/base/executor.h"
#include "server/eventlog/conflict_log.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Thread-safe. Errors are those that admin_service.proto names.
class ConflictQueries {
 public:
  // `log` is the one that the conflicts belong to. Both, and `executor`, where what a call that
  // writes has to do goes on, outlive the queries.
  ConflictQueries(ConflictLog& conflicts, const EventLog& log, Executor& executor)
      : conflicts_(conflicts), log_(log), executor_(executor) {}

  // Called once, on any thread, with how the call ended. The request and the response live until
  // then.
  using Finish = absl::AnyInvocable<void(const absl::Status&) &&>;

  absl::Status List(const hookgate::v1::ListConflictsRequest& request,
                    hookgate::v1::ListConflictsResponse& response);
  absl::Status Get(const hookgate::v1::GetConflictRequest& request,
                   hookgate::v1::GetConflictResponse& response);
  // One after the other, each behind what else the executor has to do.
  void Discard(const hookgate::v1::DiscardConflictsRequest& request,
               hookgate::v1::DiscardConflictsResponse& response, Finish finish);

 private:
  struct DiscardCall {
    const hookgate::v1::DiscardConflictsRequest& request;
    hookgate::v1::DiscardConflictsResponse& response;
    Finish finish;
  };
  void DiscardNext(DiscardCall call);

  ConflictLog& conflicts_;
  const EventLog& log_;
  Executor& executor_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_CONFLICT_QUERIES_H_
