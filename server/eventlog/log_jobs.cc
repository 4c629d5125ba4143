#include "server/eventlog/log_jobs.h"

#include <utility>

#include "absl/memory/memory.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kInsertEvent[] = R"sql(
INSERT INTO events (sequence, source, webhook_id, type, subject, failure, receive_time_us,
                    envelope, raw_body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (source, webhook_id) DO NOTHING)sql";

constexpr char kFindEvent[] =
    "SELECT sequence, raw_body FROM events WHERE source = ?1 AND webhook_id = ?2";

// The first body is kept, as with events; the newest reason is, since the schema may have changed.
constexpr char kUpsertQuarantined[] = R"sql(
INSERT INTO quarantine (source, webhook_id, webhook_time_us, first_receive_time_us,
                        last_receive_time_us, attempts, reason, detail, raw_body)
VALUES (?1, ?2, ?3, ?4, ?4, 1, ?5, ?6, ?7)
ON CONFLICT (source, webhook_id) DO UPDATE SET
  attempts = attempts + 1, last_receive_time_us = ?4, reason = ?5, detail = ?6)sql";

constexpr char kOldestEvents[] =
    "SELECT sequence, receive_time_us FROM events ORDER BY sequence LIMIT ?1";
constexpr char kDeleteThrough[] = "DELETE FROM events WHERE sequence <= ?1";
constexpr char kSetEarliest[] = "UPDATE log SET earliest_sequence = ?1 WHERE id = 1";

class AppendJob final : public LogJob {
 public:
  AppendJob(std::unique_ptr<LogEvent> event, EventLog::AppendDone done)
      : event_(std::move(event)), done_(std::move(done)) {}

  int64_t bytes() const override {
    return static_cast<int64_t>(event_->envelope.size() + event_->raw_body.size());
  }

  absl::Status Write(LogStatements& statements, LogState& state) override {
    LogEvent& event = *event_;
    event.sequence = state.position.head + 1;
    Statement& insert = statements.insert_event;
    insert.BindInt(1, event.sequence);
    insert.BindText(2, event.source);
    insert.BindText(3, event.webhook_id);
    insert.BindText(4, event.type);
    insert.BindText(5, event.subject);
    insert.BindInt(6, event.failure ? 1 : 0);
    insert.BindInt(7, absl::ToUnixMicros(event.receive_time));
    insert.BindBlob(8, event.envelope);
    insert.BindBlob(9, event.raw_body);
    RETURN_IF_ERROR(insert.Run());
    if (statements.database.changes() == 0) return FindFirst(statements);
    result_ = {AppendResult::Outcome::kStored, event.sequence};
    state.position.head = event.sequence;
    state.appended.push_back(std::move(event_));
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    if (status.ok()) {
      std::move(done_)(result_);
    } else {
      std::move(done_)(status);
    }
  }

 private:
  // The body itself is compared: it is stored, and says more than a hash of it would.
  absl::Status FindFirst(LogStatements& statements) {
    Statement& find = statements.find_event;
    StatementScope scope(find);
    find.BindText(1, event_->source);
    find.BindText(2, event_->webhook_id);
    ASSIGN_OR_RETURN(const bool found, find.Step());
    if (!found) return absl::InternalError("an event is in its index but not in its table");
    const bool same = find.ColumnBlob(1) == event_->raw_body;
    result_ = {same ? AppendResult::Outcome::kDuplicate : AppendResult::Outcome::kConflict,
               find.ColumnInt(0)};
    return absl::OkStatus();
  }

  std::unique_ptr<LogEvent> event_;
  EventLog::AppendDone done_;
  AppendResult result_;
};

class QuarantineJob final : public LogJob {
 public:
  QuarantineJob(std::unique_ptr<QuarantinedWebhook> webhook, EventLog::QuarantineDone done)
      : webhook_(std::move(webhook)), done_(std::move(done)) {}

  int64_t bytes() const override { return static_cast<int64_t>(webhook_->raw_body.size()); }

  absl::Status Write(LogStatements& statements, LogState&) override {
    Statement& upsert = statements.upsert_quarantined;
    upsert.BindText(1, webhook_->source);
    upsert.BindText(2, webhook_->webhook_id);
    upsert.BindInt(3, absl::ToUnixMicros(webhook_->webhook_time));
    upsert.BindInt(4, absl::ToUnixMicros(webhook_->receive_time));
    upsert.BindText(5, webhook_->reason);
    upsert.BindText(6, webhook_->detail);
    upsert.BindBlob(7, webhook_->raw_body);
    return upsert.Run();
  }

