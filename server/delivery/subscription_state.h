// Everything that a durable subscription decides: who gets which event, when again, and what ends
// as a dead letter. Pure: no gRPC, no SQLite, no waiting; time and randomness are passed in.
//
// It changes at once and says what to write (TakeChanges). Whoever drives it commits that before
// anybody hears of a lease or of an ack's result; when a commit fails it starts again from what is
// stored.
//
// An event between two places:
//
//   offered ─Assign─▶ assigned ─HandOut─▶ leased ─Ack─▶ settled
//                       ▲ │                 │ └─out of attempts or of lost deliveries, or a nack
//                       │ │not handed out   │   that asks for it─▶ dead ─Redrive─▶ waiting
//           Assign, when│ ▼                 │
//                   due waiting ◀───────────┘ nack, deadline, stream ended or lost
//
//   1. Everything up to position() is settled, dead, assigned, leased or waiting. Beyond it there
//      is nothing but dead letters from before a seek, and those of them that were redriven: they
//      wait until the position gets there, and are delivered whatever the filter admits by then.
//   2. At most one delivery of an event holds the lease: the one numbered last.
//   3. What a consumer name holds is within its limits, except that limits may be lowered below it,
//      and that one event may exceed the bytes alone.
//   4. A lease begins when it is handed out, after the commit that stored it: time that a commit
//      takes counts against nobody.
//   5. What is due and what is new take turns, so that neither keeps the other from a consumer.
//   6. An event whose deliveries were lost before is suspected of having ended its consumers. The
//      fewer losses it has left, the fewer such events a stream holds at a time; with one left, it
//      is the only one: the events beside the one that ends consumers do not become dead letters.
//
// Memory: about 150 bytes an unsettled event, 70 a dead letter; reasons of nacks are on the disk,
// and so is the history of each event, which is only added to here.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_STATE_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_STATE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/random/bit_gen_ref.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/delivery/settlement_counts.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/subscription_rows.h"

