// One durable subscription at work: drives its SubscriptionState, which decides, and keeps what
// that decides in the log before anybody hears of it.
//
//   receivers ── acks ──▶ state ── changes ──▶ log
//   receivers ◀── results, deliveries ── committed ──┘
//
// What comes in while one commit is under way goes into the next: so acks are grouped, and there is
// never more than one write of a subscription. When a commit fails, what the state has decided
// since the last one is void: every receiver is told to come again, and the state starts again from
// what is stored.
//
// A *turn* is one step of that: look at the clock, assign what is at hand, commit. Then it is the
// others' turn: whoever has more to do queues behind them. A turn never waits for the disk; what
// has to be read is read meanwhile, a page at a time, in the ReadQueue, where each subscription
// queues behind the others as well. A subscription for which there is nothing to do has neither,
// and no thread looks at it.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/base/executor.h"
#include "server/delivery/bulk_job.h"
#include "server/delivery/delivery_id.h"
#include "server/delivery/event_feed.h"
#include "server/delivery/explain_delivery.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/read_ahead.h"
#include "server/delivery/read_queue.h"
#include "server/delivery/settlement_counts.h"
#include "server/delivery/subscription_metrics.h"
#include "server/delivery/subscription_settings.h"
#include "server/delivery/subscription_state.h"
#include "server/delivery/tail.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/subscription_log.h"

