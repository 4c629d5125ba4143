#include "server/gateway/leader_duties.h"

#include <utility>

#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr absl::Duration kRetentionInterval = absl::Minutes(1);

}  // namespace

LeaderDuties::LeaderDuties(const Context& context, const RetentionLimits& retention,
                           const OperatorLimits& operator_events)
    : context_(context), retention_limits_(retention), operator_limits_(operator_events) {}

absl::Status LeaderDuties::AnotherDecides() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kNoLeader,
                         "this replica does not lead the cluster: call the leader, or try again");
}

void LeaderDuties::Begin() {
  absl::MutexLock lock(&mu_);
  // Before retention, so that what it takes now is told.
  operator_events_ = std::make_unique<OperatorEvents>(
      operator_limits_, context_.probe, context_.log, context_.trace_parents, context_.clock);
  retention_ =
      std::make_unique<Retention>(retention_limits_, kRetentionInterval, context_.log,
                                  context_.clock, [this] { context_.subscriptions.NoteTrim(); });
  if (is_ending_) operator_events_->Stop();
}

absl::Status LeaderDuties::OnLead() {
  RETURN_IF_ERROR(context_.subscriptions.Resume());
  Begin();
  return absl::OkStatus();
}

void LeaderDuties::OnFollow() {
  std::unique_ptr<OperatorEvents> operator_events;
  std::unique_ptr<Retention> retention;
  {
    absl::MutexLock lock(&mu_);
    operator_events = std::move(operator_events_);
    retention = std::move(retention_);
  }
  // Both wait for their threads, which call the log and the subscriptions.
  if (operator_events != nullptr) operator_events->Stop();
  retention.reset();
  operator_events.reset();
  context_.subscriptions.Suspend(AnotherDecides());
}

void LeaderDuties::SetLimits(const RetentionLimits& retention,
                             const OperatorLimits& operator_events) {
  absl::MutexLock lock(&mu_);
  retention_limits_ = retention;
  operator_limits_ = operator_events;
  if (retention_ != nullptr) retention_->SetLimits(retention);
  if (operator_events_ != nullptr) operator_events_->SetLimits(operator_events);
}

void LeaderDuties::NoteFailedReload(std::vector<std::string> errors) {
  absl::MutexLock lock(&mu_);
  if (operator_events_ != nullptr) operator_events_->NoteFailedReload(std::move(errors));
}

void LeaderDuties::StopOperatorEvents(absl::Duration at_most) {
  absl::MutexLock lock(&mu_);
  is_ending_ = true;
  if (operator_events_ != nullptr) operator_events_->Stop(at_most);
}

}  // namespace hookgate