namespace hookgate {

struct DeliveryPolicy {
  absl::Duration ack_deadline = absl::Seconds(30);
  int max_attempts = 10;
  int max_lost_deliveries = 5;  // besides the first, which is forgiven
  absl::Duration minimum_backoff = absl::Seconds(1);
  absl::Duration maximum_backoff = absl::Minutes(10);
};

// Wait after the attempt numbered `attempt` has failed: uniform between the minimum and a ceiling
// that doubles with each attempt up to the maximum.
absl::Duration RedeliveryDelay(const DeliveryPolicy& policy, int attempt, absl::BitGenRef random);

struct Instant {
  absl::Time wall;           // for stamps, and for what is stored
  absl::Duration monotonic;  // for deadlines
};

struct ConsumerLimits {
  int64_t max_messages = 1000;
  int64_t max_bytes = 16 << 20;
};

// What a subscription holds at most. Of these only the leases are memory of note.
struct SubscriptionBounds {
  size_t max_leased = 100'000;
  size_t max_unsettled = 1'000'000;        // leased and waiting
  size_t max_dead_letters = 1'000'000;     // while there are so many, events are tried on instead
  size_t max_unsettled_by_jobs = 100'000;  // bulk jobs add no more while there are so many
};

// What keeps a subscription from working as one would expect.
enum class SubscriptionCondition {
  kLeasesFull,        // nothing is handed out until some lease ends
  kUnsettledFull,     // nothing new is taken until something is settled
  kDeadLettersFull,   // what is out of attempts is tried on, at the maximum back-off
  kFilterAdmitsNone,  // many events have passed the filter, and it has not admitted one
  kPaused,            // nothing is handed out until it is resumed
};

// An event that matches the filter and has not been taken.
struct OfferedEvent {
  Sequence sequence = 0;
  absl::Time receive_time;
};

// How many bytes a stream is sent of an event, with its raw body or without; nullopt: the event is
// not at hand in that form, and has to be read first.
using SizeOf = absl::FunctionRef<absl::optional<int64_t>(Sequence sequence, bool include_raw_body)>;

// What has to be at hand before it can be assigned.
struct WantedEvents {
  std::vector<Sequence> sequences;  // the most urgent first
  bool include_raw_body = false;    // one of the streams that could take them wants it
};

// Names a delivery to its consumer.
struct DeliveryId {
  Sequence sequence = 0;
  int64_t number = 0;
};

using AttachmentId = int64_t;

// A delivery to be made once it is committed.
struct Lease {
  AttachmentId stream = 0;
  DeliveryId id;
  int attempt = 1;
  int lost_deliveries = 0;  // of this event, before
  absl::Time expire_time;   // set when it is handed out
  DeliveryCause cause = DeliveryCause::kNew;
  std::string nack_reason;
  bool reason_is_stored = false;  // nack_reason is still to be read from SubscriptionLog
};

enum class AckOutcome { kOk, kAlready, kLeaseLost, kUnknown };

struct NackRequest {
  std::string reason;
  absl::optional<absl::Duration> delay;  // nullopt: the back-off
  bool dead_letter = false;
};

struct ConsumerStatus {
  std::string name;
  int streams = 0;
  int64_t messages = 0;  // in flight
  int64_t bytes = 0;
  ConsumerLimits limits;
  double ack_rate = 0;  // a second
  absl::optional<absl::Time> last_ack;
};

// Where an event is that was taken for delivery and is not settled.
struct UnsettledPlace {
  // Handed out, and its lease holds. Otherwise it waits.
  bool leased = false;
  // Not handed out yet, but about to be.
  bool assigned = false;
  std::string consumer;  // leased: who has it
  int attempt = 1;       // leased: its number; otherwise of the next one
  int lost_deliveries = 0;
  absl::Time delivery_time;                   // leased: since when
  absl::Time until;                           // when the lease ends; or not delivered before this
  DeliveryCause cause = DeliveryCause::kNew;  // of this delivery, or of the next one
  // The process ended while this consumer had it, and that is not in its history yet.
  absl::optional<DeliveryAttempt> interrupted;
};

// What retention took from a subscription.
struct Loss {
  int64_t events = 0;
  // Of these, what the filter had not judged: how many of them it would have admitted, nobody
  // knows.
  int64_t unread = 0;
};

// Not thread-safe.
class SubscriptionState {
 public:
  static constexpr size_t kMaxConsumers = 1'000;  // names, and streams
  static constexpr size_t kMaxReasonBytes = 1024;
  static constexpr absl::Duration kMinLease = absl::Seconds(5);
  static constexpr absl::Duration kMaxDelay = absl::Hours(12);
  // Fewer that pass a filter without a match say nothing about it.
  static constexpr int64_t kPassedWithoutMatch = 100;

  // As committed. Leases of before are void, and do not count.
  SubscriptionState(const StoredSubscription& stored, const DeliveryPolicy& policy, Instant now,
                    const SubscriptionBounds& bounds = {});

  void SetPolicy(const DeliveryPolicy& policy) { policy_ = policy; }
  // The filter is another one, that of `settings`, which are as they are stored: counts afresh what
  // passes it and what it admits.
  void NoteNewFilter(const std::string& settings, Instant now);

  // While it is paused Assign gives nothing, and nothing is wanted for it; all else goes on.
  void SetPaused(bool paused) { paused_ = paused; }

  // A stream of the consumer `name` is there. False: too many.
  bool Attach(AttachmentId stream, const std::string& name, const ConsumerLimits& limits,
              bool include_raw_body = false);
  // For all streams of the name.
  void SetLimits(AttachmentId stream, const ConsumerLimits& limits);
  // The stream has ended. With kStreamLost as `why`, each event that it holds was lost with it: the
  // first time it comes again at once; later ones count, and it comes after the back-off, or
  // becomes a dead letter. With another `why` it comes again at once and uncounted. With
  // `keep_leases`, what was handed out stays with the consumer's name until its deadline passes.
  void Detach(AttachmentId stream, DeliveryCause why, bool keep_leases, Instant now,
              absl::BitGenRef random);

