// AdminService.ListStreams, without gRPC: request in, response or error out.
#ifndef HOOKGATE_SERVER_RPC_STREAM_QUERIES_H_
#define HOOKGATE_SERVER_RPC_STREAM_QUERIES_H_

#include "absl/status/status.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/eventlog/event_log.h"
#include "server/rpc/stream_registry.h"

namespace hookgate {

// Errors are those that admin_service.proto names. Looks at a bounded number of streams, each by
// itself, and reads memory alone.
//   log  whose page tokens these are
absl::Status ListStreams(const StreamRegistry& registry, const EventLog& log,
                         const hookgate::v1::ListStreamsRequest& request,
                         hookgate::v1::ListStreamsResponse& response);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_STREAM_QUERIES_H_
