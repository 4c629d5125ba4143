#include "server/delivery/subscribe_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/capabilities.h"
#include "server/delivery/cursor.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/start_position.h"

namespace hookgate {
namespace {

using hookgate::v1::SubscribeRequest;
using hookgate::v1::SubscribeResponse;

constexpr absl::Duration kMinHeartbeatInterval = absl::Milliseconds(100);
constexpr absl::Duration kMaxHeartbeatInterval = absl::Minutes(10);
constexpr size_t kMaxClientNameBytes = 200;

absl::StatusOr<absl::Duration> HeartbeatInterval(const SubscribeRequest& request) {
  if (!request.has_heartbeat_interval()) return SubscribeSettings().heartbeat_interval;
  ASSIGN_OR_RETURN(const absl::Duration interval,
                   FromProto(request.heartbeat_interval(), "heartbeat_interval"));
  if (interval < kMinHeartbeatInterval || interval > kMaxHeartbeatInterval) {
    return InvalidField("heartbeat_interval",
                        absl::StrCat("is ", absl::FormatDuration(interval), "; it must be from ",
                                     absl::FormatDuration(kMinHeartbeatInterval), " to ",
                                     absl::FormatDuration(kMaxHeartbeatInterval)));
  }
  return interval;
}

absl::StatusOr<Sequence> StartAfter(const SubscribeRequest& request, EventLog& log) {
  switch (request.start_case()) {
    case SubscribeRequest::kAfterCursor:
      return ResolveCursor(request.after_cursor(), "after_cursor", log);
    case SubscribeRequest::kStartTime:
      return StartAtTime(request.start_time(), "start_time", log);
    case SubscribeRequest::kStartPosition:
      return StartAtPosition(request.start_position(), "start_position", log);
    case SubscribeRequest::START_NOT_SET:
      break;
  }
  return InvalidField("start", "is missing: set after_cursor, start_time or start_position");
}

}  // namespace

absl::Status SubscribeSettings::Check(const SubscribeRequest& request) {
  RETURN_IF_ERROR(EventFilter::Create(request.filter()).status());
  RETURN_IF_ERROR(HeartbeatInterval(request).status());
  if (request.client_name().size() > kMaxClientNameBytes) {
    return InvalidField("client_name",
                        absl::StrCat("is longer than ", kMaxClientNameBytes, " bytes"));
  }
  return absl::OkStatus();
}

absl::StatusOr<SubscribeSettings> SubscribeSettings::FromRequest(const SubscribeRequest& request,
                                                                 SelectionPool& selections,
                                                                 EventLog& log) {
  RETURN_IF_ERROR(Check(request));
  SubscribeSettings settings;
  ASSIGN_OR_RETURN(EventFilter filter, EventFilter::Create(request.filter()));
  settings.selection = selections.Share(std::move(filter), request.include_raw_body());
  ASSIGN_OR_RETURN(settings.heartbeat_interval, HeartbeatInterval(request));
  ASSIGN_OR_RETURN(settings.start_after, StartAfter(request, log));
  return settings;
}

SubscribeSession::SubscribeSession(const SubscribeSettings& settings, BatchSource& batches,
                                   EventLog& log, const Clock& clock)
    : selection_(settings.selection),
      heartbeat_interval_(settings.heartbeat_interval),
      batches_(batches),
      log_(log),
      clock_(clock),
      position_(settings.start_after),
      last_write_(clock.MonotonicNow()) {}

SubscribeSession::Step SubscribeSession::Next() {
  if (!opened_) return Opened();
  if (drain_delay_ != nullptr) return Goodbye();
  if (read_ != nullptr) {
    absl::StatusOr<BatchFramePtr> read = *std::exchange(read_, nullptr);
    if (!read.ok()) {
      return {.action = Step::Action::kEnd, .status = WithEarliestCursor(read.status(), log_)};
    }
    absl::optional<Step> write = Take(*std::move(read));
    if (write.has_value()) return *std::move(write);
  }
  if (reading_) {
    if (HeartbeatIsDue()) return Heartbeat();
    return {.action = Step::Action::kWait,
            .seen = HeadWatch::kTimerOnly,
            .deadline = last_write_ + heartbeat_interval_};
  }
  while (true) {
    if (HeartbeatIsDue()) return Heartbeat();
    // Of the thousands that have just been sent the same, none has to look for more.
    if (caught_up_ && !may_send_little_) return Rest(Step::Action::kPause, position_);
    BatchSource::Next next = batches_.TryNext(*selection_, position_);
    switch (next.kind) {
      case BatchSource::Next::Kind::kBatch:
        if (!next.batch->full && !may_send_little_) return Rest(Step::Action::kPause, position_);
        may_send_little_ = next.batch->full;
        if (absl::optional<Step> write = Take(std::move(next.batch)); write.has_value()) {
          return *std::move(write);
        }
        break;
      case BatchSource::Next::Kind::kNothingNew:
        if (!caught_up_) return CaughtUp(next.head);
        return Rest(Step::Action::kWait, next.head);
      case BatchSource::Next::Kind::kOnDisk:
        caught_up_ = false;
        return {.action = Step::Action::kReadLog};
    }
  }
}

bool SubscribeSession::AwaitLog(BatchSource::Done done) {
  reading_ = true;
  return batches_.Await(*selection_, position_, std::move(done));
}

void SubscribeSession::TakeRead(absl::StatusOr<BatchFramePtr> read) {
  reading_ = false;
  read_ = std::make_unique<absl::StatusOr<BatchFramePtr>>(std::move(read));
}

absl::optional<SubscribeSession::Step> SubscribeSession::Take(BatchFramePtr batch) {
  position_ = batch->through;
  if (batch->bytes.empty()) return absl::nullopt;
  last_write_ = clock_.MonotonicNow();
  const std::string* const bytes = &batch->bytes;
  const int64_t events = batch->events;
  return Step{.action = Step::Action::kWrite,
              .frame = std::shared_ptr<const std::string>(std::move(batch), bytes),
              .events = events};
}

void SubscribeSession::Drain(absl::Duration reconnect_delay) {
  drain_delay_ = std::make_unique<const absl::Duration>(reconnect_delay);
}

SubscribeSession::Step SubscribeSession::Write(const SubscribeResponse& response) {
  last_write_ = clock_.MonotonicNow();
  return {.action = Step::Action::kWrite,
          .frame = std::make_shared<const std::string>(response.SerializeAsString())};
}

SubscribeSession::Step SubscribeSession::Rest(Step::Action action, Sequence seen) {
  may_send_little_ = true;
  return {.action = action, .seen = seen, .deadline = last_write_ + heartbeat_interval_};
}

SubscribeSession::Step SubscribeSession::Opened() {
  opened_ = true;
  const EventLogPosition position = log_.Position();
  SubscribeResponse response;
  auto* opened = response.mutable_opened();
  opened->set_epoch(log_.epoch());
  opened->set_cursor(CursorHere());
  opened->set_earliest_sequence(position.earliest);
  opened->set_head_sequence(position.head);
  *opened->mutable_heartbeat_interval() = ToProto(heartbeat_interval_);
  AddCapabilities(*opened);
  return Write(response);
}

SubscribeSession::Step SubscribeSession::CaughtUp(Sequence head) {
  caught_up_ = true;
  SubscribeResponse response;
  response.mutable_caught_up()->set_cursor(CursorHere());
  response.mutable_caught_up()->set_head_sequence(head);
  return Write(response);
}

bool SubscribeSession::HeartbeatIsDue() const {
  return clock_.MonotonicNow() - last_write_ >= heartbeat_interval_;
}

SubscribeSession::Step SubscribeSession::Heartbeat() {
  const Sequence head = log_.Position().head;
  SubscribeResponse response;
  auto* heartbeat = response.mutable_heartbeat();
  heartbeat->set_cursor(CursorHere());
  heartbeat->set_head_sequence(head);
  heartbeat->set_lag(head - position_);
  *heartbeat->mutable_server_time() = ToProto(clock_.WallNow());
  return Write(response);
}

SubscribeSession::Step SubscribeSession::Goodbye() {
  if (said_goodbye_) {
    return {.action = Step::Action::kEnd, .status = GoodbyeError()};
  }
  said_goodbye_ = true;
  SubscribeResponse response;
  response.mutable_draining()->set_cursor(CursorHere());
  *response.mutable_draining()->mutable_reconnect_delay() = ToProto(*drain_delay_);
  return Write(response);
}

absl::Status SubscribeSession::GoodbyeError() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                         "the gateway ends this stream: reconnect after the delay");
}

std::string SubscribeSession::CursorHere() const { return FormatCursor(log_.history(), position_); }

}  // namespace hookgate
