#include "server/eventlog/subscription_statements.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/eventlog/rows_at_once.h"

namespace hookgate {
namespace {

constexpr char kCount[] = "SELECT count(*) FROM subscriptions";
constexpr char kExists[] = "SELECT 1 FROM subscriptions WHERE id = ?1";
constexpr char kInsert[] = R"sql(
INSERT INTO subscriptions (name, settings, create_time_us, position, last_delivery, void_delivery,
                           lost, lost_unread, passed, admitted)
VALUES (?1, ?2, ?3, ?4, 0, 0, 0, 0, 0, 0)
ON CONFLICT (name) DO NOTHING RETURNING id)sql";
constexpr char kDeleteSubscription[] = "DELETE FROM subscriptions WHERE id = ?1";
constexpr char kDeleteAllUnsettled[] = "DELETE FROM unsettled_events WHERE subscription = ?1";
constexpr char kDeleteAllDead[] = "DELETE FROM dead_letters WHERE subscription = ?1";
constexpr char kInsertStretch[] =
    "INSERT INTO delivery_stretches (subscription, first_delivery, mark) VALUES (?1, ?2, ?3)";
constexpr char kDeleteStretches[] = "DELETE FROM delivery_stretches WHERE subscription = ?1";

constexpr char kSetPosition[] = R"sql(
UPDATE subscriptions SET position = ?2, last_delivery = ?3, void_delivery = ?4, lost = ?5,
                         lost_unread = ?6, passed = ?7, admitted = ?8
WHERE id = ?1)sql";
constexpr char kSetSettings[] = "UPDATE subscriptions SET settings = ?2 WHERE id = ?1";
constexpr char kSetControl[] =
    "UPDATE subscriptions SET etag = ?2, pause_time_us = ?3 WHERE id = ?1";
constexpr char kPutJob[] =
    "INSERT OR REPLACE INTO bulk_jobs (subscription, id, job) VALUES (?1, ?2, ?3)";
constexpr char kDeleteJob[] = "DELETE FROM bulk_jobs WHERE subscription = ?1 AND id = ?2";
constexpr char kDeleteAllJobs[] = "DELETE FROM bulk_jobs WHERE subscription = ?1";
constexpr char kEtag[] = "SELECT etag FROM subscriptions WHERE id = ?1";

// A reason that is not given stays what it is, also when an event becomes a dead letter or is
// redriven: see Apply.
constexpr char kIntoUnsettled[] = R"sql(
INSERT INTO unsettled_events (
  subscription, sequence, bytes, receive_time_us, delivery, attempts, leased, due_us, delay_us,
  cause, nack_reason, first_delivery_time_us, last_delivery_time_us, lost, consumer,
  void_delivery)
VALUES )sql";
constexpr int kUnsettledParameters = 16;
constexpr char kPutUnsettled[] = R"sql( (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
        coalesce(?11, (SELECT nack_reason FROM dead_letters
                       WHERE subscription = ?1 AND sequence = ?2), ''),
        ?12, ?13, ?14, ?15, ?16)
ON CONFLICT (subscription, sequence) DO UPDATE SET
  bytes = ?3, receive_time_us = ?4, delivery = ?5, attempts = ?6, leased = ?7, due_us = ?8,
  delay_us = ?9, cause = ?10, nack_reason = coalesce(?11, nack_reason),
  first_delivery_time_us = ?12, last_delivery_time_us = ?13, lost = ?14, consumer = ?15,
  void_delivery = ?16)sql";
// kRowsAtOnce of them, all of which are given their reason.
constexpr char kPutUnsettledRows[] = R"sql(
ON CONFLICT (subscription, sequence) DO UPDATE SET
  bytes = excluded.bytes, receive_time_us = excluded.receive_time_us,
  delivery = excluded.delivery, attempts = excluded.attempts, leased = excluded.leased,
  due_us = excluded.due_us, delay_us = excluded.delay_us, cause = excluded.cause,
  nack_reason = excluded.nack_reason, first_delivery_time_us = excluded.first_delivery_time_us,
  last_delivery_time_us = excluded.last_delivery_time_us, lost = excluded.lost,
  consumer = excluded.consumer, void_delivery = excluded.void_delivery)sql";
constexpr char kDeleteUnsettled[] =
    "DELETE FROM unsettled_events WHERE subscription = ?1 AND sequence = ?2";
constexpr char kDeleteUnsettledRange[] =
    "DELETE FROM unsettled_events WHERE subscription = ?1 AND sequence BETWEEN ?2 AND ?3";
