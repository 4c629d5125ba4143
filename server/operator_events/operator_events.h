// Tells about the gateway by events: looks about once a second how it is, and appends to the log
// what an OperatorWatch decides to tell.
//
// Nothing waits for it. What the log does not take, since the disk is full, is kept, within a
// bound, and tried again at each look.
#ifndef HOOKGATE_SERVER_OPERATOR_EVENTS_OPERATOR_EVENTS_H_
#define HOOKGATE_SERVER_OPERATOR_EVENTS_OPERATOR_EVENTS_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/base/monotonic_mutex.h"
#include "server/eventlog/event_log.h"
#include "server/operator_events/operator_watch.h"
#include "server/trace/trace_context.h"

namespace hookgate {

// Shows how things are. Called by one thread at a time; may read the disk, and must not wait for a
// commit.
class OperatorProbe {
 public:
  virtual ~OperatorProbe() = default;
  // With `find_waiting` also, of those that owe nothing they have taken, whether an event waits
  // that they have not taken; otherwise `oldest` may be missing.
  virtual std::vector<SubscriptionVitals> Subscriptions(bool find_waiting) = 0;
  virtual std::vector<SourceVitals> Sources() = 0;
};

// Thread-safe.
class OperatorEvents {
 public:
  static constexpr absl::Duration kLookInterval = absl::Seconds(1);
  static constexpr absl::Duration kLastTriesInterval = absl::Milliseconds(100);
  // Events that wait to be stored. Those beyond are dropped, and a warning is logged.
  static constexpr size_t kMaxWaiting = 1000;

  // Takes a first look, with which later ones are compared, unless no type is on. All of it
  // outlives the object.
  OperatorEvents(const OperatorLimits& limits, OperatorProbe& probe, EventLog& log,
                 TraceParents& trace_parents, const Clock& clock);
  // Waits for its thread, and so for what Stop has allowed; not for appends that are under way.
  ~OperatorEvents();
  OperatorEvents(const OperatorEvents&) = delete;
  OperatorEvents& operator=(const OperatorEvents&) = delete;

  // In force from the next look on.
  void SetLimits(const OperatorLimits& limits) ABSL_LOCKS_EXCLUDED(mu_);

  // A reload was refused for these.
  void NoteFailedReload(std::vector<std::string> errors) ABSL_LOCKS_EXCLUDED(mu_);

  // Looks no more. What waits to be stored, since the disk did not take it, is tried on for at most
  // `at_most`. Does not wait; the destructor does. Harmless when repeated: the first one counts.
  void Stop(absl::Duration at_most = absl::ZeroDuration()) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // One to be stored. `in_flight`: the log has it.
  struct Waiting {
    OperatorNews news;
    EventTrace trace;
    bool in_flight = false;
  };
  // Shared with appends that are under way.
  struct Outbox;

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void Look();
  bool Keep(const OperatorNews& news);  // false: too many wait already
  void AppendWaiting();
  // Until nothing waits, or its time is over.
  void AppendRest() ABSL_LOCKS_EXCLUDED(mu_);
  OperatorTime Now() const { return {clock_.WallNow(), clock_.MonotonicNow()}; }

  // Constant after construction.
  OperatorProbe& probe_;
  EventLog& log_;
  TraceParents& trace_parents_;
  const Clock& clock_;
  const std::shared_ptr<Outbox> outbox_;

  // Touched by the constructor, and then by the thread alone.
  OperatorLimits limits_;
  OperatorWatch watch_;

  MonotonicMutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::Duration give_up_at_ ABSL_GUARDED_BY(mu_);  // once it is stopping
  absl::optional<OperatorLimits> new_limits_ ABSL_GUARDED_BY(mu_);
  std::vector<std::vector<std::string>> failed_reloads_ ABSL_GUARDED_BY(mu_);  // not noted yet

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_OPERATOR_EVENTS_OPERATOR_EVENTS_H_
