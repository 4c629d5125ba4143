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

// An event that was taken for delivery and is not settled; or one beyond the position that was
// redriven, and comes when the position gets there.
struct UnsettledEvent {
  Sequence sequence = 0;
  int64_t bytes = 0;  // that the stream of the newest delivery was sent
  absl::Time receive_time;
  int64_t delivery = 0;  // the newest; 0: none since it was taken or redriven
  int attempts = 0;      // that have ended and count
  int lost = 0;          // deliveries that were lost with their stream, the forgiven one included
  bool leased = false;   // by `delivery`; after a restart nobody holds it any more
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

// What happens to a subscription in one transaction.
struct SubscriptionChanges {
  absl::optional<SubscriptionPosition> position;
  absl::optional<std::string> settings;
  bool forget_unsettled = false;          // all that were stored, before those below are
  std::vector<UnsettledEvent> unsettled;  // new, or replacing what was there
  std::vector<Sequence> settled;          // no longer there
  std::vector<DeadEvent> dead;
  std::vector<Sequence> no_longer_dead;

  bool empty() const {
    return !position.has_value() && !settings.has_value() && !forget_unsettled &&
           unsettled.empty() && settled.empty() && dead.empty() && no_longer_dead.empty();
  }
};

struct StoredSubscription {
  int64_t id = 0;  // never given twice
  std::string name;
  std::string settings;  // opaque here
  absl::Time create_time;
  SubscriptionPosition position;
  std::vector<UnsettledEvent> unsettled;  // by sequence, without their nack_reason
  std::vector<DeadEvent> dead;            // by sequence, without their nack_reason
  // Of its delivery numbers, in ascending order; the last one is what this process delivers.
  std::vector<Stretch> deliveries;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_ROWS_H_