  // The next events of the log that match, after those offered before; everything up to
  // `scanned_to` was looked at.
  void Offer(absl::Span<const OfferedEvent> events, Sequence scanned_to);
  // Forgets what was offered and not taken: read on after position().
  void ForgetOffers();
  // Where to read on.
  Sequence offered_to() const { return offered_to_; }
  // Whether a further offer could be delivered to one of `ready` now.
  bool WantsOffers(absl::Span<const AttachmentId> ready) const;
  // Whether one of `ready` could take something now; if so, whether one of those that could wants
  // raw bodies.
  absl::optional<bool> WantsRawBodies(absl::Span<const AttachmentId> ready) const;
  // What Assign could give next if it was at hand, at most `max`. None if what comes next, of what
  // is due and of what is new, is at hand already: then it is a matter of credit.
  WantedEvents Wanted(absl::Span<const AttachmentId> ready, size_t max, Instant now,
                      SizeOf size_of) const;

  // Gives what is at hand, due or new, to those of `ready` that have credit, least loaded name
  // first, at most `max_messages` and about `max_bytes` a stream. A lease counts as many bytes as
  // its stream is sent. No deadline runs before HandOut.
  std::vector<Lease> Assign(absl::Span<const AttachmentId> ready, size_t max_messages,
                            int64_t max_bytes, Instant now, SizeOf size_of);
  // The delivery goes to its consumer now: its lease begins. Returns when that ends; nullopt: it
  // holds no lease (any more), and must not go out.
  absl::optional<absl::Time> HandOut(const DeliveryId& id, Instant now);
  // A lease could not be handed over: gives it back, as if it had not been.
  void ReturnLease(const DeliveryId& id, Instant now);
  // A lease was handed out, and did not reach its consumer, or was lost with it: as Detach with
  // kStreamLost, for this one.
  void Lose(const DeliveryId& id, Instant now, absl::BitGenRef random);

  // Whether the reason of its last nack is to be read before it is delivered.
  bool HasStoredReason(Sequence sequence) const;
  // Whether this delivery is the newest of its event, assigned or leased.
  bool Holds(const DeliveryId& id) const;

  AckOutcome Ack(const DeliveryId& id, Instant now);
  AckOutcome Nack(const DeliveryId& id, const NackRequest& nack, Instant now,
                  absl::BitGenRef random);
  AckOutcome Extend(const DeliveryId& id, absl::optional<absl::Duration> deadline, Instant now);

  // Ends leases whose deadline has passed, and lets a position be stored that ran ahead for long.
  void Tick(Instant now, absl::BitGenRef random);
  // When there will be something to do that is not to be done now, on the monotonic clock: a
  // deadline, the end of a back-off, or a position to be stored.
  absl::Duration NextTick(Instant now) const;

  // Everything up to `position` is passed, and nothing is unsettled any more. What was asked for
  // again, and not delivered since, is in its history as it was before.
  void Seek(Sequence position, Instant now);
  // Whether that would change anything.
  bool MovesBySeek(Sequence position) const {
    return position != row_.position || !events_.empty();
  }
  enum class RedriveOutcome { kRedriven, kNotFound, kEventRemoved, kTooMany };
  // `earliest`: events below it have been removed by retention.
  RedriveOutcome Redrive(Sequence sequence, Sequence earliest, Instant now);
  // Puts a past event, whether it was settled or never taken, in front: it waits, and is due now. A
  // dead letter is none any more then. What is unsettled stays as it is. Deliveries from before
  // this are void from then on, also if the event becomes a dead letter (again): an ack of one that
  // comes late settles nothing, and gets kAlready.
  //   event     held by the log
  //   earliest  as for Redrive
  enum class RedeliverOutcome { kRedelivered, kNotReached, kUnsettled, kEventRemoved, kTooMany };
  RedeliverOutcome Redeliver(const OfferedEvent& event, Sequence earliest, Instant now);
  // How many events more a bulk job may put in front; and whether it may go on if it had to wait.
  size_t room_for_jobs() const;
  bool has_much_room_for_jobs() const;
  bool Discard(Sequence sequence, Instant now);
  // Retention has removed everything below `earliest`. `admits_all`: so does the filter.
  Loss DropBefore(Sequence earliest, bool admits_all, Instant now);

  // The position is among the next changes, if it has run ahead of what is stored.
  void StorePosition() { row_changed_ = row_changed_ || row_.position != stored_position_; }

  // What changed since it was last taken. Whoever takes it has committed what was taken before.
  SubscriptionChanges TakeChanges();
  // What these changes come to, in numbers; taken together with them.
  SettlementCounts TakeCounts() { return std::exchange(counts_, {}); }

