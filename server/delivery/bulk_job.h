// Work on many events or dead letters of one durable subscription: deliver past events again,
// redrive or discard dead letters. What a job is asked for, how far it is, and what a step of it
// does. Pure: no I/O, no waiting; time is passed in. subscription_bulk.cc drives it.
//
// A step is a page: somebody reads it (BulkPage), and CarryOut does it to the subscription's state.
// The state's changes and the job are then stored in one transaction, so that a job goes on after a
// crash where it was, and does nothing twice:
//
//   read after job.after() ──▶ CarryOut(page) ──▶ stored together ──▶ the next page, or the end
//
//   1. A job goes through sequences in ascending order, and never back.
//   2. It ends: last_sequence is fixed when it is made. Dead letters that come later are left
//   alone,
//      also if their sequences are before that.
//   3. One that has events delivered stops when room_for_jobs() is used up, and goes on where it
//      stopped when much of it is free: new events never wait behind all of a large replay.
#ifndef HOOKGATE_SERVER_DELIVERY_BULK_JOB_H_
#define HOOKGATE_SERVER_DELIVERY_BULK_JOB_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/delivery/event_filter.h"
#include "server/delivery/subscription_state.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/subscription_rows.h"

namespace hookgate {

// Which events or dead letters a job is about. Immutable; safe from any thread.
class BulkSelection {
 public:
  static constexpr size_t kMaxReasonBytes = 1024;
  static constexpr size_t kMaxFilterBytes = 64 << 10;  // as jobs that have ended are kept

  // Of Job.kind, Job.selection and Job.subscription_filter. Errors: InvalidField, with paths below
  // `field`, which is that of the selection.
  static absl::StatusOr<std::shared_ptr<const BulkSelection>> Create(const hookgate::v1::Job& job,
                                                                     absl::string_view field);

  bool is_of_events() const { return of_events_; }
  // Of a selection of events: nothing that was received before is in it.
  absl::Time start() const { return start_; }
  // Whether MatchesLetter asks about the event.
  bool needs_event() const { return !filter_.admits_all(); }

  bool MatchesEvent(const StoredEvent& metadata) const;
  // `event`: null if retention has removed it, or if it is not asked about.
  bool MatchesLetter(const DeadEvent& letter, const StoredEvent* event) const;

 private:
  bool of_events_ = false;
  EventFilter filter_;
  EventFilter subscription_filter_;
  absl::Time start_ = absl::InfinitePast();
  absl::Time end_ = absl::InfiniteFuture();
  absl::Time made_ = absl::InfiniteFuture();
  std::set<int> causes_;  // of hookgate.v1.DeadLetter.Cause
  std::string reason_;
};

// What a job looks at in one step.
struct BulkPage {
  struct Match {
    OfferedEvent event;    // of a dead letter the sequence alone
    int64_t examined = 0;  // events or letters of the page up to this one
  };
  std::vector<Match> matching;
  int64_t examined = 0;
  Sequence scanned_to = 0;  // everything up to here was looked at; at most the job's last_sequence
};

// Not thread-safe.
class BulkJob {
 public:
  // As it was stored, or is to be made. Errors: those of BulkSelection.
  static absl::StatusOr<BulkJob> Create(hookgate::v1::Job job, absl::string_view field);
  // The same, of a row. DATA_LOSS if it cannot be read.
  static absl::StatusOr<BulkJob> Read(const StoredJob& row);
  // What is left of a row that cannot.
  static BulkJob Unreadable(int64_t id, absl::string_view why);

  const hookgate::v1::Job& proto() const { return job_; }
  // REQUIRES: it runs.
  const std::shared_ptr<const BulkSelection>& selection() const { return selection_; }
  int64_t id() const { return job_.job_id(); }
  bool running() const { return job_.state() == hookgate::v1::Job::STATE_RUNNING; }
  Sequence after() const { return job_.reached_sequence(); }
  // Whether it may take a step now. Notes it if it has to wait.
  bool MayGoOn(const SubscriptionState& state);

  // Does a page to `state`, of which `earliest` is the oldest event that the log holds. REQUIRES:
  // it runs, and the page was read after after().
  void CarryOut(const BulkPage& page, Sequence earliest, SubscriptionState& state, Instant now);
  void Cancel(absl::Time now) { End(hookgate::v1::Job::STATE_CANCELLED, now); }
  void Fail(absl::string_view why, absl::Time now);

 private:
  BulkJob(hookgate::v1::Job job, std::shared_ptr<const BulkSelection> selection)
      : job_(std::move(job)), selection_(std::move(selection)) {}

  // Whether there was something to do. False in `fits`: it has to wait for room.
  bool CarryOutOne(const OfferedEvent& event, Sequence earliest, SubscriptionState& state,
                   Instant now, bool& fits);
  void End(hookgate::v1::Job::State state, absl::Time now);

  hookgate::v1::Job job_;
  std::shared_ptr<const BulkSelection> selection_;
};

// The jobs of a subscription: one that runs, and those that have ended. Not thread-safe.
class BulkJobs {
 public:
  static constexpr size_t kMaxEnded = 20;  // that are remembered; the oldest are forgotten

  // Those of the subscription of that name. One that makes no sense as it is stored, since it is
  // damaged, has failed, which is logged: it keeps nobody from starting.
  static BulkJobs Load(absl::string_view subscription, const std::vector<StoredJob>& stored);

  // Starts `job`, which is complete but for its id, state and create_time.
  // FAILED_PRECONDITION job_running, with the metadata "job_id".
  absl::StatusOr<hookgate::v1::Job> Add(BulkJob job, absl::Time now);
  // Null: none.
  BulkJob* running();
  // NOT_FOUND job_not_found.
  absl::StatusOr<BulkJob*> Find(int64_t id);
  // Newest first, those before the id `before` alone unless that is 0; at most `max`.
  std::vector<hookgate::v1::Job> List(int64_t before, size_t max) const;

  // It has changed, and is to be stored.
  void NoteChange(const BulkJob& job) { changed_.insert(job.id()); }
  bool has_changes() const { return !changed_.empty(); }
  void TakeChanges(SubscriptionChanges& changes);

 private:
  std::map<int64_t, BulkJob> jobs_;
  std::set<int64_t> changed_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_BULK_JOB_H_
