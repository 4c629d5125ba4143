// Everything that a durable subscription decides: who gets which event, when again, and what ends
// as a dead letter. Pure: no gRPC, no SQLite, no waiting; time and randomness are passed in.
//
// It changes at once and says what to write (TakeChanges). Whoever drives it commits that before
// anybody hears of a lease or of an ack's result; when a commit fails it starts anew from what is
// stored.
//
// An event between two places:
//
//   offered ─Assign─▶ leased ─Ack─▶ settled
//                     │  ▲ └─out of attempts, or a nack that asks for it─▶ dead ─Redrive─▶ waiting
//   nack, deadline,   ▼  │ Assign, once due
//   stream ended     waiting
//
//   1. Everything up to position() is settled, dead, leased or waiting; nothing beyond it is.
//   2. At most one delivery of an event holds the lease: the one numbered last.
//   3. What a consumer name holds is within its limits, except that limits may be lowered below it,
//      and that one event may exceed the bytes alone.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_STATE_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_STATE_H_

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/random/bit_gen_ref.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/subscription_rows.h"

namespace hookgate {

struct DeliveryPolicy {
  absl::Duration ack_deadline = absl::Seconds(30);
  int max_attempts = 10;
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

// An event that matches the filter and has not been taken.
struct OfferedEvent {
  Sequence sequence = 0;
  int64_t bytes = 0;
  absl::Time receive_time;
};

// Names a delivery to its consumer.
struct DeliveryId {
  Sequence sequence = 0;
  int64_t number = 0;
};

using StreamId = int64_t;

// A delivery to be made once it is committed.
struct Lease {
  StreamId stream = 0;
  DeliveryId id;
  int attempt = 1;
  absl::Time expire_time;
  DeliveryCause cause = DeliveryCause::kNew;
  std::string nack_reason;
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

// Not thread-safe.
class SubscriptionState {
 public:
  static constexpr size_t kMaxUnsettled = 10'000;
  static constexpr size_t kMaxDeadLetters = 10'000;
  static constexpr size_t kMaxConsumers = 1'000;  // names, and streams
  static constexpr size_t kMaxReasonBytes = 1024;
  static constexpr absl::Duration kMinLease = absl::Seconds(5);
  static constexpr absl::Duration kMaxDelay = absl::Hours(12);

  // As committed. Leases of before are void, and do not count.
  SubscriptionState(const StoredSubscription& stored, const DeliveryPolicy& policy, Instant now);

  void SetPolicy(const DeliveryPolicy& policy) { policy_ = policy; }

  // A stream of the consumer `name` is there. False: too many.
  bool Attach(StreamId stream, const std::string& name, const ConsumerLimits& limits);
  // For all streams of the name.
  void SetLimits(StreamId stream, const ConsumerLimits& limits);
  // The stream has ended; what it holds comes again at once and uncounted, or, with `keep_leases`,
  // when their deadline passes.
  void Detach(StreamId stream, DeliveryCause why, bool keep_leases, Instant now);

  // The next events of the log that match, after those offered before; everything up to
  // `scanned_to` was looked at.
  void Offer(absl::Span<const OfferedEvent> events, Sequence scanned_to);
  // Forgets what was offered and not taken: read on after position().
  void ForgetOffers();
  // Where to read on.
  Sequence offered_to() const { return offered_to_; }
  // Whether a further offer could be delivered to one of `ready` now.
  bool WantsOffers(absl::Span<const StreamId> ready) const;

  // Gives what is due to those of `ready` that have credit, least loaded name first, at most
  // `max_messages` and about `max_bytes` a stream.
  std::vector<Lease> Assign(absl::Span<const StreamId> ready, size_t max_messages,
                            int64_t max_bytes, Instant now);
  // A lease could not be handed over: gives it back, as if it had not been.
  void GiveBack(const DeliveryId& id, Instant now);

  // Whether this delivery is the newest of its event and its lease holds.
  bool Holds(const DeliveryId& id) const;