  Sequence position() const { return row_.position; }
  int64_t lost() const { return row_.lost; }
  int64_t lost_unread() const { return row_.lost_unread; }
  // Since the filter is what it is.
  int64_t passed() const { return row_.passed; }
  int64_t admitted() const { return row_.admitted; }
  // Taken and not settled; without what was redriven beyond the position.
  int64_t unsettled() const { return static_cast<int64_t>(events_.size() - ahead_.size()); }
  int64_t waiting() const { return static_cast<int64_t>(events_.size()) - in_flight_; }
  int64_t in_flight() const { return in_flight_; }
  int64_t dead_letters() const { return static_cast<int64_t>(dead_.size()); }
  absl::optional<absl::Time> oldest_receive_time() const;  // of what is unsettled
  absl::optional<Sequence> oldest_unsettled() const;
  std::vector<SubscriptionCondition> conditions() const;
  std::vector<ConsumerStatus> consumers(Instant now) const;
  int64_t open_consumers() const;  // names with a stream
  bool IsDead(Sequence sequence) const { return dead_.contains(sequence); }
  // nullopt: it is settled, was not taken, or is a dead letter.
  absl::optional<UnsettledPlace> PlaceOf(Sequence sequence, Instant now) const;
  // What is not so that always is: an event that is in two places or in none, a sum that is wrong,
  // more suspicion on a stream than it may have (6). "" if all is well. Looks at all there is: for
  // tests.
  std::string BrokenInvariant() const;
  // As they will be stored, without reasons. For tests.
  absl::btree_map<Sequence, UnsettledEvent> unsettled_events() const;

 private:
  // What a stream may hold of suspicion in all. An event with one loss left weighs as much; each
  // loss more that it has left makes it a quarter.
  static constexpr int64_t kMaxSuspicion = int64_t{1} << 20;

  // Times are microseconds, wall clock's since the epoch, which is what is stored.
  struct Holder {
    AttachmentId stream = 0;  // 0: the lease is kept by the name alone
    std::string consumer;
    int64_t suspicion = 0;
  };
  enum class Place : int8_t { kAhead, kWaiting, kAssigned, kLeased };
  struct Record {
    int64_t when_us = 0;  // on the monotonic clock: deadline if leased, due if it waits
    int64_t bytes = 0;
    int64_t receive_us = 0;
    int64_t delivery = 0;
    int64_t void_delivery = 0;
    int64_t due_us = 0;
    int64_t delay_us = 0;
    int64_t first_us = 0;
    int64_t last_us = 0;
    std::unique_ptr<Holder> holder;  // while assigned or leased
    int32_t attempts = 0;
    int32_t lost = 0;
    DeliveryCause cause = DeliveryCause::kNew;
    Place place = Place::kWaiting;
    bool nacked = false;  // there is a reason: in reasons_, or stored
  };
  struct DeadRecord {
    int64_t bytes = 0;
    int64_t receive_us = 0;
    int64_t delivery = 0;
    int64_t void_delivery = 0;
    int64_t first_us = 0;
    int64_t last_us = 0;
    bool nacked = false;
  };
  struct Consumer {
    ConsumerLimits limits;
    int streams = 0;
    int64_t messages = 0;
    int64_t bytes = 0;
    double rate = 0;
    Instant last_ack;
    bool has_acked = false;
  };
  struct Stream {
    std::string consumer;
    bool include_raw_body = false;
    int64_t suspicion = 0;  // the sum of what it holds
    absl::btree_set<Sequence> leases;
  };
  // What one stream gets of one Assign.
  struct Share {
    AttachmentId stream;
    const Stream* state;
    const Consumer* consumer;
    size_t messages = 0;
    int64_t bytes = 0;
    bool held_back = false;  // saves its credit for a large one that is due
  };
  using Records = absl::btree_map<Sequence, Record>;
  using Timeline = absl::btree_set<std::pair<int64_t, Sequence>>;

