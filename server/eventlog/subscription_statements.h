// What the writer thread runs on the tables of durable subscriptions, prepared once.
#ifndef HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_STATEMENTS_H_
#define HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_STATEMENTS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/eventlog/subscription_rows.h"
#include "server/store/database.h"

namespace hookgate {

// Used by the writer thread alone.
class SubscriptionStatements {
 public:
  // The database outlives the statements.
  static absl::StatusOr<SubscriptionStatements> Prepare(Database& database);

  absl::StatusOr<int64_t> Count();
  absl::StatusOr<bool> Exists(int64_t id);
  // nullopt: there is none.
  absl::StatusOr<absl::optional<int64_t>> EtagOf(int64_t id);
  // The new id; 0 if there is one of this name.
  absl::StatusOr<int64_t> Insert(const StoredSubscription& subscription);
  // With all that belongs to it. False: there is none.
  absl::StatusOr<bool> Delete(int64_t id);
  absl::Status Apply(int64_t id, const SubscriptionChanges& changes);

  // The first event that some subscription has not settled, or may still want; nullopt: there are
  // no subscriptions.
  absl::StatusOr<absl::optional<Sequence>> FirstUnsettled();

 private:
  // By the sentence that each runs, in the .cc file.
  struct Prepared {
    Statement count, exists, insert, delete_subscription, delete_all_unsettled, delete_all_dead;
    Statement insert_stretch, delete_stretches;
    Statement set_position, set_settings, set_control, etag;
    Statement put_job, delete_job, delete_all_jobs;
    Statement put_unsettled, put_unsettled_rows, delete_unsettled, delete_unsettled_range;
    Statement put_dead, delete_dead;
    Statement first_unsettled;
  };

  SubscriptionStatements(Database& database, Prepared statements)
      : database_(&database), statements_(std::move(statements)) {}

  absl::Status PutUnsettled(int64_t id, absl::Span<const UnsettledEvent> events);
  absl::Status DeleteUnsettled(int64_t id, absl::Span<const Sequence> sequences);
  absl::Status PutDead(int64_t id, const DeadEvent& event);

  Database* database_;
  Prepared statements_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_STATEMENTS_H_
