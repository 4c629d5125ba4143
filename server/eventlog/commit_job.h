// What the log's writer thread does. Each job writes within its group's transaction, and is
// answered once that has been committed or has failed.
#ifndef HOOKGATE_SERVER_EVENTLOG_COMMIT_JOB_H_
#define HOOKGATE_SERVER_EVENTLOG_COMMIT_JOB_H_

#include <cstdint>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "server/eventlog/commit_statements.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/repeat_counts.h"
#include "server/eventlog/status_rows.h"
#include "server/eventlog/text_index.h"
#include "server/eventlog/webhook_index.h"

namespace hookgate {

// What one group changes, beside its rows. Starts as what is committed, becomes that when the group
// is.
struct CommitState {
  EventLogPosition position;
  int64_t last_touch = 0;  // of quarantine entries and conflicts
  std::vector<StoredEventPtr> appended;
  WebhookHashes webhooks;  // of those
  TextEntries texts;       // of those, in their order
  std::vector<Repeat> repeats;
  GroupOutcomes outcomes;
  // Called once all of this is committed, before anybody hears of it.
  std::vector<absl::AnyInvocable<void() &&>> on_commit;
  // Set with an error that is not the disk's: the group is rolled back and answered with it, and
  // others go on.
  absl::Status refusal;
  // Of a replica that leads: a record is appended, whether anything has changed or not.
  bool needs_record = false;
  // Of a replica: the schema that the cluster agrees on with this group; 0: it says nothing of
  // that.
  int agreed_schema = 0;
  // Some time has passed: what keeps the write-ahead log from beginning again may be over.
  bool try_checkpoint = false;
};

class CommitJob {
 public:
  // What a job is to other replicas of a cluster, if there is one.
  enum class Work {
    kDecides,    // only the leader may
    kTakesOver,  // what a new leader does before it decides
    kApplies,    // does what has been decided
    kLocal,      // concerns this replica alone
  };

  virtual ~CommitJob() = default;
  virtual Work work() const { return rows() == 0 ? Work::kLocal : Work::kDecides; }
  // Whether it may be answered with an error while it is still not known what becomes of it: its
  // sender comes again, and finds what was stored.
  virtual bool may_stay_unknown() const { return false; }
  // Memory that the job holds while it waits.
  virtual int64_t bytes() const = 0;
  // About how many rows it writes; 0: none, it only has a group committed.
  virtual int64_t rows() const { return 1; }
  // Whether Write, as it stands, reads or changes rows of events: then those of the jobs before it
  // are written first (EventInserts).
  virtual bool uses_events() const { return true; }
  // Writer thread, within the transaction. An error fails the whole group. Called again, with a new
  // `state`, if the group is split (CommitThread::Split): what an earlier call has noted is void.
  virtual absl::Status Write(CommitStatements& statements, CommitState& state) = 0;
  // Once: OK when what Write did is durable.
  virtual void Answer(const absl::Status& status) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_COMMIT_JOB_H_