namespace hookgate {

// What subscriptions work with. All of it outlives them.
struct SubscriptionContext {
  SubscriptionLog& store;
  EventLog& log;
  const Tail& tail;
  HeadWatch& watch;
  Executor& executor;  // for turns: nothing that blocks
  ReadQueue& reads;
  const Clock& clock;
  SubscriptionBounds bounds = {};
  SubscriptionMetricsPool* metrics = nullptr;  // null: nothing is counted
};

// A lease that is durable, with its event.
struct Delivery {
  Lease lease;
  StoredEventPtr event;
};

// Who takes deliveries: an open stream, or a pull that waits. Called on any thread, with no lock
// held; must not block.
class Receiver {
 public:
  virtual ~Receiver() = default;
  // Once; then no more before Subscription::Ready.
  virtual void OnDeliveries(std::vector<Delivery> deliveries) = 0;
  // The subscription is done with this receiver, and has given its leases back: the subscription
  // was deleted (NOT_FOUND), or the disk fails (UNAVAILABLE).
  virtual void OnEnd(const absl::Status& status) = 0;
};

// One item of Ack, Nack or Extend.
struct AckItem {
  enum class Kind { kAck, kNack, kExtend };
  Kind kind = Kind::kAck;
  absl::optional<DeliveryId> id;  // nullopt: none of this subscription
  NackRequest nack;
  absl::optional<absl::Duration> deadline;  // of kExtend; nullopt: the subscription's
};

// Which events of a subscription are listed: those that were delivered to it.
struct DeliveryQuery {
  bool newest_first = true;
  absl::optional<Sequence> after;  // continue after this one, in that direction
  // Empty: all but those in which an event was never delivered, which cannot be listed.
  std::set<DeliveryState> states;
  std::string reason_contains;  // of the last nack; empty: any
  std::string consumer;         // as DeliveryExplanation has it; empty: any
  size_t max_events = 50;
};

struct ListedDelivery {
  Sequence sequence = 0;
  DeliveryExplanation explanation;
};

struct DeliveryPage {
  std::vector<ListedDelivery> deliveries;
  absl::optional<Sequence> next;  // set if there may be more: continue after it
};

struct Backlog {
  int64_t events = 0;
  absl::optional<absl::Duration> oldest_unacked_age;  // nullopt: none, or not known yet
  int64_t lost = 0;
  int64_t lost_unread = 0;  // of `lost`: removed before the filter had judged them
};

// What a scrape says of a subscription.
struct SubscriptionGauges {
  int64_t backlog = 0;                                // as Backlog::events
  absl::optional<absl::Duration> oldest_unacked_age;  // as Backlog's
  int64_t in_flight = 0;
  int64_t awaiting_redelivery = 0;
  int64_t dead_letters = 0;
  int64_t consumers = 0;  // names with an open stream
  bool paused = false;
};

struct SubscriptionStatus {
  hookgate::v1::SubscriptionSettings settings;
  Sequence position = 0;
  int64_t in_flight = 0;
  int64_t awaiting_redelivery = 0;
  int64_t dead_letters = 0;
  int64_t passed = 0;    // since the filter is what it is
  int64_t admitted = 0;  // of these
  std::vector<SubscriptionCondition> conditions;
  std::vector<ConsumerStatus> consumers;
  absl::optional<absl::Time> pause_time;  // nullopt: it is not paused
  std::string etag;
};

// How it goes, for one who looks again and again.
struct SubscriptionPulse {
  struct Dead {
    Sequence sequence = 0;
    DeliveryCause cause = DeliveryCause::kNacked;
    absl::Time time;
  };
  // What has become a dead letter since the look before; the newest last.
  std::vector<Dead> new_dead;
  int64_t more_dead = 0;  // before these, of which no more than their number is known
  int64_t dead_letters = 0;
  int64_t lost = 0;
  // Events that left what it owes, since it is in memory; a seek counts as one.
  int64_t settled = 0;
  Sequence position = 0;
  absl::optional<Sequence> oldest_unsettled;
  int64_t backlog = 0;
  int64_t consumers = 0;  // names with an open stream
  std::shared_ptr<const SubscriptionSettings> settings;
};

// Thread-safe. No call blocks but those that say that they read the log or the disk. Callbacks run
// once, on an executor's thread or on the caller's, when what they say is durable; errors are
// NOT_FOUND subscription_not_found (deleted) and UNAVAILABLE store_unavailable (nothing was
// changed).
class Subscription final : public HeadWatch::Waiter,
                           public std::enable_shared_from_this<Subscription> {
 public:
  template <typename T>
  using Done = absl::AnyInvocable<void(absl::StatusOr<T>) &&>;
  struct Decided {};  // nothing more to say than that

  // DATA_LOSS if what is stored makes no sense.
  static absl::StatusOr<std::shared_ptr<Subscription>> Create(const StoredSubscription& stored,
                                                              const SubscriptionContext& context);

  int64_t id() const { return id_; }
  const std::string& name() const { return name_; }
  absl::Time create_time() const { return create_time_; }
  const EventLogHistory& history() const { return context_.log.history(); }
  const DeliveryIds& delivery_ids() const { return delivery_ids_; }

  // `receiver` takes deliveries as the consumer `name`, from now until Detach or its OnEnd.
  // RESOURCE_EXHAUSTED too_many_consumers, and as callbacks.
  absl::StatusOr<AttachmentId> Attach(const std::string& name, const ConsumerLimits& limits,
                                      bool include_raw_body, std::shared_ptr<Receiver> receiver);
  void SetLimits(AttachmentId stream, const ConsumerLimits& limits);
  // What OnDeliveries brought has been passed on.
  void Ready(AttachmentId stream);
  // Has `none` called with OK once a turn that began after this call has found nothing to give the
  // stream, having looked through all that the log held then; or with the error that kept it from
  // looking. Never, if deliveries or OnEnd come first, or the stream is detached.
  using None = absl::AnyInvocable<void(const absl::Status&) &&>;
  void TellIfNone(AttachmentId stream, None none);
  // Nothing more is handed out to it; what it holds, it holds until Detach.
  void StopDeliveries(AttachmentId stream);
  // `why` and `keep_leases` as in SubscriptionState. Harmless when repeated.
  void Detach(AttachmentId stream, DeliveryCause why, bool keep_leases);
  // These were handed out, and their consumer was lost before it had them.
  void Lose(const std::vector<DeliveryId>& ids);

  // One outcome an item, in their order.
  void Settle(std::vector<AckItem> items, Done<std::vector<AckOutcome>> done);

  // What operators change. With an `etag` other than "", only if it is the one that GetStatus
  // shows: ABORTED etag_mismatch otherwise, with the metadata "etag", and nothing is changed.
  //
  // `change` makes the new settings of those in force, or says why it cannot; it is called at once.
  using SettingsChange = absl::FunctionRef<absl::StatusOr<SubscriptionSettings>(
      const hookgate::v1::SubscriptionSettings& current)>;
  // Settings that are those in force, and a seek to where the position is with nothing unsettled,
  // change nothing, and leave the etag as it is.
  void Update(SettingsChange change, Done<Decided> done, absl::string_view etag = "");
  void Seek(Sequence position, Done<Decided> done, absl::string_view etag = "");
  // Nothing is handed out from before `done` until it is resumed. Harmless when repeated.
  void Pause(Done<Decided> done, absl::string_view etag = "");
  void Resume(Done<Decided> done, absl::string_view etag = "");

  // That events were looked at which the filter does not admit is stored late, as nobody waits for
  // it. For who ends the process, or hands the log on: after that, what comes next would look at
  // them again, by the filter of then.
  void StorePosition(Done<Decided> done);
  // The etag as it is stored, if `etag` is the one in force. Errors as above.
  absl::StatusOr<int64_t> CheckEtag(absl::string_view etag);
  // The error of the others.
  absl::Status EtagMismatch();

  using RedriveOutcome = SubscriptionState::RedriveOutcome;
  void Redrive(std::vector<Sequence> sequences, Done<std::vector<RedriveOutcome>> done);
  // Whether there was such a dead letter.
  void Discard(std::vector<Sequence> sequences, Done<std::vector<bool>> done);

  using RedeliverOutcome = SubscriptionState::RedeliverOutcome;
  // One outcome a sequence. nullopt: the subscription's filter does not admit it, or with
  // `include_not_admitted` not even its sources do. Reads the log; its errors.
  void Redeliver(const std::vector<Sequence>& sequences, bool include_not_admitted,
                 Done<std::vector<absl::optional<RedeliverOutcome>>> done);

  // Bulk jobs: see bulk_job.h. `job` has a kind and a selection; the rest is filled in. Errors:
  // InvalidField below "selection"; and those of BulkJobs::Add.
  void StartJob(hookgate::v1::Job job, Done<hookgate::v1::Job> done);
  // What it would be about. Reads the log; its errors.
  absl::StatusOr<hookgate::v1::SelectionPreview> PreviewJob(hookgate::v1::Job job);
  // NOT_FOUND job_not_found.
  void CancelJob(int64_t id, Done<hookgate::v1::Job> done);
  absl::StatusOr<hookgate::v1::Job> FindJob(int64_t id);
  // As BulkJobs::List.
  std::vector<hookgate::v1::Job> ListJobs(int64_t before, size_t max);

  SubscriptionStatus GetStatus();
  // As in GetStatus, at less cost.
  Sequence position();
  Sequence head() const { return context_.log.Position().head; }  // of the log
  hookgate::v1::EventFilter filter();
  absl::optional<absl::Time> pause_time();  // nullopt: it is not paused
  std::vector<SubscriptionCondition> Conditions();
  // As committed, but for `lost` and `oldest_unsettled`. For one caller.
  SubscriptionPulse TakePulse();
  // Those after `after`, by sequence, at most `max`, as committed. Reads the disk; its errors.
  absl::StatusOr<std::vector<DeadEvent>> DeadLetters(Sequence after, size_t max);
  // Where an event is, and why: of what is stored of it, and of its metadata, which are null if the
  // log does not hold it any more. Never blocks.
  DeliveryExplanation Explain(Sequence sequence, const StoredEvent* event,
                              const StoredExplanation& stored);
  // Reads that first; errors of the disk.
  absl::StatusOr<DeliveryExplanation> Explain(Sequence sequence, const StoredEvent* event);
  // Looks at 1,024 events at most: a page may be empty, and have more behind it. Reads the disk;
  // its errors.
  absl::StatusOr<DeliveryPage> ListDeliveries(const DeliveryQuery& query);
  // Never blocks: how old the oldest event is may not be known at once; the next call knows.
  Backlog GetBacklog();
  // Reads the log for that.
  Backlog ReadBacklog();
  // For a log whose newest event is `head`. Like GetBacklog; in addition, it takes no lock that a
  // commit of the log takes. nullopt: the subscription is not counted.
  absl::optional<SubscriptionGauges> GetGauges(Sequence head);

  // Has looked up in the background what GetGauges needs, so that the next scrape knows it: for
  // when nobody reads on for consumers.
  void PrepareGauges();

  // Ends every receiver with `status`, and answers all calls with it from now on.
  void Close(const absl::Status& status);
  // Until no work is under way. After Close, none will be.
  void WaitUntilIdle();

  // Looks whether there is something to do: retention may have removed what was not settled.
  void Wake() override;

 private:
  struct Stream {
    std::shared_ptr<Receiver> receiver;
    bool include_raw_body = false;
    bool ready = true;
    bool stopped = false;
    None none;             // to be told
    bool is_seen = false;  // this turn has begun since it asked for that
  };
  // An Extend whose result has not been told: it holds from then on.
  struct Extension {
    DeliveryId id;
    absl::optional<absl::Duration> deadline;
  };
  using Answer = absl::AnyInvocable<void(const absl::Status&) &&>;
  // What one commit lets out.
  struct Batch {
    std::vector<Delivery> deliveries;
    std::vector<Answer> answers;
    std::vector<Extension> extensions;
    int64_t dead_letters = 0;
    std::vector<SubscriptionPulse::Dead> new_dead;
    int64_t settled = 0;
    SettlementCounts counts;
    absl::optional<BulkJobs> jobs;  // if any of them has changed
    ReadQueue::Ticket ticket;       // of what `deliveries` hold
  };

  Subscription(const StoredSubscription& stored, SubscriptionSettings settings, BulkJobs jobs,
               const SubscriptionContext& context);

  Instant Now() const;
  void Schedule() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Calls `decide`, which returns what `done` is to get once that is durable.
  template <typename Decision, typename Outcome>
  void Decide(const Decision& decide, Done<Outcome> done) ABSL_LOCKS_EXCLUDED(mu_);
  AckOutcome SettleOne(const AckItem& item, Instant now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string EtagNow() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::Status MatchEtag(absl::string_view etag) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void NoteOperatorChange() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetPaused(bool paused, Done<Decided> done, absl::string_view etag) ABSL_LOCKS_EXCLUDED(mu_);

  // The turn: one thread at a time is in Advance, or a commit or a Reload is under way instead. All
  // of these need it.
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);
  void QueueForTurn();
  void ExpireAndTrim() ABSL_LOCKS_EXCLUDED(mu_);
  void ReadOn() ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<Delivery> TakeDeliveries() ABSL_LOCKS_EXCLUDED(mu_);
  void TellWhoGetsNone() ABSL_LOCKS_EXCLUDED(mu_);
  bool Commit(std::vector<Delivery> deliveries) ABSL_LOCKS_EXCLUDED(mu_);  // true: under way
  void OnCommitted(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  void ReleaseCommitted(Batch batch) ABSL_LOCKS_EXCLUDED(mu_);
  void NotePulse(const Batch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ResetAfterFailedCommit(const absl::Status& why, Batch batch) ABSL_LOCKS_EXCLUDED(mu_);
  void Reload() ABSL_LOCKS_EXCLUDED(mu_);  // where reading may block
  bool LoadStored() ABSL_LOCKS_EXCLUDED(mu_);
  void EndTurn() ABSL_LOCKS_EXCLUDED(mu_);
  void WarnOfConditions() ABSL_LOCKS_EXCLUDED(mu_);
  bool Rest() ABSL_LOCKS_EXCLUDED(mu_);  // false: there is more to do, and the turn goes on

  // Reading, from memory in a turn, or beside the turns.
  absl::optional<FeedRequest> NextRead() ABSL_LOCKS_EXCLUDED(mu_);
  bool ReadFromTail(const FeedRequest& request)
      ABSL_LOCKS_EXCLUDED(mu_);  // false: not all is there
  void ReadFromLog(const FeedRequest& request, ReadQueue::Ticket ticket) ABSL_LOCKS_EXCLUDED(mu_);
  void Offer(const FeedRequest& request, const FeedPage& page) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // As SizeOf.
  absl::optional<int64_t> SizeOfHeld(Sequence sequence, bool include_raw_body) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  const HeldEvent* FindHeld(Sequence sequence, bool include_raw_body) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Whether something has to be read before what comes next can be given.
  bool WantsRead(absl::Span<const AttachmentId> ready) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::optional<absl::Time> ReceiveTimeOf(Sequence sequence);
  // The same, as far as it is known without the log and the tail; otherwise it is looked up for the
  // next time, and `look_up` says so.
  absl::optional<absl::Time> KnownReceiveTime(Sequence sequence, bool& look_up)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PostLookUp(Sequence sequence);
  void LookUpOldest(Sequence sequence) ABSL_LOCKS_EXCLUDED(mu_);

  // Bulk jobs (subscription_bulk.cc): a page is read beside the turns; what comes of it is
  // committed by the next one.
  absl::StatusOr<BulkJob> CompleteJob(hookgate::v1::Job job, Sequence head) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  bool JobIsDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ContinueJob() ABSL_LOCKS_EXCLUDED(mu_);
  // Of the job `id`, after `after`.
  struct JobStep {
    int64_t id = 0;
    std::shared_ptr<const BulkSelection> selection;
    Sequence after = 0;
    Sequence last = 0;
  };
  void TakeJobStep(const JobStep& step) ABSL_LOCKS_EXCLUDED(mu_);
  void TakePage(const absl::StatusOr<BulkPage>& page, Sequence earliest, BulkJob& job)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<BulkPage> ReadJobPage(const JobStep& step);
  absl::StatusOr<BulkPage> ReadPastEvents(const JobStep& step);
  absl::StatusOr<BulkPage> ReadDeadLetters(const JobStep& step);
  // Without envelope and raw body; nullopt: the log has none (any more).
  absl::StatusOr<absl::optional<StoredEvent>> ReadMetadata(Sequence sequence);

  std::vector<AttachmentId> ReadyStreams() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void DiscardReadAhead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<std::shared_ptr<Receiver>> TakeReceivers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const int64_t id_;
  const std::string name_;
  const absl::Time create_time_;
  const SubscriptionContext context_;
  const DeliveryIds delivery_ids_;
  const EventFeed feed_;

  mutable absl::Mutex mu_;
  absl::BitGen random_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const SubscriptionSettings> settings_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<SubscriptionState> state_ ABSL_GUARDED_BY(mu_);
  absl::Status refusal_ ABSL_GUARDED_BY(mu_);  // of everything, until Reload succeeds
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::map<AttachmentId, Stream> streams_ ABSL_GUARDED_BY(mu_);
  AttachmentId last_stream_ ABSL_GUARDED_BY(mu_) = 0;
  ReadAhead read_ahead_ ABSL_GUARDED_BY(mu_);
  bool reading_ ABSL_GUARDED_BY(mu_) = false;      // a page, or what the state wants
  bool looking_up_ ABSL_GUARDED_BY(mu_) = false;   // when the oldest event was received
  bool behind_ ABSL_GUARDED_BY(mu_) = false;       // the last page was read from the disk
  ReadQueue::Ticket ticket_ ABSL_GUARDED_BY(mu_);  // of what was read last, until it is committed
  Received oldest_ ABSL_GUARDED_BY(mu_);           // as looked up last
  Received scanned_ ABSL_GUARDED_BY(mu_);          // the event looked at last
  absl::Duration retry_at_ ABSL_GUARDED_BY(mu_);   // reading failed: not before this
  Instant assigned_at_ ABSL_GUARDED_BY(mu_);       // when what was due was given out last
  absl::optional<std::string> new_settings_ ABSL_GUARDED_BY(mu_);  // not stored yet
  SubscriptionControl control_ ABSL_GUARDED_BY(mu_);
  bool control_changed_ ABSL_GUARDED_BY(mu_) = false;  // and not stored yet
  BulkJobs jobs_ ABSL_GUARDED_BY(mu_);
  BulkJobs told_jobs_ ABSL_GUARDED_BY(mu_);        // as committed: what FindJob and ListJobs tell
  bool job_reading_ ABSL_GUARDED_BY(mu_) = false;  // a page for the job that runs
  absl::Duration job_retry_at_ ABSL_GUARDED_BY(mu_);        // reading one failed: not before this
  std::vector<Answer> answers_ ABSL_GUARDED_BY(mu_);        // for the next commit
  std::vector<Extension> extensions_ ABSL_GUARDED_BY(mu_);  // for the next commit
  Batch batch_ ABSL_GUARDED_BY(mu_);                        // of the commit under way
  bool turn_taken_ ABSL_GUARDED_BY(mu_) = false;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;      // while the turn was taken
  absl::Duration warn_at_ ABSL_GUARDED_BY(mu_);  // of conditions: not before this
  int64_t dead_letters_ ABSL_GUARDED_BY(mu_);    // as committed: those that DeadLetters finds
  // As committed, for TakePulse.
  std::deque<SubscriptionPulse::Dead> new_dead_ ABSL_GUARDED_BY(mu_);
  int64_t more_dead_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t settled_ ABSL_GUARDED_BY(mu_) = 0;
  // Null: it is not counted, or was deleted.
  std::shared_ptr<SubscriptionMetrics> metrics_ ABSL_GUARDED_BY(mu_);
};

template <typename Decision, typename Outcome>
void Subscription::Decide(const Decision& decide, Done<Outcome> done) {
  absl::Status refusal;
  {
    absl::MutexLock lock(&mu_);
    Schedule();
    refusal = refusal_;
    if (refusal.ok()) {
      answers_.push_back(
          [outcome = decide(), done = std::move(done)](const absl::Status& status) mutable {
            if (status.ok()) {
              std::move(done)(std::move(outcome));
            } else {
              std::move(done)(status);
            }
          });
      return;
    }
  }
  std::move(done)(refusal);
}

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_H_
