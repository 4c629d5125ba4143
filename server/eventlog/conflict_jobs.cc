#include "server/eventlog/conflict_jobs.h"

#include <utility>
#include <vector>

#include "server/base/status.h"

namespace hookgate {
namespace {

// Whether there was such an entry; it is gone then.
absl::StatusOr<bool> Delete(CommitStatements& statements, Sequence sequence) {
  statements.delete_conflict.BindInt(1, sequence);
  RETURN_IF_ERROR(statements.delete_conflict.Run());
  return statements.database.changes() > 0;
}

class DiscardConflictJob final : public CommitJob {
 public:
  DiscardConflictJob(Sequence sequence, ConflictLog::DiscardDone done)
      : sequence_(sequence), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  absl::Status Write(CommitStatements& statements, CommitState&) override {
    ASSIGN_OR_RETURN(found_, Delete(statements, sequence_));
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() && !found_ ? ConflictNotFound(sequence_) : status);
  }

 private:
  const Sequence sequence_;
  ConflictLog::DiscardDone done_;
  bool found_ = false;
};

class TrimConflictsJob final : public CommitJob {
 public:
  TrimConflictsJob(int64_t touch, const TrimStep& step, CountDone done)
      : touch_(touch), step_(step), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  absl::Status Write(CommitStatements& statements, CommitState&) override {
    ASSIGN_OR_RETURN(const std::vector<Sequence> sequences, SequencesToRemove(statements));
    for (const Sequence sequence : sequences) {
      RETURN_IF_ERROR(Delete(statements, sequence).status());
    }
    removed_ = static_cast<int64_t>(sequences.size());
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() ? absl::StatusOr<int64_t>(removed_) : status);
  }

 private:
  absl::StatusOr<std::vector<Sequence>> SequencesToRemove(CommitStatements& statements) {
    Statement& oldest = statements.oldest_conflicts;
    StatementScope scope(oldest);
    oldest.BindInt(1, touch_);
    oldest.BindInt(2, step_.max_events);
    std::vector<Sequence> sequences;
    int64_t bytes = 0;
    while (true) {
      ASSIGN_OR_RETURN(const bool row, oldest.Step());
      if (!row) return sequences;
      bytes += oldest.ColumnInt(1);
      if (!sequences.empty() && bytes > step_.max_bytes) return sequences;
      sequences.push_back(oldest.ColumnInt(0));
    }
  }

  const int64_t touch_;
  const TrimStep step_;
  CountDone done_;
  int64_t removed_ = 0;
};

}  // namespace

std::unique_ptr<CommitJob> MakeDiscardConflictJob(Sequence sequence,
                                                  ConflictLog::DiscardDone done) {
  return std::make_unique<DiscardConflictJob>(sequence, std::move(done));
}

std::unique_ptr<CommitJob> MakeTrimConflictsJob(int64_t touch, const TrimStep& step,
                                                CountDone done) {
  return std::make_unique<TrimConflictsJob>(touch, step, std::move(done));
}

}  // namespace hookgate
