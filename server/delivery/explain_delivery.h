// Where an event is for a durable subscription, and why. Pure.
#ifndef HOOKGATE_SERVER_DELIVERY_EXPLAIN_DELIVERY_H_
#define HOOKGATE_SERVER_DELIVERY_EXPLAIN_DELIVERY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/delivery/event_filter.h"
#include "server/delivery/subscription_state.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/subscription_rows.h"

namespace hookgate {

// As hookgate.v1.DeliveryState, with its numbers.
enum class DeliveryState {
  kFiltered = 1,
  kBeforeStart = 2,
  kSkipped = 3,
  kLost = 4,
  kNotReached = 5,
  kLeased = 6,
  kWaiting = 7,
  kAcked = 8,
  kDead = 9,
  kDiscarded = 10,
  kNotRemembered = 11,
};

// As hookgate.v1.EventDelivery, which says what each means.
struct DeliveryExplanation {
  DeliveryState state = DeliveryState::kNotRemembered;
  absl::optional<absl::Time> state_time;
  // kFiltered. kNotReached: the list of the present filter that will not admit it.
  absl::optional<FilterList> filtered_by;
  std::string consumer;
  int attempt = 0;
  absl::optional<absl::Time> until;
  absl::optional<DeliveryEnd> last_end;
  std::string reason;
  int lost_deliveries = 0;
  int64_t delivery_count = 0;
  absl::optional<absl::Time> first_delivery_time;
  // The newest, oldest first. The last one has no end yet if the event is leased.
  struct Attempt {
    int number = 0;
    std::string consumer;
    absl::Time begin;
    absl::optional<absl::Time> end;
    absl::optional<DeliveryEnd> how;
    std::string reason;
  };
  std::vector<Attempt> attempts;
};

struct ExplainInput {
  Sequence sequence = 0;
  // Null: the event is gone. Then filters cannot judge it.
  const StoredEvent* event = nullptr;
  const StoredExplanation& stored;
  // The subscription as it is in memory, where it is a little ahead of what is stored.
  Sequence position = 0;
  const EventFilter& filter;
  absl::optional<UnsettledPlace> place;
};

DeliveryExplanation ExplainDelivery(const ExplainInput& input);

// The same for an event of which something is stored: one that was delivered.
DeliveryExplanation DescribeDelivery(const StoredDelivery& stored,
                                     const absl::optional<UnsettledPlace>& place);

// Whether a seek back has an event come again that one forward had skipped. It is not skipped any
// more; every other outcome stays until there is another one.
//   is_ahead  of the position of the subscription, as that is in memory
bool ComesAgain(const StoredDelivery& stored, bool is_ahead);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_EXPLAIN_DELIVERY_H_
