#include "server/delivery/consume_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using hookgate::v1::ConsumeRequest;
using hookgate::v1::ConsumeResponse;

constexpr int64_t kMaxMessages = 10'000;
constexpr int64_t kMaxBytes = 256 << 20;
constexpr absl::Duration kMinHeartbeat = absl::Milliseconds(100);
constexpr absl::Duration kMaxHeartbeat = absl::Minutes(10);

absl::Status InvalidFrame(absl::string_view problem) {
  return ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidRequest, problem);
}

// What is not set is the default.
ConsumerLimits LimitsOf(const hookgate::v1::FlowLimits& flow) {
  ConsumerLimits limits;
  if (flow.has_max_outstanding_messages()) limits.max_messages = flow.max_outstanding_messages();
  if (flow.has_max_outstanding_bytes()) limits.max_bytes = flow.max_outstanding_bytes();
  return limits;
}

absl::StatusOr<ConsumerLimits> CheckedLimits(const ConsumeRequest::Open& open) {
  const ConsumerLimits limits = LimitsOf(open.limits());
  if (limits.max_messages < 0 || limits.max_messages > kMaxMessages) {
    return InvalidField("open.limits.max_outstanding_messages",
                        absl::StrCat("must be from 0 to ", kMaxMessages));
  }
  if (limits.max_bytes < 0 || limits.max_bytes > kMaxBytes) {
    return InvalidField("open.limits.max_outstanding_bytes",
                        absl::StrCat("must be from 0 to ", kMaxBytes));
  }
  return limits;
}

absl::StatusOr<absl::Duration> HeartbeatOf(const ConsumeRequest::Open& open) {
  if (!open.has_heartbeat_interval()) return ConsumeSettings().heartbeat_interval;
  ASSIGN_OR_RETURN(const absl::Duration interval,
                   FromProto(open.heartbeat_interval(), "open.heartbeat_interval"));
  if (interval < kMinHeartbeat || interval > kMaxHeartbeat) {
    return InvalidField("open.heartbeat_interval",
                        absl::StrCat("is ", absl::FormatDuration(interval), "; it must be from ",
                                     absl::FormatDuration(kMinHeartbeat), " to ",
                                     absl::FormatDuration(kMaxHeartbeat)));
  }
  return interval;
}

}  // namespace

absl::StatusOr<ConsumeSettings> ConsumeSettings::FromRequest(const ConsumeRequest::Open& open) {
  ConsumeSettings settings;
  ASSIGN_OR_RETURN(settings.limits, CheckedLimits(open));
  ASSIGN_OR_RETURN(settings.heartbeat_interval, HeartbeatOf(open));
  settings.include_raw_body = open.include_raw_body();
  return settings;
}

ConsumerLimits ConsumeSettings::ClampedLimits(const hookgate::v1::FlowLimits& flow) {
  const ConsumerLimits limits = LimitsOf(flow);
  return {.max_messages = std::clamp<int64_t>(limits.max_messages, 0, kMaxMessages),
          .max_bytes = std::clamp<int64_t>(limits.max_bytes, 0, kMaxBytes)};
}

ConsumeSession::Step ConsumeSession::Next() {
  if (!opened_.empty()) return Write(std::exchange(opened_, ""));
  if (results_.has_ack_results()) {
    Step step = Write(results_.SerializeAsString());
    results_.Clear();
    return step;
  }
  if (state_ == State::kOpen && !deliveries_.empty()) {
    return Write(std::exchange(deliveries_, ""), /*has_deliveries=*/true);
  }
  if (unsettled_ == 0 && !draining_.empty()) return Write(std::exchange(draining_, ""));
  if (absl::optional<absl::Status> end = TakeEnd(); end.has_value()) {
    return {.action = Step::Action::kEnd, .status = *std::move(end)};
  }
  if (state_ != State::kOpen) {
    return {.action = Step::Action::kWait, .deadline = absl::InfiniteDuration()};
  }
  if (HeartbeatIsDue()) {
    heartbeat_at_once_ = false;
    last_write_ = clock_.MonotonicNow();
    return {.action = Step::Action::kHeartbeat};
  }
  return {.action = Step::Action::kWait, .deadline = last_write_ + heartbeat_interval_};
}