constexpr char kPutDead[] = R"sql(
INSERT OR REPLACE INTO dead_letters (
  subscription, sequence, bytes, receive_time_us, delivery, attempts, cause, nack_reason,
  first_delivery_time_us, last_delivery_time_us, dead_letter_time_us, lost, void_delivery)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,
        coalesce(?8, (SELECT nack_reason FROM unsettled_events
                      WHERE subscription = ?1 AND sequence = ?2), ''),
        ?9, ?10, ?11, ?12, ?13))sql";
constexpr char kDeleteDead[] = "DELETE FROM dead_letters WHERE subscription = ?1 AND sequence = ?2";

// One that was redriven may be after its subscription's position. The least of each is found by the
// primary key, so this costs a step a subscription.
constexpr char kFirstUnsettled[] = R"sql(
SELECT min(min(position + 1, coalesce(
  (SELECT min(sequence) FROM unsettled_events WHERE subscription = subscriptions.id),
  position + 1)))
FROM subscriptions HAVING count(*) > 0)sql";

int64_t Micros(absl::Time time) { return absl::ToUnixMicros(time); }

// What is not bound is NULL.
void BindReason(Statement& put, int index, const absl::optional<std::string>& reason) {
  if (reason.has_value()) put.BindText(index, *reason);
}

// Behind the parameters of the rows before.
void BindUnsettled(int64_t id, const UnsettledEvent& event, int before, Statement& put) {
  put.BindInt(before + 1, id);
  put.BindInt(before + 2, event.sequence);
  put.BindInt(before + 3, event.bytes);
  put.BindInt(before + 4, Micros(event.receive_time));
  put.BindInt(before + 5, event.delivery);
  put.BindInt(before + 6, event.attempts);
  put.BindInt(before + 7, event.leased ? 1 : 0);
  put.BindInt(before + 8, Micros(event.due));
  put.BindInt(before + 9, absl::ToInt64Microseconds(event.delay));
  put.BindInt(before + 10, static_cast<int64_t>(event.cause));
  BindReason(put, before + 11, event.nack_reason);
  put.BindInt(before + 12, Micros(event.first_delivery_time));
  put.BindInt(before + 13, Micros(event.last_delivery_time));
  put.BindInt(before + 14, event.lost);
  put.BindText(before + 15, event.consumer);
  put.BindInt(before + 16, event.void_delivery);
}

}  // namespace

absl::StatusOr<SubscriptionStatements> SubscriptionStatements::Prepare(Database& database) {
  ASSIGN_OR_RETURN(Statement count, database.Prepare(kCount));
  ASSIGN_OR_RETURN(Statement exists, database.Prepare(kExists));
  ASSIGN_OR_RETURN(Statement insert, database.Prepare(kInsert));
  ASSIGN_OR_RETURN(Statement delete_subscription, database.Prepare(kDeleteSubscription));
  ASSIGN_OR_RETURN(Statement delete_all_unsettled, database.Prepare(kDeleteAllUnsettled));
  ASSIGN_OR_RETURN(Statement delete_all_dead, database.Prepare(kDeleteAllDead));
  ASSIGN_OR_RETURN(Statement insert_stretch, database.Prepare(kInsertStretch));
  ASSIGN_OR_RETURN(Statement delete_stretches, database.Prepare(kDeleteStretches));
  ASSIGN_OR_RETURN(Statement set_position, database.Prepare(kSetPosition));
  ASSIGN_OR_RETURN(Statement set_settings, database.Prepare(kSetSettings));
  ASSIGN_OR_RETURN(Statement set_control, database.Prepare(kSetControl));
  ASSIGN_OR_RETURN(Statement etag, database.Prepare(kEtag));
  ASSIGN_OR_RETURN(Statement put_job, database.Prepare(kPutJob));
  ASSIGN_OR_RETURN(Statement delete_job, database.Prepare(kDeleteJob));
  ASSIGN_OR_RETURN(Statement delete_all_jobs, database.Prepare(kDeleteAllJobs));
  ASSIGN_OR_RETURN(Statement put_unsettled,
                   database.Prepare(absl::StrCat(kIntoUnsettled, kPutUnsettled)));
  ASSIGN_OR_RETURN(
      Statement put_unsettled_rows,
      database.Prepare(absl::StrCat(kIntoUnsettled, ValuesOfRowsAtOnce(kUnsettledParameters),
                                    kPutUnsettledRows)));
  ASSIGN_OR_RETURN(Statement delete_unsettled, database.Prepare(kDeleteUnsettled));
  ASSIGN_OR_RETURN(Statement delete_unsettled_range, database.Prepare(kDeleteUnsettledRange));
  ASSIGN_OR_RETURN(Statement put_dead, database.Prepare(kPutDead));
  ASSIGN_OR_RETURN(Statement delete_dead, database.Prepare(kDeleteDead));
  ASSIGN_OR_RETURN(Statement first_unsettled, database.Prepare(kFirstUnsettled));
  return SubscriptionStatements(database, Prepared{std::move(count),
                                                   std::move(exists),
                                                   std::move(insert),
                                                   std::move(delete_subscription),
                                                   std::move(delete_all_unsettled),
                                                   std::move(delete_all_dead),
                                                   std::move(insert_stretch),
                                                   std::move(delete_stretches),
                                                   std::move(set_position),
                                                   std::move(set_settings),
                                                   std::move(set_control),
                                                   std::move(etag),
                                                   std::move(put_job),
                                                   std::move(delete_job),
                                                   std::move(delete_all_jobs),
                                                   std::move(put_unsettled),
                                                   std::move(put_unsettled_rows),
                                                   std::move(delete_unsettled),
                                                   std::move(delete_unsettled_range),
                                                   std::move(put_dead),
                                                   std::move(delete_dead),
                                                   std::move(first_unsettled)});
}

