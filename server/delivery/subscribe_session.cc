#include "server/delivery/subscribe_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/cursor.h"
#include "server/delivery/event_encoding.h"
#include "server/delivery/start_position.h"

namespace hookgate {
namespace {

using hookgate::v1::SubscribeRequest;
using hookgate::v1::SubscribeResponse;

constexpr absl::Duration kMinHeartbeatInterval = absl::Milliseconds(100);
constexpr absl::Duration kMaxHeartbeatInterval = absl::Minutes(10);
constexpr size_t kMaxClientNameBytes = 200;

// What one frame holds at most, unless a single event is larger; far below the 4 MiB that a gRPC
// client takes by default.
constexpr size_t kMaxBatchEvents = 512;
constexpr size_t kMaxBatchBytes = 256 << 10;

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

absl::StatusOr<SubscribeSettings> SubscribeSettings::FromRequest(const SubscribeRequest& request,
                                                                 EventLog& log) {
  SubscribeSettings settings;
  ASSIGN_OR_RETURN(settings.filter, EventFilter::Create(request.filter()));
  ASSIGN_OR_RETURN(settings.heartbeat_interval, HeartbeatInterval(request));
  if (request.client_name().size() > kMaxClientNameBytes) {
    return InvalidField("client_name",
                        absl::StrCat("is longer than ", kMaxClientNameBytes, " bytes"));
  }
  settings.include_raw_body = request.include_raw_body();
  ASSIGN_OR_RETURN(settings.start_after, StartAfter(request, log));
  return settings;
}

SubscribeSession::SubscribeSession(SubscribeSettings settings, const Tail& tail, EventLog& log,
                                   const Clock& clock)
    : settings_(std::move(settings)),
      tail_(tail),
      log_(log),
      clock_(clock),
      position_(settings_.start_after),
      last_write_(clock.MonotonicNow()) {}

SubscribeSession::Step SubscribeSession::Next() {
  if (!opened_) return Opened();
  if (drain_delay_.has_value()) return Goodbye();
  if (!read_error_.ok()) {
    return {.action = Step::Action::kEnd, .status = WithEarliestCursor(read_error_, log_)};
  }
  if (page_.has_value()) {
    const LogPage page = *std::exchange(page_, absl::nullopt);
    std::string elements = Encode(page.events, /*filter_them=*/false);
    position_ = page.scanned_to;
    if (!elements.empty()) return WriteBatch(std::move(elements));
  }
  while (true) {
    if (HeartbeatIsDue()) return Heartbeat();
    const absl::optional<Tail::Slice> slice = tail_.Read(position_, kMaxBatchEvents);
    if (!slice.has_value()) {
      caught_up_ = false;
      return {.action = Step::Action::kReadLog};
    }
    if (slice->events.empty()) {
      if (!caught_up_) return CaughtUp(slice->head);
      return {.action = Step::Action::kWait,
              .seen = slice->head,
              .deadline = last_write_ + settings_.heartbeat_interval};
    }
    std::string elements = Encode(slice->events, /*filter_them=*/true);
    if (!elements.empty()) return WriteBatch(std::move(elements));
  }
}

void SubscribeSession::ReadLog() {
  ReadLimits limits;
  limits.max_events = kMaxBatchEvents;
  limits.max_bytes = kMaxBatchBytes;
  limits.include_raw_body = settings_.include_raw_body;
  absl::StatusOr<LogPage> page = log_.Read(
      position_, [this](const LogEvent& event) { return settings_.filter.Matches(event); }, limits);
  if (page.ok()) {
    page_ = *std::move(page);
  } else {
    read_error_ = page.status();
  }
}

void SubscribeSession::Drain(absl::Duration reconnect_delay) { drain_delay_ = reconnect_delay; }

std::string SubscribeSession::Encode(const std::vector<LogEventPtr>& events, bool filter_them) {
  std::string elements;
  for (const LogEventPtr& event : events) {
    if (elements.size() >= kMaxBatchBytes) break;
    position_ = event->sequence;
    if (filter_them && !settings_.filter.Matches(*event)) continue;
    AppendBatchElement(*event, log_.epoch(), settings_.include_raw_body, elements);
  }
  return elements;
}

SubscribeSession::Step SubscribeSession::WriteBatch(std::string elements) {
  last_write_ = clock_.MonotonicNow();
  return {.action = Step::Action::kWrite, .frame = EncodeBatchFrame(elements)};
}

SubscribeSession::Step SubscribeSession::Write(const SubscribeResponse& response) {
  last_write_ = clock_.MonotonicNow();
  return {.action = Step::Action::kWrite, .frame = response.SerializeAsString()};
}

SubscribeSession::Step SubscribeSession::Opened() {
  opened_ = true;
  const LogPosition position = log_.Position();
  SubscribeResponse response;
  auto* opened = response.mutable_opened();
  opened->set_epoch(log_.epoch());
  opened->set_cursor(CursorHere());
  opened->set_earliest_sequence(position.earliest);
  opened->set_head_sequence(position.head);
  *opened->mutable_heartbeat_interval() = ToProto(settings_.heartbeat_interval);
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
  return clock_.MonotonicNow() - last_write_ >= settings_.heartbeat_interval;
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
    absl::Status status = ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                                          "the gateway is going down: reconnect after the delay");
    return {.action = Step::Action::kEnd, .status = std::move(status)};
  }
  said_goodbye_ = true;
  SubscribeResponse response;
  response.mutable_draining()->set_cursor(CursorHere());
  *response.mutable_draining()->mutable_reconnect_delay() = ToProto(*drain_delay_);
  return Write(response);
}

std::string SubscribeSession::CursorHere() const { return FormatCursor(log_.epoch(), position_); }

}  // namespace hookgate
