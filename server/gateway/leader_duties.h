// What a gateway does by itself, beside answering calls, and only while it decides what its log
// holds: retention, operator events, and the subscriptions' deliveries. One that is alone always
// does; of a cluster, the leader does.
#ifndef HOOKGATE_SERVER_GATEWAY_LEADER_DUTIES_H_
#define HOOKGATE_SERVER_GATEWAY_LEADER_DUTIES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/cluster/replica.h"
#include "server/delivery/subscription_registry.h"
#include "server/eventlog/retention.h"
#include "server/eventlog/sqlite_event_log.h"
#include "server/gateway/gateway_probe.h"
#include "server/operator_events/operator_events.h"

namespace hookgate {

// Thread-safe. Begin, OnLead and OnFollow come in turns.
class LeaderDuties final : public LeadershipListener {
 public:
  struct Context {
    SqliteEventLog& log;
    SubscriptionRegistry& subscriptions;
    GatewayProbe& probe;
    TraceParents& trace_parents;
    const Clock& clock;
  };

  // Rests. All of `context` outlives this.
  LeaderDuties(const Context& context, const RetentionLimits& retention,
               const OperatorLimits& operator_events);

  // Of a gateway that is alone: begins with what it has, whose subscriptions are open.
  void Begin() ABSL_LOCKS_EXCLUDED(mu_);

  // Of a replica: the subscriptions are opened, and closed again.
  absl::Status OnLead() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnFollow() override ABSL_LOCKS_EXCLUDED(mu_);

  // In force from now on, also for the next time.
  void SetLimits(const RetentionLimits& retention, const OperatorLimits& operator_events)
      ABSL_LOCKS_EXCLUDED(mu_);
  // A reload was refused for these. Only a gateway that decides tells of it.
  void NoteFailedReload(std::vector<std::string> errors) ABSL_LOCKS_EXCLUDED(mu_);
  // As OperatorEvents::Stop: no more of them are looked for.
  void StopOperatorEvents(absl::Duration at_most) ABSL_LOCKS_EXCLUDED(mu_);

  // What callers are told while another replica decides.
  static absl::Status AnotherDecides();

 private:
  const Context context_;

  absl::Mutex mu_;
  RetentionLimits retention_limits_ ABSL_GUARDED_BY(mu_);
  OperatorLimits operator_limits_ ABSL_GUARDED_BY(mu_);
  bool is_ending_ ABSL_GUARDED_BY(mu_) = false;
  // Null while it rests.
  std::unique_ptr<OperatorEvents> operator_events_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<Retention> retention_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_LEADER_DUTIES_H_