absl::optional<absl::Status> ConsumeSession::TakeEnd() {
  const bool owes_nothing =
      opened_.empty() && draining_.empty() && !results_.has_ack_results() && unsettled_ == 0;
  if (state_ != State::kEnding || !owes_nothing) return absl::nullopt;
  state_ = State::kEnded;
  return end_;
}

bool ConsumeSession::HeartbeatIsDue() const {
  return state_ == State::kOpen &&
         (heartbeat_at_once_ || clock_.MonotonicNow() - last_write_ >= heartbeat_interval_);
}

ConsumeSession::Step ConsumeSession::Write(std::string frame, bool has_deliveries) {
  last_write_ = clock_.MonotonicNow();
  return {
      .action = Step::Action::kWrite, .frame = std::move(frame), .has_deliveries = has_deliveries};
}

bool ConsumeSession::TakeRead() {
  if (reading_ || ending()) return false;
  if (unsettled_ + results_.ack_results().results_size() >= kMaxUnanswered) return false;
  reading_ = true;
  return true;
}

absl::Status ConsumeSession::Accept(const ConsumeRequest& request) {
  reading_ = false;
  if (state_ == State::kStarting) {
    if (!request.has_open()) return InvalidFrame("the first frame must be Open");
    state_ = State::kOpening;
    return absl::OkStatus();
  }
  switch (request.frame_case()) {
    case ConsumeRequest::kOpen:
      return InvalidFrame("Open was sent twice; a stream serves one subscription");
    case ConsumeRequest::FRAME_NOT_SET:
      return InvalidFrame("a frame is empty: it must be Ack, Nack, Extend or Flow");
    default:
      return absl::OkStatus();
  }
}

bool ConsumeSession::Opened(const ConsumeResponse::Opened& opened,
                            absl::Duration heartbeat_interval, bool is_held_back) {
  if (ending()) return false;
  state_ = State::kOpen;
  heartbeat_interval_ = heartbeat_interval;
  heartbeat_at_once_ = is_held_back;
  ConsumeResponse response;
  *response.mutable_opened() = opened;
  opened_ = response.SerializeAsString();
  last_write_ = clock_.MonotonicNow();
  return true;
}

void ConsumeSession::TakeResults(ConsumeResponse::AckResults results) {
  unsettled_ -= results.results_size();
  if (state_ == State::kEnded) return;
  if (results_.has_ack_results()) {
    results_.mutable_ack_results()->MergeFrom(results);
  } else {
    *results_.mutable_ack_results() = std::move(results);
  }
}

void ConsumeSession::TakeDeliveries(std::string frame) {
  if (!ending()) deliveries_ = std::move(frame);
}

bool ConsumeSession::End(const absl::Status& status) {
  if (ending()) return false;
  state_ = State::kEnding;
  end_ = status;
  deliveries_.clear();
  return true;
}

bool ConsumeSession::Abandon() {
  if (state_ == State::kEnded) return false;
  state_ = State::kEnded;
  opened_.clear();
  deliveries_.clear();
  draining_.clear();
  results_.Clear();
  return true;
}

bool ConsumeSession::Drain(absl::Duration reconnect_delay) {
  const bool is_open = state_ == State::kOpen;
  if (!End(ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                           "the gateway ends this stream: reconnect after the delay"))) {
    return false;
  }
  if (!is_open) return true;  // No frame comes before Opened.
  ConsumeResponse response;
  *response.mutable_draining()->mutable_reconnect_delay() = ToProto(reconnect_delay);
  draining_ = response.SerializeAsString();
  return true;
}

}  // namespace hookgate
