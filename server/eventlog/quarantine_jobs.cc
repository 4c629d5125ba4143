#include "server/eventlog/quarantine_jobs.h"

#include <string>
#include <utility>
#include <vector>

#include "server/base/status.h"
#include "server/eventlog/quarantine_key.h"
#include "server/eventlog/quarantine_log.h"

namespace hookgate {
namespace {

class QuarantineJob final : public CommitJob {
 public:
  QuarantineJob(std::unique_ptr<QuarantinedWebhook> webhook, EventLog::QuarantineDone done)
      : webhook_(std::move(webhook)), done_(std::move(done)) {}

  int64_t bytes() const override { return static_cast<int64_t>(webhook_->raw_body.size()); }

  bool may_stay_unknown() const override { return true; }

  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    ASSIGN_OR_RETURN(const std::string key, KeyOfEntry(statements));
    Statement& upsert = statements.upsert_quarantined;
    upsert.BindText(1, webhook_->source);
    upsert.BindText(2, key);
    upsert.BindInt(3, absl::ToUnixMicros(webhook_->webhook_time));
    upsert.BindInt(4, absl::ToUnixMicros(webhook_->receive_time));
    upsert.BindText(5, webhook_->reason);
    upsert.BindText(6, webhook_->detail);
    upsert.BindBlob(7, webhook_->raw_body);
    upsert.BindInt(8, ++state.last_touch);
    upsert.BindBlob(9, webhook_->trace);
    ++state.outcomes.quarantined;
    return upsert.Run();
  }

  void Answer(const absl::Status& status) override { std::move(done_)(status); }

 private:
  // A body that is not the one that came first under this id has an entry of its own: it was
  // signed, and is not thrown away.
  absl::StatusOr<std::string> KeyOfEntry(CommitStatements& statements) {
    const std::string other = QuarantineKeyOfOtherBody(webhook_->webhook_id, webhook_->raw_body);
    Statement& find = statements.find_quarantined;
    StatementScope scope(find);
    find.BindText(1, webhook_->source);
    find.BindText(2, webhook_->webhook_id);
    find.BindBlob(3, webhook_->raw_body);
    find.BindText(4, other);
    RETURN_IF_ERROR(find.Step().status());
    const int64_t first_is_same = find.ColumnInt(0);
    const bool first_is_free = first_is_same < 0 && find.ColumnInt(1) == 0;
    return first_is_same > 0 || first_is_free ? webhook_->webhook_id : other;
  }

  const std::unique_ptr<QuarantinedWebhook> webhook_;
  EventLog::QuarantineDone done_;
};

// Whether there was such an entry; it is gone then.
absl::StatusOr<bool> Delete(CommitStatements& statements, int64_t id) {
  statements.delete_quarantined.BindInt(1, id);
  RETURN_IF_ERROR(statements.delete_quarantined.Run());
  return statements.database.changes() > 0;
}

class ReleaseJob final : public CommitJob {
 public:
  ReleaseJob(int64_t id, std::unique_ptr<StoredEvent> event, EventLog::AppendDone done)
      : id_(id),
        append_(MakeAppendJob(
            std::move(event),
            [this](absl::StatusOr<AppendResult> result) { result_ = std::move(result); })),
        done_(std::move(done)) {}

  int64_t bytes() const override { return append_->bytes(); }

  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    ASSIGN_OR_RETURN(found_, Delete(statements, id_));
    if (!found_) return absl::OkStatus();
    // The webhook came when it was put into quarantine.
    const GroupOutcomes before = state.outcomes;
    RETURN_IF_ERROR(append_->Write(statements, state));
    state.outcomes = before;
    ++state.outcomes.released_from_quarantine;
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    append_->Answer(status);
    if (status.ok() && !found_) result_ = QuarantineEntryNotFound(id_);
    std::move(done_)(std::move(result_));
  }

 private:
  const int64_t id_;
  const std::unique_ptr<CommitJob> append_;
  EventLog::AppendDone done_;
  bool found_ = false;
  absl::StatusOr<AppendResult> result_;
};

class DiscardJob final : public CommitJob {
 public:
  DiscardJob(int64_t id, EventLog::QuarantineDone done) : id_(id), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    ASSIGN_OR_RETURN(found_, Delete(statements, id_));
    if (found_) ++state.outcomes.discarded_from_quarantine;
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() && !found_ ? QuarantineEntryNotFound(id_) : status);
  }

 private:
  const int64_t id_;
  EventLog::QuarantineDone done_;
  bool found_ = false;
};

class TrimQuarantineJob final : public CommitJob {
 public:
  TrimQuarantineJob(int64_t touch, QuarantineLimit limit, const TrimStep& step, CountDone done)
      : touch_(touch), limit_(limit), step_(step), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    ASSIGN_OR_RETURN(const std::vector<int64_t> ids, IdsToRemove(statements));
    for (const int64_t id : ids) RETURN_IF_ERROR(Delete(statements, id).status());
    removed_ = static_cast<int64_t>(ids.size());
    state.outcomes.removed_from_quarantine += removed_;
    if (limit_ == QuarantineLimit::kNumber) {
      state.outcomes.removed_from_quarantine_for_number += removed_;
    }
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() ? absl::StatusOr<int64_t>(removed_) : status);
  }

 private:
  absl::StatusOr<std::vector<int64_t>> IdsToRemove(CommitStatements& statements) {
    Statement& oldest = statements.oldest_quarantined;
    StatementScope scope(oldest);
    oldest.BindInt(1, touch_);
    oldest.BindInt(2, step_.max_events);
    std::vector<int64_t> ids;
    int64_t bytes = 0;
    while (true) {
      ASSIGN_OR_RETURN(const bool row, oldest.Step());
      if (!row) return ids;
      bytes += oldest.ColumnInt(1);
      if (!ids.empty() && bytes > step_.max_bytes) return ids;
      ids.push_back(oldest.ColumnInt(0));
    }
  }

  const int64_t touch_;
  const QuarantineLimit limit_;
  const TrimStep step_;
  CountDone done_;
  int64_t removed_ = 0;
};

}  // namespace

std::unique_ptr<CommitJob> MakeQuarantineJob(std::unique_ptr<QuarantinedWebhook> webhook,
                                             EventLog::QuarantineDone done) {
  return std::make_unique<QuarantineJob>(std::move(webhook), std::move(done));
}

std::unique_ptr<CommitJob> MakeReleaseJob(int64_t id, std::unique_ptr<StoredEvent> event,
                                          EventLog::AppendDone done) {
  return std::make_unique<ReleaseJob>(id, std::move(event), std::move(done));
}

std::unique_ptr<CommitJob> MakeDiscardJob(int64_t id, EventLog::QuarantineDone done) {
  return std::make_unique<DiscardJob>(id, std::move(done));
}

std::unique_ptr<CommitJob> MakeTrimQuarantineJob(int64_t touch, QuarantineLimit limit,
                                                 const TrimStep& step, CountDone done) {
  return std::make_unique<TrimQuarantineJob>(touch, limit, step, std::move(done));
}

}  // namespace hookgate