absl::StatusOr<int64_t> SubscriptionStatements::Count() {
  StatementScope scope(statements_.count);
  RETURN_IF_ERROR(statements_.count.Step().status());
  return statements_.count.ColumnInt(0);
}

absl::StatusOr<bool> SubscriptionStatements::Exists(int64_t id) {
  StatementScope scope(statements_.exists);
  statements_.exists.BindInt(1, id);
  return statements_.exists.Step();
}

absl::StatusOr<absl::optional<int64_t>> SubscriptionStatements::EtagOf(int64_t id) {
  StatementScope scope(statements_.etag);
  statements_.etag.BindInt(1, id);
  ASSIGN_OR_RETURN(const bool found, statements_.etag.Step());
  if (!found) return absl::optional<int64_t>();
  return absl::optional<int64_t>(statements_.etag.ColumnInt(0));
}

absl::StatusOr<int64_t> SubscriptionStatements::Insert(const StoredSubscription& subscription) {
  Statement& insert = statements_.insert;
  StatementScope scope(insert);
  insert.BindText(1, subscription.name);
  insert.BindBlob(2, subscription.settings);
  insert.BindInt(3, Micros(subscription.create_time));
  insert.BindInt(4, subscription.position.position);
  ASSIGN_OR_RETURN(const bool inserted, insert.Step());
  if (!inserted) return 0;
  const int64_t id = insert.ColumnInt(0);
  insert.Reset();
  for (const Stretch& stretch : subscription.deliveries) {
    statements_.insert_stretch.BindInt(1, id);
    statements_.insert_stretch.BindInt(2, stretch.first);
    statements_.insert_stretch.BindInt(3, stretch.mark);
    RETURN_IF_ERROR(statements_.insert_stretch.Run());
  }
  return id;
}

absl::StatusOr<bool> SubscriptionStatements::Delete(int64_t id) {
  statements_.delete_subscription.BindInt(1, id);
  RETURN_IF_ERROR(statements_.delete_subscription.Run());
  const bool found = database_->changes() > 0;
  statements_.delete_all_unsettled.BindInt(1, id);
  RETURN_IF_ERROR(statements_.delete_all_unsettled.Run());
  statements_.delete_all_dead.BindInt(1, id);
  RETURN_IF_ERROR(statements_.delete_all_dead.Run());
  statements_.delete_stretches.BindInt(1, id);
  RETURN_IF_ERROR(statements_.delete_stretches.Run());
  statements_.delete_all_jobs.BindInt(1, id);
  RETURN_IF_ERROR(statements_.delete_all_jobs.Run());
  return found;
}

