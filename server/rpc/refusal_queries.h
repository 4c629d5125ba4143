// AdminService.ListRefused, without gRPC: request in, response or error out.
#ifndef HOOKGATE_SERVER_RPC_REFUSAL_QUERIES_H_
#define HOOKGATE_SERVER_RPC_REFUSAL_QUERIES_H_

#include "absl/status/status.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/eventlog/event_log.h"
#include "server/status/refused_requests.h"

namespace hookgate {

// Also for others who tell of one.
hookgate::v1::RefusedRequest ToProto(const RefusedRequest& refused);

// Errors are those that admin_service.proto names. Reads memory alone.
//   log  whose page tokens these are
absl::Status ListRefused(const RefusedRequests& refused, const EventLog& log,
                         const hookgate::v1::ListRefusedRequest& request,
                         hookgate::v1::ListRefusedResponse& response);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_REFUSAL_QUERIES_H_
