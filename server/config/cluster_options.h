// The part of the options that makes this gateway a replica of a cluster.
#ifndef HOOKGATE_SERVER_CONFIG_CLUSTER_OPTIONS_H_
#define HOOKGATE_SERVER_CONFIG_CLUSTER_OPTIONS_H_

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "hookgate/config/v1/config.pb.h"
#include "server/cluster/peers.h"
#include "server/cluster/replica.h"
#include "server/config/problems.h"
#include "server/replication/jetstream_log.h"
#include "server/replication/postgres_log.h"
#include "server/replication/replicated_log.h"
#include "server/tls/certificates.h"

namespace hookgate {

// How the replicas reach each other.
struct ClusterPeersOptions {
  std::string listen_address;
  CertificateFiles certificates;  // with the authority of the other replicas
  std::vector<PeerAddress> peers;
};

struct ClusterOptions {
  ReplicaConfig replica;
  ReplicatedLogOptions log;
  std::variant<PostgresLogOptions, JetStreamLogOptions> engine;
  absl::optional<ClusterPeersOptions> peers;  // nullopt: they reach each other by the log alone
};

// Checks `config.cluster` and fills in its defaults; adds every problem, each with its key.
//   max_body_bytes  of a webhook: its record has to find room in the log
// nullopt: this gateway is alone. Only good if no error was added.
absl::optional<ClusterOptions> ResolveCluster(const hookgate::config::v1::Config& config,
                                              int64_t max_body_bytes, Problems& problems);

// Nothing is connected yet. Errors as OpenPostgresLog and OpenJetStreamLog.
absl::StatusOr<std::unique_ptr<ReplicatedLog>> OpenReplicatedLog(const ClusterOptions& options);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_CLUSTER_OPTIONS_H_
