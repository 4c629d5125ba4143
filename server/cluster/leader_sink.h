// Where a replica's webhooks go: into its own log while it leads, otherwise to the leader.
#ifndef HOOKGATE_SERVER_CLUSTER_LEADER_SINK_H_
#define HOOKGATE_SERVER_CLUSTER_LEADER_SINK_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/cluster/peer_connection.h"
#include "server/cluster/peers.h"
#include "server/cluster/replica.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Thread-safe.
class LeaderSink final : public EventSink {
 public:
  // Of what is on its way to the leader: those beyond are refused as queue_full.
  struct Limits {
    int64_t max_webhooks = 10'000;
    int64_t max_bytes = 64 << 20;
  };

  // All of it outlives the sink, and the sink outlives what it was given: what is on its way ends
  // with `peers`.
  //   timeout  until the leader has to have answered; then it is not known whether it has stored it
  LeaderSink(const Replica& replica, const Peers& peers, EventSink& log, const Limits& limits,
             absl::Duration timeout)
      : replica_(replica), peers_(peers), log_(log), limits_(limits), timeout_(timeout) {}

  void Append(std::unique_ptr<StoredEvent> event, AppendDone done) override;
  void Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) override;
  Durability durability() const override { return log_.durability(); }

 private:
  // Asks the leader, within the limits; `done` as PeerConnection::Ask has it.
  void Send(PeerConnection& leader, const char* method, std::string request,
            PeerConnection::Done done);
  absl::Status Enter(int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);

  const Replica& replica_;
  const Peers& peers_;
  EventSink& log_;
  const Limits limits_;
  const absl::Duration timeout_;

  absl::Mutex mu_;
  int64_t webhooks_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_LEADER_SINK_H_
