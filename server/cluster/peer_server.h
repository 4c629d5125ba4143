// The port for the other replicas: heartbeats, webhooks, and the calls that they hand on.
#ifndef HOOKGATE_SERVER_CLUSTER_PEER_SERVER_H_
#define HOOKGATE_SERVER_CLUSTER_PEER_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/cluster/peers.h"
#include "server/cluster/replica.h"
#include "server/eventlog/event_log.h"
#include "server/grpc_server/grpc_server.h"
#include "server/grpc_server/method_table.h"
#include "server/tls/certificate_store.h"

namespace hookgate {

// Thread-safe.
class PeerServer {
 public:
  // All of it outlives the server.
  struct Context {
    Replica& replica;
    Peers& peers;
    EventSink& log;              // this replica's own
    const MethodTable& methods;  // what is served to clients
    const CertificateStore& certificates;
    const Clock& clock;
  };

  // Serves at `address`, HOST:PORT, for clients that show a certificate of the same authority with
  // the name of a peer. Errors are those of GrpcServer.
  //   max_message_bytes  of what a peer sends: a webhook, with its event
  static absl::StatusOr<std::unique_ptr<PeerServer>> Start(const std::string& address,
                                                           const Context& context,
                                                           size_t max_message_bytes);

  std::string address() const { return server_->address(); }

  // As GrpcServer::Drain.
  bool Drain(absl::Duration grace) { return server_->Drain(grace); }

 private:
  explicit PeerServer(const Context& context);

  void AddPeerService();
  void AddForwarded();
  // The name of the peer that makes the call; "": it is not a peer's.
  std::string PeerOf(const CallInfo& info) const;

  const Context context_;
  MethodTable table_;  // constant after construction
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_PEER_SERVER_H_
