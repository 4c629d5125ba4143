// Reads what a subscription is to hand out next: from memory where that has it, else from the disk.
#ifndef HOOKGATE_SERVER_DELIVERY_EVENT_FEED_H_
#define HOOKGATE_SERVER_DELIVERY_EVENT_FEED_H_

#include <cstdint>
#include <memory>
#include <set>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/delivery/read_ahead.h"
#include "server/delivery/subscription_settings.h"
#include "server/delivery/subscription_state.h"
#include "server/delivery/tail.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/subscription_log.h"

namespace hookgate {

// When an event was received.
struct Received {
  Sequence sequence = 0;
  absl::Time time;
};

// The next events that a filter admits, in order.
struct FeedPage {
  EventPage page;
  bool has_raw_bodies = false;
  Received last;  // the event that was looked at last, whether it was admitted or not
};

// What is to be read: `wanted`, or if that is empty the page after `after`.
struct FeedRequest {
  int64_t generation = 0;  // of the ReadAhead that asks: what comes is of no use to another one
  WantedEvents wanted;
  std::set<Sequence> reasons;  // those of `wanted` whose nack's reason is stored
  Sequence after = 0;
  bool include_raw_body = false;
  std::shared_ptr<const SubscriptionSettings> settings;
};

// Thread-safe: it keeps nothing between two reads.
class EventFeed {
 public:
  // Events of one page, or wanted ones of one read, and their bytes; far below the 4 MiB that a
  // gRPC client takes by default. The first comes whatever its size.
  static constexpr size_t kMaxEvents = 512;
  static constexpr int64_t kMaxBytes = 256 << 10;
  // Wanted events that are read at a time: each may take a look-up of its own.
  static constexpr size_t kMaxWanted = 128;

  // All of it outlives this. `id` is the subscription's in `store`.
  EventFeed(int64_t id, const Tail& tail, EventLog& log, SubscriptionLog& store)
      : id_(id), tail_(tail), log_(log), store_(store) {}

  // From memory, at once. nullopt: memory does not hold what comes first, so it has to be read.
  absl::optional<FeedPage> TakePage(const FeedRequest& request) const;
  absl::optional<HeldEvents> TakeWanted(const FeedRequest& request) const;

  // From the disk, with errors of it. OUT_OF_RANGE: retention has removed what comes first.
  absl::StatusOr<FeedPage> ReadPage(const FeedRequest& request) const;
  // Those that are close to each other by one read. DATA_LOSS: the log has none of them.
  absl::StatusOr<HeldEvents> ReadWanted(const FeedRequest& request) const;

  // Events that are read, or written of, at once: kMaxEvents, or fewer if the store says so.
  size_t MaxEvents() const;

 private:
  // Constant after construction.
  const int64_t id_;
  const Tail& tail_;
  EventLog& log_;
  SubscriptionLog& store_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_EVENT_FEED_H_
