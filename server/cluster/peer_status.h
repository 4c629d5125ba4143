// The error of a call that another replica answered, as it was there.
#ifndef HOOKGATE_SERVER_CLUSTER_PEER_STATUS_H_
#define HOOKGATE_SERVER_CLUSTER_PEER_STATUS_H_

#include <string>

#include "absl/status/status.h"

namespace hookgate {

// The reverse of grpc_server/status_trailers: code, message, reason, metadata and field come out of
// what it has put into the trailers. Pure.
//   details  a serialised google.rpc.Status, "" if there was none
absl::Status StatusFromTrailers(int code, const std::string& message, const std::string& details);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_PEER_STATUS_H_
