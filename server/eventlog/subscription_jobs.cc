#include "server/eventlog/subscription_jobs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

absl::Status NotFoundById(int64_t id) { return SubscriptionNotFound(absl::StrCat("with id ", id)); }

class CreateSubscriptionJob final : public CommitJob {
 public:
  CreateSubscriptionJob(StoredSubscription subscription, SubscriptionLog::IdDone done)
      : subscription_(std::move(subscription)), done_(std::move(done)) {}

  int64_t bytes() const override { return static_cast<int64_t>(subscription_.settings.size()); }

  absl::Status Write(CommitStatements& statements, CommitState&) override {
    ASSIGN_OR_RETURN(const int64_t count, statements.subscriptions.Count());
    if (count >= SubscriptionLog::kMaxSubscriptions) {
      result_ =
          ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kTooManySubscriptions,
                          absl::StrCat("there are ", count,
                                       " subscriptions already, the most that a gateway can have; "
                                       "delete one that is not needed"));
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const int64_t id, statements.subscriptions.Insert(subscription_));
    result_ = id;
    if (id != 0) return statements.history.AddMove(id, Start());
    {
      result_ = ErrorWithReason(absl::StatusCode::kAlreadyExists, reason::kSubscriptionExists,
                                absl::StrCat("there is a subscription ", subscription_.name,
                                             " already; update or seek it, or take another name"));
    }
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() ? std::move(result_) : status);
  }

 private:
  SubscriptionMove Start() const {
    return {.kind = SubscriptionMove::Kind::kStart,
            .from = subscription_.position.position,
            .to = subscription_.position.position,
            .time = subscription_.create_time,
            .settings = subscription_.settings};
  }

  const StoredSubscription subscription_;
  SubscriptionLog::IdDone done_;
  absl::StatusOr<int64_t> result_;
};

class WriteSubscriptionJob final : public CommitJob {
 public:
  WriteSubscriptionJob(int64_t id, std::unique_ptr<const SubscriptionChanges> changes,
                       SubscriptionLog::Done done)
      : id_(id), changes_(std::move(changes)), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  int64_t rows() const override {
    return static_cast<int64_t>(1 + changes_->unsettled.size() + changes_->settled.size() +
                                changes_->dead.size() + changes_->no_longer_dead.size() +
                                changes_->history.size() + changes_->moves.size() +
                                changes_->jobs.size() + changes_->forgotten_jobs.size());
  }

  // One that has been deleted meanwhile leaves no rows behind.
  absl::Status Write(CommitStatements& statements, CommitState& state) override {
    ASSIGN_OR_RETURN(found_, statements.subscriptions.Exists(id_));
    if (!found_) return absl::OkStatus();
    RETURN_IF_ERROR(statements.subscriptions.Apply(id_, *changes_));
    RETURN_IF_ERROR(statements.history.Put(id_, changes_->history, state.position.head));
    for (const SubscriptionMove& move : changes_->moves) {
      RETURN_IF_ERROR(statements.history.AddMove(id_, move));
    }
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() && !found_ ? NotFoundById(id_) : status);
  }

 private:
  const int64_t id_;
  const std::unique_ptr<const SubscriptionChanges> changes_;
  SubscriptionLog::Done done_;
  bool found_ = false;
};

class DeleteSubscriptionJob final : public CommitJob {
 public:
  DeleteSubscriptionJob(int64_t id, absl::optional<int64_t> etag, SubscriptionLog::Done done)
      : id_(id), etag_(etag), done_(std::move(done)) {}

  int64_t bytes() const override { return 0; }

  absl::Status Write(CommitStatements& statements, CommitState&) override {
    refusal_ = absl::OkStatus();
    ASSIGN_OR_RETURN(const absl::optional<int64_t> stored, statements.subscriptions.EtagOf(id_));
    if (!stored.has_value()) {
      refusal_ = NotFoundById(id_);
    } else if (etag_.has_value() && *etag_ != *stored) {
      refusal_ = ErrorWithReason(absl::StatusCode::kAborted, reason::kEtagMismatch,
                                 "the subscription was changed during this call: read it again");
    } else {
      RETURN_IF_ERROR(statements.subscriptions.Delete(id_).status());
      RETURN_IF_ERROR(statements.history.DeleteMoves(id_));
    }
    return absl::OkStatus();
  }

  void Answer(const absl::Status& status) override {
    std::move(done_)(status.ok() ? refusal_ : status);
  }

 private:
  const int64_t id_;
  const absl::optional<int64_t> etag_;
  SubscriptionLog::Done done_;
  absl::Status refusal_;
};

}  // namespace

std::unique_ptr<CommitJob> MakeCreateSubscriptionJob(StoredSubscription subscription,
                                                     SubscriptionLog::IdDone done) {
  return std::make_unique<CreateSubscriptionJob>(std::move(subscription), std::move(done));
}

std::unique_ptr<CommitJob> MakeWriteSubscriptionJob(
    int64_t id, std::unique_ptr<const SubscriptionChanges> changes, SubscriptionLog::Done done) {
  return std::make_unique<WriteSubscriptionJob>(id, std::move(changes), std::move(done));
}

std::unique_ptr<CommitJob> MakeDeleteSubscriptionJob(int64_t id, absl::optional<int64_t> etag,
                                                     SubscriptionLog::Done done) {
  return std::make_unique<DeleteSubscriptionJob>(id, etag, std::move(done));
}

}  // namespace hookgate