  bool HasCredit(const Consumer& consumer, int64_t bytes) const;
  int64_t Suspicion(const Record& record) const;
  bool MayTakeNew() const;
  const std::pair<int64_t, Sequence>* Due(const Timeline& timeline, Instant now) const;
  // The next of what is due that somebody can take; nullopt: none.
  absl::optional<Sequence> NextDue(std::vector<Share>& shares, Instant now, size_t max_messages,
                                   SizeOf size_of) const;
  void DropKnownOffers();
  void MovePosition(Sequence to);
  Timeline& TimelineOf(const Record& record) { return record.lost > 0 ? suspects_ : waiting_; }
  void StartWaiting(Sequence sequence, Record& record);

  // Takes it from where it is: its holder, or those that wait.
  void Leave(Sequence sequence, Record& record);
  void Wait(Sequence sequence, absl::Duration delay, DeliveryCause cause, Instant now);
  // An attempt that counts has ended.
  void Fail(Sequence sequence, DeliveryCause cause, absl::optional<absl::Duration> delay,
            Instant now, absl::BitGenRef random);
  void LoseOne(Sequence sequence, Instant now, absl::BitGenRef random);
  bool MakeDeadLetter(Sequence sequence, DeliveryCause cause, Instant now);
  void PutBack(Sequence sequence, const DeadRecord& dead, DeliveryCause cause, Instant now);
  void Remove(Sequence sequence);
  void NoteAck(const std::string& consumer, Instant now);
  void ForgetIdle(const std::string& consumer);
  // kUnknown: no such delivery was ever made, or it is void; nullopt: it is to be looked for.
  absl::optional<AckOutcome> OutcomeByNumber(const DeliveryId& id) const;
  // For Nack and Extend: the record that this delivery holds, or why not.
  AckOutcome FindHeld(const DeliveryId& id, Record** held);
  Record& Dirty(Sequence sequence);
  // For the history. The delivery that holds the event ends; nothing happens if it was not handed
  // out.
  void NoteEnd(Sequence sequence, DeliveryEnd how, const std::string& reason, Instant now);
  void NoteOutcome(Sequence sequence, DeliveryOutcome outcome, Instant now);
  // Before anything else happens to an event that was leased when the process before ended.
  void NoteInterrupted(Sequence sequence);
  DeliveryAttempt InterruptedAttempt(const std::string& consumer, const Record& record) const;
  bool EraseDead(Sequence sequence);
  Lease MakeLease(Sequence sequence, AttachmentId stream, int64_t bytes, Instant now);
  UnsettledEvent RowOf(Sequence sequence, const Record& record) const;
  // The parts of BrokenInvariant.
  std::string BrokenInvariant(Sequence sequence, const Record& record) const;
  std::string BrokenOffers() const;
  std::string BrokenSums() const;

  const SubscriptionBounds bounds_;
  const absl::Time start_;
  DeliveryPolicy policy_;
  bool paused_ = false;
  SubscriptionPosition row_;
  Sequence earliest_ = 0;  // below it retention has removed everything
  Records events_;         // unsettled
  absl::btree_map<Sequence, DeadRecord> dead_;
  int64_t in_flight_ = 0;  // assigned or leased
  Timeline leases_;
  Timeline waiting_;   // of no lost deliveries
  Timeline suspects_;  // waiting, with some
  absl::btree_set<Sequence> ahead_;
  int due_in_a_row_ = 0;  // given since something new was
  absl::btree_map<std::string, Consumer> consumers_;
  absl::btree_map<AttachmentId, Stream> streams_;

  std::deque<OfferedEvent> offered_;
  Sequence offered_to_ = 0;

  bool row_changed_ = false;
  Sequence stored_position_ = 0;
  int64_t store_position_at_ = 0;  // if the position has run ahead of that
  bool forget_unsettled_ = false;
  absl::btree_set<Sequence> changed_;
  absl::btree_map<Sequence, absl::optional<DeadEvent>> dead_changed_;  // nullopt: no longer dead
  absl::btree_map<Sequence, std::string> reasons_;                     // not stored yet
  std::vector<HistoryEntry> history_;
  std::vector<SubscriptionMove> moves_;
  // Consumers that had an event when the process before ended; until something happens to it.
  absl::btree_map<Sequence, std::string> interrupted_;
  SettlementCounts counts_;  // not taken yet
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_STATE_H_
