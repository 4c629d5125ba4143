// Where that goes which only a leader decides: the seam between what hands on and who leads.
#ifndef HOOKGATE_SERVER_CLUSTER_LEADER_ROUTE_H_
#define HOOKGATE_SERVER_CLUSTER_LEADER_ROUTE_H_

#include <string>

#include "absl/time/time.h"
#include "server/cluster/leadership_news.h"
#include "server/cluster/peer_connection.h"

namespace hookgate {

// Thread-safe.
class LeaderRoute {
 public:
  struct Target {
    bool here = false;                 // this replica leads
    PeerConnection* leader = nullptr;  // to the one that does; null: this one, or nobody
    std::string leader_address;        // where clients reach that one; "" if that is not said
    // For how long nobody has led whom this replica could ask; infinite: that will not pass by
    // itself.
    absl::Duration without_leader;
  };

  virtual ~LeaderRoute() = default;
  // As far as is known. Cheap.
  virtual Target Find() const = 0;
  // Told when Find may say something else, and when a leader that refused may not do so any more.
  virtual LeadershipNews& news() = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_LEADER_ROUTE_H_
