// The calls of AdminService about the quarantine, without gRPC: request in, response or error out.
// Each reads the log, so it may block; those that write wait for their commits in callbacks.
#ifndef HOOKGATE_SERVER_RPC_QUARANTINE_QUERIES_H_
#define HOOKGATE_SERVER_RPC_QUARANTINE_QUERIES_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/base/executor.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/quarantine_log.h"

namespace hookgate {

// Thread-safe. Errors are those that admin_service.proto names.
class QuarantineQueries {
 public:
  // `log` is the one that the quarantine belongs to. Both, and `executor`, where reading them may
  // block, outlive the queries.
  QuarantineQueries(QuarantineLog& quarantine, const EventLog& log, Executor& executor)
      : quarantine_(quarantine), log_(log), executor_(executor) {}

  // Called once, on any thread, with how a call that writes ended. The request and the response
  // live until then.
  using Finish = absl::AnyInvocable<void(const absl::Status&) &&>;

  absl::Status List(const hookgate::v1::ListQuarantinedRequest& request,
                    hookgate::v1::ListQuarantinedResponse& response);
  absl::Status Get(const hookgate::v1::GetQuarantinedRequest& request,
                   hookgate::v1::GetQuarantinedResponse& response);
  // One entry after the other, each behind what else the executor has to do.
  void Retry(const hookgate::v1::RetryQuarantinedRequest& request,
             hookgate::v1::RetryQuarantinedResponse& response, Finish finish);
  void Discard(const hookgate::v1::DiscardQuarantinedRequest& request,
               hookgate::v1::DiscardQuarantinedResponse& response, Finish finish);

 private:
  template <typename Request, typename Response>
  struct Call {
    const Request& request;
    Response& response;
    Finish finish;
  };
  using RetryCall =
      Call<hookgate::v1::RetryQuarantinedRequest, hookgate::v1::RetryQuarantinedResponse>;
  using DiscardCall =
      Call<hookgate::v1::DiscardQuarantinedRequest, hookgate::v1::DiscardQuarantinedResponse>;

  void RetryNext(RetryCall call);
  void DiscardNext(DiscardCall call);
  // The event of an entry; null if there is none, which `result` then says. An error is the log's.
  absl::StatusOr<std::unique_ptr<StoredEvent>> EventOf(
      int64_t id, hookgate::v1::RetryQuarantinedResponse::Result& result);

  QuarantineLog& quarantine_;
  const EventLog& log_;
  Executor& executor_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_QUARANTINE_QUERIES_H_
