#include "server/eventlog/event_jobs.h"

#include <algorithm>
#include <utility>

#include "server/base/status.h"
#include "server/eventlog/compose_event.h"

namespace hookgate {
namespace {

class AppendJob final : public CommitJob {
 public:
  AppendJob(std::unique_ptr<StoredEvent> event, EventLog::AppendDone done)
      : event_(std::move(event)),
        hash_(HashWebhook(event_->source, event_->webhook_id)),
        texts_(event_->event_id, event_->subject),
        done_(std::move(done)) {}

  int64_t bytes() const override {
    return static_cast<int64_t>(event_->envelope.size() + event_->raw_body.size());
  }

  bool may_stay_unknown() const override { return true; }
  // It finds those of its own group in memory.
  bool uses_events() const override { return false; }

  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    ASSIGN_OR_RETURN(const bool found, FindFirst(statements, state));
    if (found) {
      const bool same = result_.outcome == AppendResult::Outcome::kDuplicate;
      if (!event_->is_webhook) return absl::OkStatus();
      ++(same ? state.outcomes.duplicates : state.outcomes.conflicts);
      state.repeats.push_back({result_.sequence, same, event_->receive_time});
      return same ? absl::OkStatus() : KeepConflict(statements, state);
    }
    StoredEvent& event = *event_;
    event.sequence = state.position.head + 1;
    if (event.sequence == statements.stretch.first) RETURN_IF_ERROR(statements.BeginStretch());
    result_ = {AppendResult::Outcome::kStored, event.sequence};
    if (event.is_webhook) ++state.outcomes.stored;
    state.position.head = event.sequence;
    state.webhooks[hash_].push_back(event.sequence);
    for (size_t i = 0; i < texts_.count; ++i) {
      state.texts.push_back({texts_.hashes[i], event.sequence});
    }
    state.appended.push_back(event_);
    return statements.new_events.Add(state.appended.back());
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() ? absl::StatusOr<AppendResult>(result_) : status);
  }

 private:
  // Whether the event is there already, or in this group; then result_ says how.
  absl::StatusOr<bool> FindFirst(CommitStatements& statements, const CommitState& state) {
    ASSIGN_OR_RETURN(Sequences candidates,
                     statements.webhooks.Find(hash_, statements.webhook_page));
    if (const auto group = state.webhooks.find(hash_); group != state.webhooks.end()) {
      candidates.insert(candidates.end(), group->second.begin(), group->second.end());
    }
    for (const Sequence candidate : candidates) {
      ASSIGN_OR_RETURN(const bool is_first, IsFirst(statements, state, candidate));
      if (is_first) return true;
    }
    return false;
  }

  // The other body is kept, so that somebody can look at it.
  absl::Status KeepConflict(CommitStatements& statements, CommitState& state) {
    Statement& upsert = statements.upsert_conflict;
    upsert.BindInt(1, result_.sequence);
    upsert.BindText(2, event_->source);
    upsert.BindText(3, event_->webhook_id);
    upsert.BindInt(4, absl::ToUnixMicros(event_->receive_time));
    upsert.BindBlob(5, event_->raw_body);
    upsert.BindInt(6, ++state.last_touch);
    return upsert.Run();
  }

  absl::StatusOr<bool> IsFirst(CommitStatements& statements, const CommitState& state,
                               Sequence candidate) {
    if (!state.appended.empty() && candidate >= state.appended.front()->sequence) {
      if (candidate < state.position.earliest) return false;
      const auto place = static_cast<size_t>(candidate - state.appended.front()->sequence);
      if (place >= state.appended.size()) return false;  // The index names what the log has lost.
      const StoredEvent& first = *state.appended[place];
      return IsFirst(candidate, {first.source, first.webhook_id, first.raw_body, first.envelope});
    }
    Statement& get = statements.get_webhook;
    StatementScope scope(get);
    get.BindInt(1, candidate);
    ASSIGN_OR_RETURN(const bool there, get.Step());
    return there && IsFirst(candidate, {get.ColumnText(0), get.ColumnText(1), get.ColumnBlob(2),
                                        get.ColumnBlob(3)});
  }

  // What is there of an event: in the database, or in the group before it is there.
  struct Candidate {
    absl::string_view source;
    absl::string_view webhook_id;
    absl::string_view raw_body;
    absl::string_view envelope;
  };

