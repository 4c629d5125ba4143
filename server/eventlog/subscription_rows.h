// What is to be kept of a durable subscription, beside the events: a position, and the events up to
// it that are not settled. Everything else up to the position is settled.
#ifndef HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_ROWS_H_
#define HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Why an event is delivered, or is a dead letter. Stored: never change a number.
enum class DeliveryCause {
  kNew = 1,
  kNacked = 2,
  kDeadlinePassed = 3,
  kStreamEnded = 4,
  kGatewayRestarted = 5,
  kRedriven = 6,
  kConsumerDecided = 7,  // dead letters only
  kStreamLost = 8,       // the stream ended without a goodbye, and took the delivery with it
  kReplayed = 9,         // asked for again, whether it was settled or never taken
};

// How a delivery ended. Stored, and the same numbers as hookgate.v1.DeliveryEnd: never change one.
enum class DeliveryEnd {
  kAcked = 1,
  kNacked = 2,
  kDeadlinePassed = 3,
  kStreamEnded = 4,
  kStreamLost = 5,
  kGatewayRestarted = 6,
  kConsumerDecided = 7,  // a nack that asked for a dead letter
  kSeek = 8,
  kEventRemoved = 9,  // by retention
  kSettled = 10,      // an earlier delivery of the event was acked late
};

// One delivery that was handed out, and has ended.
struct DeliveryAttempt {
  int number = 0;        // as Lease::attempt
  int64_t delivery = 0;  // its number within the subscription
  std::string consumer;
  absl::Time begin;
  absl::Time end;
  DeliveryEnd how = DeliveryEnd::kAcked;
  std::string reason;  // of a nack
};

// What became of an event that was delivered. Stored: never change a number.
enum class DeliveryOutcome {
  kOpen = 0,  // nothing yet: some attempt has ended, and it comes again
  kAcked = 1,
  kDead = 2,
  kDiscarded = 3,  // was a dead letter
  kLost = 4,       // retention removed it unsettled
  kSkipped = 5,    // a seek moved the position past it while it was unsettled
};

// Something that happened to an event, to be added to its history.
struct HistoryEntry {
  Sequence sequence = 0;
  absl::Time time;
  absl::optional<DeliveryAttempt> attempt;  // that has ended
  absl::optional<DeliveryOutcome> outcome;  // nullopt: stays as it is
  absl::optional<int64_t> late_ack;         // the delivery that was acked, if it held no lease
};

// What is remembered of an event in a subscription. As the entries made it, in their order.
struct DeliveryHistory {
  // More attempts than that are only counted; and of their reasons, the newest that are so many
  // bytes together are kept.
  static constexpr size_t kMaxAttempts = 20;
  static constexpr size_t kMaxReasonBytes = 4096;

  Sequence sequence = 0;
  // The last one. Stays, when the event comes again after a seek back, until there is another.
  DeliveryOutcome outcome = DeliveryOutcome::kOpen;
  absl::Time time;       // of the last change
  std::string consumer;  // of the attempt that was acked, or of the last one; empty: not known
  int number = 0;        // of that attempt; 0: not known
  absl::Time first_delivery_time;
  absl::Time last_delivery_time;
  int64_t count = 0;                      // of all attempts
  std::vector<DeliveryAttempt> attempts;  // the newest, oldest first
};

// Why the position of a subscription is where it is, beside having moved on event by event. Stored:
// never change a number.
struct SubscriptionMove {
  enum class Kind {
    kStart = 1,     // it was created
    kSeek = 2,      // from `from` to `to`
    kFilter = 3,    // what is after `from`, which is `to`, is judged by another filter
    kLost = 4,      // retention removed what is after `from`, up to `to`, before it was read
    kUpgraded = 5,  // it is older than this table: what was before is not known
  };
  // As many are kept, the newest, and so many bytes of their settings.
  static constexpr int64_t kMaxKept = 32;
  static constexpr int64_t kMaxSettingsBytes = 1 << 20;

  Kind kind = Kind::kStart;
  Sequence from = 0;
  Sequence to = 0;
  absl::Time time;
  std::string settings;  // those with the filter from then on; of kSeek and kLost: empty
};

// What changes with deliveries.
struct SubscriptionPosition {
  Sequence position = 0;      // every event up to here that matched was taken for delivery
  int64_t last_delivery = 0;  // deliveries are numbered within the subscription
  int64_t void_delivery = 0;  // those up to here are from before the last seek
  int64_t lost = 0;           // events that retention removed unsettled
  // Of `lost`, those that were removed before the filter had judged them.
  int64_t lost_unread = 0;
  // Since the filter is what it is: events that the position has passed, and those that it
  // admitted.
  int64_t passed = 0;
  int64_t admitted = 0;
};

// What operators change, besides the settings.
struct SubscriptionControl {
  int64_t etag = 0;                       // random; another one after each change by an operator
  absl::optional<absl::Time> pause_time;  // nullopt: it is not paused
};

