// How a follower tells the leader who made a call that it hands on: as metadata of that call. Pure.
//
// The leader looks at it as if the caller had called there: by its own principals and rights. So a
// right that has been taken away there is gone, whichever replica is called.
#ifndef HOOKGATE_SERVER_CLUSTER_CALLER_METADATA_H_
#define HOOKGATE_SERVER_CLUSTER_CALLER_METADATA_H_

#include <string>
#include <vector>

#include "server/access/certificate_name.h"
#include "server/cluster/peer_connection.h"
#include "server/grpc_server/call.h"

namespace hookgate {

// What a service may look at in `info`: the peer's address, the names of its certificate, tokens,
// and what the client calls itself. All else that the client sent stays behind, and what it cannot
// be sent as.
PeerConnection::Metadata ToCallerMetadata(const CallInfo& info);

struct ForwardedCaller {
  std::string peer;
  std::vector<CertificateName> certificate_names;
  Metadata metadata;
};
// The reverse; what cannot be read is left out, so that the caller has less.
ForwardedCaller FromCallerMetadata(const Metadata& metadata);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_CALLER_METADATA_H_