  AckOutcome Ack(const DeliveryId& id, Instant now);
  AckOutcome Nack(const DeliveryId& id, const NackRequest& nack, Instant now,
                  absl::BitGenRef random);
  AckOutcome Extend(const DeliveryId& id, absl::optional<absl::Duration> deadline, Instant now);

  // Ends leases whose deadline has passed.
  void Tick(Instant now, absl::BitGenRef random);
  // When there will be something to do that is not to be done now, on the monotonic clock: a
  // deadline, or the end of a back-off.
  absl::Duration NextTick(Instant now) const;

  void Seek(Sequence position);
  enum class RedriveOutcome { kRedriven, kNotFound, kEventRemoved, kTooMany };
  // `earliest`: events below it have been removed by retention.
  RedriveOutcome Redrive(Sequence sequence, Sequence earliest, Instant now);
  bool Discard(Sequence sequence);
  // Retention has removed everything below `earliest`. Returns how many unsettled events that lost.
  int64_t Overtaken(Sequence earliest);

  // What changed since it was last taken.
  SubscriptionChanges TakeChanges();

  Sequence position() const { return row_.position; }
  int64_t lost() const { return row_.lost; }
  int64_t unsettled() const { return static_cast<int64_t>(unsettled_.size()); }
  int64_t in_flight() const { return static_cast<int64_t>(leases_.size()); }
  absl::optional<absl::Time> oldest_receive_time() const;  // of what is unsettled
  std::vector<ConsumerStatus> consumers(Instant now) const;
  const absl::btree_map<Sequence, DeadEvent>& dead() const { return dead_; }
  const absl::btree_map<Sequence, UnsettledEvent>& unsettled_events() const { return stored_view_; }

 private:
  struct Consumer {
    ConsumerLimits limits;
    int streams = 0;
    int64_t messages = 0;
    int64_t bytes = 0;
    double rate = 0;
    Instant last_ack;
    bool has_acked = false;
  };
  struct Entry {
    absl::Duration when;  // on the monotonic clock: deadline if leased, due if not
    StreamId stream = 0;  // 0: none, or the lease is kept by the name alone
    std::string consumer;
  };
  using Unsettled = absl::btree_map<Sequence, Entry>;
  using Timeline = absl::btree_set<std::pair<absl::Duration, Sequence>>;

  bool HasCredit(const Consumer& consumer, int64_t bytes) const;
  void EndLease(Sequence sequence);
  void Wait(Sequence sequence, absl::Duration delay, DeliveryCause cause, Instant now);
  // An attempt that counts has ended.
  void Fail(Sequence sequence, DeliveryCause cause, absl::optional<absl::Duration> delay,
            Instant now, absl::BitGenRef random);
  bool Bury(Sequence sequence, DeliveryCause cause, Instant now);
  void Remove(Sequence sequence);
  void NoteAck(const std::string& consumer, Instant now);
  void ForgetIdle(const std::string& consumer);
  AckOutcome OutcomeOfSettled(const DeliveryId& id) const;
  UnsettledEvent& Dirty(Sequence sequence);
  Lease MakeLease(Sequence sequence, StreamId stream, Instant now);
  absl::optional<Sequence> NextDue(Instant now) const;

  DeliveryPolicy policy_;
  SubscriptionPosition row_;
  absl::btree_map<Sequence, UnsettledEvent> stored_view_;  // as it will be stored
  Unsettled unsettled_;  // the same events, and what is not stored
  absl::btree_map<Sequence, DeadEvent> dead_;
  Timeline leases_;
  Timeline waiting_;
  absl::btree_map<std::string, Consumer> consumers_;
  absl::btree_map<StreamId, std::string> streams_;

  std::deque<OfferedEvent> offered_;
  Sequence offered_to_ = 0;

  bool row_changed_ = false;
  Sequence stored_position_ = 0;
  absl::btree_set<Sequence> changed_;
  absl::btree_set<Sequence> dead_changed_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_STATE_H_
