// The way to the leader, by what a replica has heard and whom its config names.
#ifndef HOOKGATE_SERVER_CLUSTER_REPLICA_ROUTE_H_
#define HOOKGATE_SERVER_CLUSTER_REPLICA_ROUTE_H_

#include "absl/time/time.h"
#include "server/cluster/leader_route.h"
#include "server/cluster/leadership_news.h"
#include "server/cluster/peers.h"
#include "server/cluster/replica.h"

namespace hookgate {

// Thread-safe.
class ReplicaRoute final : public LeaderRoute {
 public:
  // Both outlive it.
  ReplicaRoute(Replica& replica, const Peers& peers) : replica_(replica), peers_(peers) {}

  Target Find() const override {
    const Replica::Leadership leadership = replica_.GetLeadership();
    Target target = {.here = leadership.here,
                     .leader = nullptr,
                     .leader_address = leadership.leader_address,
                     .without_leader = leadership.without_leader};
    if (leadership.here || leadership.leader.empty()) return target;
    target.leader = peers_.Find(leadership.leader);
    // It leads, and this replica's config does not name it.
    if (target.leader == nullptr) target.without_leader = absl::InfiniteDuration();
    return target;
  }
  LeadershipNews& news() override { return replica_.news(); }

 private:
  Replica& replica_;
  const Peers& peers_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_REPLICA_ROUTE_H_