// An event that was taken for delivery and is not settled; or one beyond the position that was
// redriven, and comes when the position gets there.
struct UnsettledEvent {
  Sequence sequence = 0;
  int64_t bytes = 0;  // that the stream of the newest delivery was sent
  absl::Time receive_time;
  int64_t delivery = 0;  // the newest; 0: none since it was taken or redriven
  // Deliveries up to this one are from before it was asked for again: they settle nothing.
  int64_t void_delivery = 0;
  int attempts = 0;      // that have ended and count
  int lost = 0;          // deliveries that were lost with their stream, the forgiven one included
  bool leased = false;   // by `delivery`; after a restart nobody holds it any more
  std::string consumer;  // leased: who holds it
  absl::Time due;        // not leased: not before this
  absl::Duration delay;  // that made `due`, whatever the wall clock does
  DeliveryCause cause = DeliveryCause::kNew;  // of the next delivery, or of this one
  // To be written: the reason of the last nack; nullopt: as it is stored, for this event or for its
  // dead letter. LoadSubscription leaves it out: it is the one part that is not small.
  absl::optional<std::string> nack_reason;
  bool nacked = false;  // read: a reason is stored, see SubscriptionLog::LoadNackReasons
  absl::Time first_delivery_time;
  absl::Time last_delivery_time;
};

struct DeadEvent {
  Sequence sequence = 0;
  int64_t delivery = 0;
  int64_t void_delivery = 0;  // as in UnsettledEvent
  int attempts = 0;
  int lost = 0;
  DeliveryCause cause = DeliveryCause::kNacked;
  absl::optional<std::string> nack_reason;  // as in UnsettledEvent; LoadDeadLetters fills it in
  bool nacked = false;                      // as in UnsettledEvent
  int64_t bytes = 0;
  absl::Time receive_time;
  absl::Time first_delivery_time;
  absl::Time last_delivery_time;
  absl::Time dead_letter_time;
};

// A bulk job, or how far it is: see delivery/bulk_job.h.
struct StoredJob {
  int64_t id = 0;   // within the subscription
  std::string job;  // opaque here
};

// What happens to a subscription in one transaction.
struct SubscriptionChanges {
  absl::optional<SubscriptionPosition> position;
  absl::optional<std::string> settings;
  absl::optional<SubscriptionControl> control;
  bool forget_unsettled = false;          // all that were stored, before those below are
  std::vector<UnsettledEvent> unsettled;  // new, or replacing what was there
  std::vector<Sequence> settled;          // no longer there
  std::vector<DeadEvent> dead;
  std::vector<Sequence> no_longer_dead;
  std::vector<HistoryEntry> history;    // in the order in which it happened
  std::vector<SubscriptionMove> moves;  // as well
  std::vector<StoredJob> jobs;          // new, or replacing what was there
  std::vector<int64_t> forgotten_jobs;

  bool empty() const {
    return !position.has_value() && !settings.has_value() && !control.has_value() &&
           !forget_unsettled && unsettled.empty() && settled.empty() && dead.empty() &&
           no_longer_dead.empty() && history.empty() && moves.empty() && jobs.empty() &&
           forgotten_jobs.empty();
  }
};

// All that is stored of one event in one subscription, as of one commit.
struct StoredDelivery {
  Sequence sequence = 0;
  absl::optional<UnsettledEvent> unsettled;  // with its nack_reason
  absl::optional<DeadEvent> dead;            // with its nack_reason
  absl::optional<DeliveryHistory> history;
};

// The same, with what tells why there is nothing of it.
struct StoredExplanation {
  Sequence position = 0;  // of the subscription; 0 as well if there is no such subscription
  StoredDelivery delivery;
  // Those of the subscription, oldest first. Only read for an event up to the position that is
  // neither unsettled nor dead, and whose history has no outcome.
  std::vector<SubscriptionMove> moves;
};

// Which of the events of a subscription are listed.
struct DeliveryScan {
  bool newest_first = false;
  absl::optional<Sequence> after;  // continue after this one, in that direction
  bool unsettled = true;
  bool dead = true;
  bool history = true;  // those that are neither
  size_t max_events = 1024;
};

struct DeliveryScanPage {
  std::vector<StoredDelivery> deliveries;  // in the scan's direction
  absl::optional<Sequence> next;           // set if there may be more: continue after it
};

struct StoredSubscription {
  int64_t id = 0;  // never given twice
  std::string name;
  std::string settings;  // opaque here
  absl::Time create_time;
  SubscriptionPosition position;
  SubscriptionControl control;
  std::vector<UnsettledEvent> unsettled;  // by sequence, without their nack_reason
  std::vector<DeadEvent> dead;            // by sequence, without their nack_reason
  std::vector<StoredJob> jobs;            // by id
  // Of its delivery numbers, in ascending order; the last one is what this process delivers.
  std::vector<Stretch> deliveries;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_ROWS_H_
