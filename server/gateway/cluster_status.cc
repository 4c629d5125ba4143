#include "server/gateway/cluster_status.h"

#include <string>

#include "absl/time/time.h"
#include "server/base/proto_time.h"

namespace hookgate {
namespace {

using Cluster = hookgate::v1::GetStatusResponse::Cluster;
using Role = ReplicaState::Role;

constexpr absl::Duration kLongestLag = absl::Seconds(1);
constexpr absl::Duration kCursorPatience = absl::Seconds(5);

constexpr MetricType kGauge = MetricType::kGauge;
constexpr MetricType kCounter = MetricType::kCounter;

constexpr MetricInfo kRole = {"hookgate_cluster_role", kGauge,
                              "1 for the role that this replica has; otherwise 0."};
constexpr MetricInfo kTerm = {"hookgate_cluster_term", kGauge,
                              "The highest term that this replica knows of; it grows with each "
                              "leader."};
constexpr MetricInfo kApplied = {"hookgate_cluster_applied_index", kGauge,
                                 "The newest record of the cluster's log that this replica has "
                                 "applied."};
constexpr MetricInfo kKnown = {"hookgate_cluster_known_index", kGauge,
                               "The newest record of the cluster's log that this replica has heard "
                               "of."};
constexpr MetricInfo kLag = {"hookgate_cluster_lag_seconds", kGauge,
                             "For how long there have been records that this replica has not "
                             "applied; 0: there are none."};
constexpr MetricInfo kSchema = {"hookgate_cluster_schema", kGauge,
                                "The newest version of the schema that this replica reads."};
constexpr MetricInfo kAgreedSchema = {
    "hookgate_cluster_agreed_schema", kGauge,
    "The version of the schema that the cluster has agreed on; 0: "
    "this replica does not know."};
constexpr MetricInfo kTakeovers = {"hookgate_cluster_takeovers_total", kCounter,
                                   "How often this replica has begun to lead since it was "
                                   "started."};
constexpr MetricInfo kEngineUp = {"hookgate_cluster_engine_up", kGauge,
                                  "1 if the last call to the engine of the cluster's log "
                                  "succeeded; otherwise 0."};
constexpr MetricInfo kAppends = {"hookgate_cluster_appends_total", kCounter,
                                 "Attempts of this replica to append to the cluster's log, by what "
                                 "became of them."};

Cluster::Role RoleOf(const ReplicaStatus& replica) {
  if (replica.serving) return Cluster::ROLE_LEADER;
  switch (replica.role) {
    case Role::kFollower:
    case Role::kDeposed:
      return Cluster::ROLE_FOLLOWER;
    case Role::kCandidate:
    case Role::kElected:
    case Role::kLeader:  // has not taken over yet, or waits in vain for the log
      return Cluster::ROLE_CANDIDATE;
    case Role::kDiverged:
    case Role::kNeedsSnapshot:
      return Cluster::ROLE_STOPPED;
  }
  return Cluster::ROLE_UNSPECIFIED;
}

void Collect(const Replica& replica, MetricSamples& samples) {
  const ReplicaStatus status = replica.Status();
  const Cluster::Role role = RoleOf(status);
  for (const auto& [name, value] :
       {std::pair("leader", Cluster::ROLE_LEADER), std::pair("follower", Cluster::ROLE_FOLLOWER),
        std::pair("candidate", Cluster::ROLE_CANDIDATE),
        std::pair("stopped", Cluster::ROLE_STOPPED)}) {
    samples.Add(kRole, {{"role", name}}, int64_t{role == value});
  }
  samples.Add(kTerm, {}, status.term);
  samples.Add(kApplied, {}, status.applied);
  samples.Add(kKnown, {}, status.known);
  samples.Add(kLag, {}, absl::ToDoubleSeconds(status.lag));
  samples.Add(kSchema, {}, int64_t{status.schema});
  samples.Add(kAgreedSchema, {}, int64_t{status.agreed_schema});
  samples.Add(kTakeovers, {}, status.takeovers);
  samples.Add(kEngineUp, {}, int64_t{status.engine.status.ok()});
  samples.Add(kAppends, {{"outcome", "appended"}}, status.engine.appends);
  samples.Add(kAppends, {{"outcome", "lost"}}, status.engine.lost_appends);
  samples.Add(kAppends, {{"outcome", "unknown"}}, status.engine.unknown_appends);
}

}  // namespace

ReplicaReadiness ReadinessOf(const ReplicaStatus& replica) {
  const bool hands_on = replica.hands_on && (!replica.leader.empty() || replica.awaits_leader);
  const bool stopped = replica.role == Role::kDiverged || replica.role == Role::kNeedsSnapshot;
  return {.no_leader = !replica.serving && !hands_on,
          .behind = stopped || replica.lag > kLongestLag};
}

bool HasWhatWasGivenOut(const ReplicaStatus& replica) {
  return replica.serving || (replica.follows && replica.lag <= kLongestLag);
}

CursorsAhead AwaitedCursors(const Replica* replica) {
  if (replica == nullptr) return {};
  return {.patience = kCursorPatience,
          .is_complete = [replica] { return HasWhatWasGivenOut(replica->Status()); }};
}

void FillCluster(const ReplicaConfig& config, const ReplicaStatus& replica,
                 const std::vector<PeerState>& peers, Cluster& cluster) {
  cluster.set_name(config.cluster);
  cluster.set_replica(config.name);
  cluster.set_role(RoleOf(replica));
  cluster.set_term(replica.term);
  cluster.set_applied_index(replica.applied);
  cluster.set_known_index(replica.known);
  if (replica.lag > absl::ZeroDuration()) *cluster.mutable_lag() = ToProto(replica.lag);
  cluster.set_leader(replica.leader);
  cluster.set_leader_address(replica.leader_address);
  cluster.set_problem(std::string(replica.problem.message()));
  cluster.set_engine(replica.engine.engine);
  cluster.set_engine_server(replica.engine.server);
  cluster.set_engine_problem(std::string(replica.engine.status.message()));
  cluster.set_schema(replica.schema);
  cluster.set_agreed_schema(replica.agreed_schema);
  for (const std::string& setting : replica.engine.trusted) cluster.add_trusted(setting);
  for (const PeerState& state : peers) {
    auto& peer = *cluster.add_peers();
    peer.set_name(state.name);
    if (state.last_heard.has_value()) *peer.mutable_last_heard_time() = ToProto(*state.last_heard);
    peer.set_applied_index(state.applied);
    peer.set_problem(state.problem);
    peer.set_schema(state.schema);
  }
}

void AddClusterMetrics(const Replica* replica, MetricRegistry& metrics) {
  metrics.AddCollector({&kRole, &kTerm, &kApplied, &kKnown, &kLag, &kSchema, &kAgreedSchema,
                        &kTakeovers, &kEngineUp, &kAppends},
                       [replica](MetricSamples& samples) {
                         if (replica != nullptr) Collect(*replica, samples);
                       });
}

}  // namespace hookgate