  // The body itself is compared: it is stored, and says more than a hash of it would.
  bool IsFirst(Sequence sequence, const Candidate& candidate) {
    if (candidate.source != event_->source || candidate.webhook_id != event_->webhook_id) {
      return false;
    }
    const bool same = candidate.raw_body == event_->raw_body;
    result_ = {same ? AppendResult::Outcome::kDuplicate : AppendResult::Outcome::kConflict,
               sequence, TraceParentOf(candidate.envelope)};
    return true;
  }

  const std::shared_ptr<StoredEvent> event_;  // read by others once it is committed
  const WebhookHash hash_;
  const TextHashes texts_;
  EventLog::AppendDone done_;
  AppendResult result_;
};

class TrimJob final : public CommitJob {
 public:
  TrimJob(const TrimCutoffs& cutoffs, const TrimStep& step, CountDone done)
      : cutoffs_(cutoffs), step_(step), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    removed_ = 0;
    removed_for_size_ = 0;
    ASSIGN_OR_RETURN(const Sequence last, LastToRemove(statements));
    if (last == 0) return absl::OkStatus();
    statements.delete_through.BindInt(1, last);
    RETURN_IF_ERROR(statements.delete_through.Run());
    removed_ = statements.database.changes();
    state.outcomes.events_removed_for_size += removed_for_size_;
    state.outcomes.events_removed_for_age += removed_ - removed_for_size_;
    statements.delete_repeats_through.BindInt(1, last);
    RETURN_IF_ERROR(statements.delete_repeats_through.Run());
    state.position.earliest = last + 1;
    statements.set_earliest.BindInt(1, state.position.earliest);
    return statements.set_earliest.Run();
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() ? absl::StatusOr<int64_t>(removed_) : status);
  }

 private:
  // 0 if all events stay.
  absl::StatusOr<Sequence> LastToRemove(CommitStatements& statements) {
    ASSIGN_OR_RETURN(const absl::optional<Sequence> unsettled,
                     statements.subscriptions.FirstUnsettled());
    ASSIGN_OR_RETURN(int64_t excess_bytes, ExcessBytes(statements.database));
    Statement& oldest = statements.oldest_events;
    StatementScope scope(oldest);
    oldest.BindInt(1, step_.max_events);
    Sequence last = 0;
    int64_t bytes = 0;
    while (true) {
      ASSIGN_OR_RETURN(const bool row, oldest.Step());
      if (!row) return last;
      const Sequence sequence = oldest.ColumnInt(0);
      const bool settled = !unsettled.has_value() || sequence < *unsettled;
      if (sequence > Cutoff(settled, excess_bytes > bytes)) return last;
      bytes += oldest.ColumnInt(1);
      if (last != 0 && bytes > step_.max_bytes) return last;
      last = sequence;
      if (sequence > Cutoff(settled, /*in_excess=*/false)) ++removed_for_size_;
    }
  }

  Sequence Cutoff(bool settled, bool in_excess) const {
    if (!settled) return cutoffs_.unsettled;
    return in_excess ? std::max(cutoffs_.settled, cutoffs_.excess) : cutoffs_.settled;
  }

  // By how much the log is too large; not above 0: it is not. An event takes more than its payload
  // (it is in indexes, too), so a step may end a little late; the next one looks again.
  absl::StatusOr<int64_t> ExcessBytes(Database& database) const {
    if (cutoffs_.max_bytes == kNoMaxBytes) return 0;
    ASSIGN_OR_RETURN(const int64_t used, database.UsedBytes());
    return used - cutoffs_.max_bytes;
  }

  const TrimCutoffs cutoffs_;
  const TrimStep step_;
  CountDone done_;
  int64_t removed_ = 0;
  int64_t removed_for_size_ = 0;  // of these
};

}  // namespace

std::unique_ptr<CommitJob> MakeAppendJob(std::unique_ptr<StoredEvent> event,
                                         EventLog::AppendDone done) {
  return std::make_unique<AppendJob>(std::move(event), std::move(done));
}

std::unique_ptr<CommitJob> MakeTrimJob(const TrimCutoffs& cutoffs, const TrimStep& step,
                                       CountDone done) {
  return std::make_unique<TrimJob>(cutoffs, step, std::move(done));
}

}  // namespace hookgate