absl::Status SubscriptionStatements::Apply(int64_t id, const SubscriptionChanges& changes) {
  if (changes.position.has_value()) {
    statements_.set_position.BindInt(1, id);
    statements_.set_position.BindInt(2, changes.position->position);
    statements_.set_position.BindInt(3, changes.position->last_delivery);
    statements_.set_position.BindInt(4, changes.position->void_delivery);
    statements_.set_position.BindInt(5, changes.position->lost);
    statements_.set_position.BindInt(6, changes.position->lost_unread);
    statements_.set_position.BindInt(7, changes.position->passed);
    statements_.set_position.BindInt(8, changes.position->admitted);
    RETURN_IF_ERROR(statements_.set_position.Run());
  }
  if (changes.settings.has_value()) {
    statements_.set_settings.BindInt(1, id);
    statements_.set_settings.BindBlob(2, *changes.settings);
    RETURN_IF_ERROR(statements_.set_settings.Run());
  }
  if (changes.control.has_value()) {
    statements_.set_control.BindInt(1, id);
    statements_.set_control.BindInt(2, changes.control->etag);
    statements_.set_control.BindInt(
        3, changes.control->pause_time.has_value() ? Micros(*changes.control->pause_time) : 0);
    RETURN_IF_ERROR(statements_.set_control.Run());
  }
  // In this order: a row that takes its reason from another one is written while that is there.
  for (const DeadEvent& event : changes.dead) RETURN_IF_ERROR(PutDead(id, event));
  if (changes.forget_unsettled) {
    statements_.delete_all_unsettled.BindInt(1, id);
    RETURN_IF_ERROR(statements_.delete_all_unsettled.Run());
  }
  RETURN_IF_ERROR(PutUnsettled(id, changes.unsettled));
  RETURN_IF_ERROR(DeleteUnsettled(id, changes.settled));
  for (const Sequence sequence : changes.no_longer_dead) {
    statements_.delete_dead.BindInt(1, id);
    statements_.delete_dead.BindInt(2, sequence);
    RETURN_IF_ERROR(statements_.delete_dead.Run());
  }
  for (const StoredJob& job : changes.jobs) {
    statements_.put_job.BindInt(1, id);
    statements_.put_job.BindInt(2, job.id);
    statements_.put_job.BindBlob(3, job.job);
    RETURN_IF_ERROR(statements_.put_job.Run());
  }
  for (const int64_t job : changes.forgotten_jobs) {
    statements_.delete_job.BindInt(1, id);
    statements_.delete_job.BindInt(2, job);
    RETURN_IF_ERROR(statements_.delete_job.Run());
  }
  return absl::OkStatus();
}

absl::Status SubscriptionStatements::PutUnsettled(int64_t id,
                                                  absl::Span<const UnsettledEvent> events) {
  while (!events.empty()) {
    const auto group = events.subspan(0, kRowsAtOnce);
    const bool at_once = group.size() == kRowsAtOnce &&
                         std::all_of(group.begin(), group.end(), [](const UnsettledEvent& event) {
                           return event.nack_reason.has_value();
                         });
    if (at_once) {
      int before = 0;
      for (const UnsettledEvent& event : group) {
        BindUnsettled(id, event, before, statements_.put_unsettled_rows);
        before += kUnsettledParameters;
      }
      RETURN_IF_ERROR(statements_.put_unsettled_rows.Run());
    } else {
      for (const UnsettledEvent& event : group) {
        BindUnsettled(id, event, /*before=*/0, statements_.put_unsettled);
        RETURN_IF_ERROR(statements_.put_unsettled.Run());
      }
    }
    events.remove_prefix(group.size());
  }
  return absl::OkStatus();
}

// Those that follow each other by one statement: no other event can be between them.
absl::Status SubscriptionStatements::DeleteUnsettled(int64_t id,
                                                     absl::Span<const Sequence> sequences) {
  while (!sequences.empty()) {
    const Sequence first = sequences.front();
    size_t count = 1;
    while (count < sequences.size() && sequences[count] == first + static_cast<Sequence>(count)) {
      ++count;
    }
    Statement& remove =
        count == 1 ? statements_.delete_unsettled : statements_.delete_unsettled_range;
    remove.BindInt(1, id);
    remove.BindInt(2, first);
    if (count > 1) remove.BindInt(3, sequences[count - 1]);
    RETURN_IF_ERROR(remove.Run());
    sequences.remove_prefix(count);
  }
  return absl::OkStatus();
}

absl::Status SubscriptionStatements::PutDead(int64_t id, const DeadEvent& event) {
  Statement& put = statements_.put_dead;
  put.BindInt(1, id);
  put.BindInt(2, event.sequence);
  put.BindInt(3, event.bytes);
  put.BindInt(4, Micros(event.receive_time));
  put.BindInt(5, event.delivery);
  put.BindInt(6, event.attempts);
  put.BindInt(7, static_cast<int64_t>(event.cause));
  BindReason(put, 8, event.nack_reason);
  put.BindInt(9, Micros(event.first_delivery_time));
  put.BindInt(10, Micros(event.last_delivery_time));
  put.BindInt(11, Micros(event.dead_letter_time));
  put.BindInt(12, event.lost);
  put.BindInt(13, event.void_delivery);
  return put.Run();
}

absl::StatusOr<absl::optional<Sequence>> SubscriptionStatements::FirstUnsettled() {
  Statement& first = statements_.first_unsettled;
  StatementScope scope(first);
  ASSIGN_OR_RETURN(const bool row, first.Step());
  if (!row) return absl::optional<Sequence>();
  return absl::optional<Sequence>(first.ColumnInt(0));
}

}  // namespace hookgate
