#include "server/eventlog/history_jobs.h"

#include <utility>

#include "absl/functional/any_invocable.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

class RemoveHistoryJob final : public CommitJob {
 public:
  using Remove = absl::AnyInvocable<absl::StatusOr<int64_t>(HistoryStatements& statements)>;

  RemoveHistoryJob(Remove remove, CountDone done)
      : remove_(std::move(remove)), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  absl::Status Write(CommitStatements& statements, CommitState&) override {
    ASSIGN_OR_RETURN(removed_, remove_(statements.history));
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() ? absl::StatusOr<int64_t>(removed_) : status);
  }

 private:
  Remove remove_;
  CountDone done_;
  int64_t removed_ = 0;
};

}  // namespace

std::unique_ptr<CommitJob> MakeTrimHistoryJob(int64_t excess, Sequence head, int64_t max_rows,
                                              CountDone done) {
  return std::make_unique<RemoveHistoryJob>(
      [=](HistoryStatements& history) { return history.Trim(excess, head, max_rows); },
      std::move(done));
}

std::unique_ptr<CommitJob> MakeForgetHistoryJob(int64_t subscription, int64_t max_rows,
                                                CountDone done) {
  return std::make_unique<RemoveHistoryJob>(
      [=](HistoryStatements& history) { return history.Forget(subscription, max_rows); },
      std::move(done));
}

}  // namespace hookgate
