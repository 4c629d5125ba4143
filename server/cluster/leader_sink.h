// Where a replica's webhooks go: into its own log while it leads, otherwise to the leader. While
// there is no leader for a moment they wait for the next one.
#ifndef HOOKGATE_SERVER_CLUSTER_LEADER_SINK_H_
#define HOOKGATE_SERVER_CLUSTER_LEADER_SINK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/cluster/leader_route.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Thread-safe.
//
// A webhook that a leader refuses since it does not lead any more, or whose leader is gone before
// it has answered, is handed to the next leader as soon as one is heard of. If the first one has
// stored it, the next one finds its id: so it is one event, or one entry of the quarantine whose
// count may be one too high. Its sender is answered no_leader only if none has stored it within the
// time-out, or if there has been no leader, or none that could be reached, for longer than that
// already: then nobody waits in vain. A leader that gives no sign that it is gone, since it stands
// still or its machine lost power, keeps what it was handed for that time.
class LeaderSink final : public EventSink {
 public:
  // Of what is on its way to a leader, or waits for one: those beyond are refused as queue_full.
  struct Limits {
    int64_t max_webhooks = 10'000;
    int64_t max_bytes = 64 << 20;
  };

  // All of it outlives the sink.
  //   timeout  until a leader has to have answered; then it is not known whether one has stored it
  LeaderSink(LeaderRoute& route, EventSink& log, const Clock& clock, const Limits& limits,
             absl::Duration timeout);
  ~LeaderSink() override;

  void Append(std::unique_ptr<StoredEvent> event, AppendDone done) override;
  void Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) override;
  Durability durability() const override { return log_.durability(); }

  // Gives what waits for a leader to the log, which refuses it if it does not lead, and returns
  // when all that leaders were asked is answered, after the time-out at most. From then on nothing
  // waits for a leader. Harmless when repeated.
  void End() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class Handed;
  class HandedEvent;
  class HandedQuarantine;

  // Whether there is, or will be in a moment, a leader other than this replica.
  bool MayHandOn(const LeaderRoute::Target& target) const;
  void HandOn(std::unique_ptr<Handed> handed);
  // Asks the leader, or has it wait for one.
  void Try(std::unique_ptr<Handed> handed);
  void Wait(std::unique_ptr<Handed> handed);
  void NoteAnswer(std::unique_ptr<Handed> handed, absl::StatusOr<std::string> answer);
  // False: no leader could be reached for as long as a webhook waits at most.
  bool NoteReached(const absl::Status& answer, absl::Duration now) ABSL_LOCKS_EXCLUDED(mu_);
  void Answer(Handed& handed, const absl::StatusOr<std::string>& answer);
  void StoreHere(Handed& handed);
  absl::Status Enter(int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(int64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // Hands on again what waits, whenever there is news of a leader.
  void Run();
  struct Due {
    std::vector<std::unique_ptr<Handed>> again;  // there was news since they were refused
    std::vector<std::unique_ptr<Handed>> over;   // their time is over
    absl::Duration next;                         // when that of another one is
  };
  Due TakeDue(int64_t news) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction. Each does its own locking.
  LeaderRoute& route_;
  EventSink& log_;
  const Clock& clock_;
  const Limits limits_;
  const absl::Duration timeout_;

  absl::Mutex mu_;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::unique_ptr<Handed>> waiting_ ABSL_GUARDED_BY(mu_);
  // When the thread looks again without news: the earliest deadline of those that wait.
  absl::Duration wakes_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  // Since when each that was asked could not be reached; nullopt: the last one was.
  absl::optional<absl::Duration> unreached_since_ ABSL_GUARDED_BY(mu_);
  // On their way and waiting.
  int64_t webhooks_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;

  std::thread thread_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_LEADER_SINK_H_