  void Answer(const absl::Status& status) override { std::move(done_)(status); }

 private:
  const std::unique_ptr<QuarantinedWebhook> webhook_;
  EventLog::QuarantineDone done_;
};

class TrimJob final : public LogJob {
 public:
  TrimJob(absl::Time cutoff, int64_t max_events,
          absl::AnyInvocable<void(absl::StatusOr<int64_t>) &&> done)
      : cutoff_(cutoff), max_events_(max_events), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  absl::Status Write(LogStatements& statements, LogState& state) override {
    ASSIGN_OR_RETURN(const Sequence last, LastToRemove(statements));
    if (last == 0) return absl::OkStatus();
    statements.delete_through.BindInt(1, last);
    RETURN_IF_ERROR(statements.delete_through.Run());
    removed_ = statements.database.changes();
    state.position.earliest = last + 1;
    statements.set_earliest.BindInt(1, state.position.earliest);
    return statements.set_earliest.Run();
  }

  void Answer(const absl::Status& status) override {
    if (status.ok()) {
      std::move(done_)(removed_);
    } else {
      std::move(done_)(status);
    }
  }

 private:
  // 0 if no event is old enough.
  absl::StatusOr<Sequence> LastToRemove(LogStatements& statements) {
    Statement& oldest = statements.oldest_events;
    StatementScope scope(oldest);
    oldest.BindInt(1, max_events_);
    Sequence last = 0;
    while (true) {
      ASSIGN_OR_RETURN(const bool row, oldest.Step());
      if (!row || absl::FromUnixMicros(oldest.ColumnInt(1)) >= cutoff_) return last;
      last = oldest.ColumnInt(0);
    }
  }

  const absl::Time cutoff_;
  const int64_t max_events_;
  absl::AnyInvocable<void(absl::StatusOr<int64_t>) &&> done_;
  int64_t removed_ = 0;
};

}  // namespace

LogStatements::LogStatements(Database& database, Statement insert_event, Statement find_event,
                             Statement upsert_quarantined, Statement oldest_events,
                             Statement delete_through, Statement set_earliest)
    : database(database),
      insert_event(std::move(insert_event)),
      find_event(std::move(find_event)),
      upsert_quarantined(std::move(upsert_quarantined)),
      oldest_events(std::move(oldest_events)),
      delete_through(std::move(delete_through)),
      set_earliest(std::move(set_earliest)) {}

absl::StatusOr<std::unique_ptr<LogStatements>> LogStatements::Prepare(Database& database) {
  ASSIGN_OR_RETURN(Statement insert_event, database.Prepare(kInsertEvent));
  ASSIGN_OR_RETURN(Statement find_event, database.Prepare(kFindEvent));
  ASSIGN_OR_RETURN(Statement upsert_quarantined, database.Prepare(kUpsertQuarantined));
  ASSIGN_OR_RETURN(Statement oldest_events, database.Prepare(kOldestEvents));
  ASSIGN_OR_RETURN(Statement delete_through, database.Prepare(kDeleteThrough));
  ASSIGN_OR_RETURN(Statement set_earliest, database.Prepare(kSetEarliest));
  return absl::WrapUnique(new LogStatements(
      database, std::move(insert_event), std::move(find_event), std::move(upsert_quarantined),
      std::move(oldest_events), std::move(delete_through), std::move(set_earliest)));
}

std::unique_ptr<LogJob> MakeAppendJob(std::unique_ptr<LogEvent> event, EventLog::AppendDone done) {
  return std::make_unique<AppendJob>(std::move(event), std::move(done));
}

std::unique_ptr<LogJob> MakeQuarantineJob(std::unique_ptr<QuarantinedWebhook> webhook,
                                          EventLog::QuarantineDone done) {
  return std::make_unique<QuarantineJob>(std::move(webhook), std::move(done));
}

std::unique_ptr<LogJob> MakeTrimJob(absl::Time cutoff, int64_t max_events,
                                    absl::AnyInvocable<void(absl::StatusOr<int64_t>) &&> done) {
  return std::make_unique<TrimJob>(cutoff, max_events, std::move(done));
}

}  // namespace hookgate
