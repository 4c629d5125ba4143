// The calls of AdminService about the quarantine, without gRPC: request in, response or error out.
// Each reads or writes the log, so it may block.
#ifndef HOOKGATE_SERVER_RPC_QUARANTINE_QUERIES_H_
#define HOOKGATE_SERVER_RPC_QUARANTINE_QUERIES_H_

#include <string>

#include "absl/status/status.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/eventlog/quarantine_log.h"

namespace hookgate {

// Thread-safe. Errors are those that admin_service.proto names.
class QuarantineQueries {
 public:
  // `quarantine` outlives the queries. `epoch` is the log's.
  QuarantineQueries(QuarantineLog& quarantine, std::string epoch)
      : quarantine_(quarantine), epoch_(std::move(epoch)) {}

  absl::Status List(const hookgate::v1::ListQuarantinedRequest& request,
                    hookgate::v1::ListQuarantinedResponse& response);
  absl::Status Get(const hookgate::v1::GetQuarantinedRequest& request,
                   hookgate::v1::GetQuarantinedResponse& response);
  absl::Status Retry(const hookgate::v1::RetryQuarantinedRequest& request,
                     hookgate::v1::RetryQuarantinedResponse& response);
  absl::Status Discard(const hookgate::v1::DiscardQuarantinedRequest& request,
                       hookgate::v1::DiscardQuarantinedResponse& response);

 private:
  absl::Status RetryOne(int64_t id, hookgate::v1::RetryQuarantinedResponse::Result& result);

  QuarantineLog& quarantine_;
  const std::string epoch_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_QUARANTINE_QUERIES_H_
