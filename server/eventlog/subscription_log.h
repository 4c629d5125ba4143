// Where durable subscriptions are kept: beside the events, written by the same writer, so that a
// subscription never knows of an event that the log has not.
#ifndef HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_LOG_H_
#define HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_LOG_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/eventlog/subscription_rows.h"

namespace hookgate {

// Thread-safe.
class SubscriptionLog {
 public:
  // Runs once, when the outcome is durable, on the log's writer thread (or at once on the caller's,
  // if refused): it must be quick.
  using Done = absl::AnyInvocable<void(absl::Status) &&>;

  // How many there may be.
  static constexpr int64_t kMaxSubscriptions = 1000;

  static constexpr size_t kMostEventsPerWrite = 512;

  virtual ~SubscriptionLog() = default;

  // All of them, by name.
  virtual absl::StatusOr<std::vector<StoredSubscription>> LoadSubscriptions() = 0;
  // NOT_FOUND subscription_not_found.
  virtual absl::StatusOr<StoredSubscription> LoadSubscription(int64_t id) = 0;

  // Those after the sequence `after`, by sequence, at most `max`, as committed.
  virtual absl::StatusOr<std::vector<DeadEvent>> LoadDeadLetters(int64_t id, Sequence after,
                                                                 size_t max) = 0;
  // Of the last nack of each of these unsettled events or dead letters, as committed; empty if
  // there was none.
  virtual absl::StatusOr<std::vector<std::string>> LoadNackReasons(
      int64_t id, const std::vector<Sequence>& sequences) = 0;

  // Of the event `sequence` in each of these subscriptions, in their order, all as of one commit.
  virtual absl::StatusOr<std::vector<StoredExplanation>> ExplainEvent(
      Sequence sequence, const std::vector<int64_t>& ids) = 0;
  // The events of a subscription that were delivered, by sequence, as of one commit.
  virtual absl::StatusOr<DeliveryScanPage> ScanDeliveries(int64_t id, const DeliveryScan& scan) = 0;

  // Makes one at `position`; `done` gets its id, as Done.
  // ALREADY_EXISTS subscription_exists; RESOURCE_EXHAUSTED too_many_subscriptions; UNAVAILABLE as
  // EventLog::Append.
  using IdDone = absl::AnyInvocable<void(absl::StatusOr<int64_t>) &&>;
  virtual void CreateSubscription(const std::string& name, const std::string& settings,
                                  absl::Time create_time, Sequence position, IdDone done) = 0;

  // About how many events one WriteSubscription is best about now: all that is written goes through
  // one transaction after the other, and while webhooks come, each waits for the one under way.
  // Never blocks.
  virtual size_t EventsPerWrite() const { return kMostEventsPerWrite; }

  // All of `changes` or nothing. Callers have one write of a subscription under way at a time,
  // which is what bounds them: none is refused because the queue is full. NOT_FOUND
  // subscription_not_found (nothing was written); UNAVAILABLE store_unavailable as
  // EventLog::Append.
  virtual void WriteSubscription(int64_t id, std::unique_ptr<const SubscriptionChanges> changes,
                                 Done done) = 0;

  // Forgets it, with all that it owes and its dead letters; what is remembered of its deliveries
  // goes later, in steps, and cannot be read meanwhile. With `etag`, only if that is the stored
  // one: ABORTED etag_mismatch otherwise. NOT_FOUND subscription_not_found; UNAVAILABLE as
  // EventLog::Append.
  virtual void DeleteSubscription(int64_t id, absl::optional<int64_t> etag, Done done) = 0;
};

// NOT_FOUND subscription_not_found.
absl::Status SubscriptionNotFound(absl::string_view name);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_LOG_H_
