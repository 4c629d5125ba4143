// How a replica tells of itself: in GetStatus, and in metrics.
#ifndef HOOKGATE_SERVER_GATEWAY_CLUSTER_STATUS_H_
#define HOOKGATE_SERVER_GATEWAY_CLUSTER_STATUS_H_

#include <vector>

#include "hookgate/v1/admin_service.pb.h"
#include "server/cluster/peers.h"
#include "server/cluster/replica.h"
#include "server/metrics/metric_registry.h"
#include "server/rpc/cursors_ahead.h"

namespace hookgate {

// Whether a replica should be sent webhooks now.
struct ReplicaReadiness {
  bool no_leader = false;  // it does not lead, and hands nothing on to one that does
  bool behind = false;     // what it shows is old
};
ReplicaReadiness ReadinessOf(const ReplicaStatus& replica);

// Whether a replica has all that a leader has given out a few seconds ago, so that a cursor which
// is ahead of it is of another history.
bool HasWhatWasGivenOut(const ReplicaStatus& replica);

// What is done with cursors that another replica has given out. Null: this gateway is alone. It
// outlives what is returned.
CursorsAhead AwaitedCursors(const Replica* replica);

void FillCluster(const ReplicaConfig& config, const ReplicaStatus& replica,
                 const std::vector<PeerState>& peers,
                 hookgate::v1::GetStatusResponse::Cluster& cluster);

// What a scrape says of it. Null: this gateway is alone, and the metrics have no series. It
// outlives the last scrape.
void AddClusterMetrics(const Replica* replica, MetricRegistry& metrics);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_CLUSTER_STATUS_H_
