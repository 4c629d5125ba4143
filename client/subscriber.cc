#include "client/subscriber.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "client/connection.h"
#include "client/gateway_error.h"
#include "client/watchdog.h"
#include "grpcpp/client_context.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// Heartbeats may be late once and lost never: two and a half intervals tell a dead stream from a
// slow network.
constexpr double kIntervalsUntilDead = 2.5;

struct SetStart {
  v1::SubscribeRequest& request;

  void operator()(const Subscriber::Latest&) const {
    request.set_start_position(v1::START_POSITION_LATEST);
  }
  void operator()(const Subscriber::Earliest&) const {
    request.set_start_position(v1::START_POSITION_EARLIEST);
  }
  void operator()(const Subscriber::After& after) const { request.set_after_cursor(after.cursor); }
  void operator()(const Subscriber::Since& since) const {
    *request.mutable_start_time() = ToProto(since.time);
  }
};

}  // namespace

// How one stream ended, and what that means for the next.
struct Subscriber::StreamEnd {
  // Run's result, if Run ends with this stream.
  std::optional<absl::Status> result;
  // Why the stream broke, otherwise.
  absl::Status why;
  // It was of use: an event was handled or a heartbeat came.
  bool delivered = false;
  // The gateway said when to come back: in Draining, and with an error.
  std::optional<absl::Duration> reconnect_delay;
  absl::Duration retry_delay;
};

Subscriber::Subscriber(Options options)
    : options_(std::move(options)),
      own_connection_(std::make_unique<Connection>(options_.target, options_.security)),
      connection_(*own_connection_) {}

Subscriber::Subscriber(Connection& connection, Options options)
    : options_(std::move(options)), connection_(connection) {}

Subscriber::~Subscriber() = default;

absl::Status Subscriber::Run(const Handler& handler) {
  RETURN_IF_ERROR(LoadPosition());
  while (!stopped()) {
    const StreamEnd end = RunStream(handler);
    if (end.result.has_value()) {
      const absl::Status saved = SavePosition();
      return end.result->ok() ? saved : *end.result;
    }
    RETURN_IF_ERROR(SavePosition());
    if (stopped()) break;
    const absl::Duration delay = DelayAfter(end);
    if (options_.observers.disconnected) options_.observers.disconnected(end.why, delay);
    WaitOrStop(delay);
  }
  return absl::OkStatus();
}

void Subscriber::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  stop_called_.SignalAll();
  // With the lock held, so that the call is still there. It neither blocks nor calls back.
  if (call_ != nullptr) call_->TryCancel();
}

absl::Status Subscriber::LoadPosition() {
  saved_at_ = options_.clock->MonotonicNow();
  if (options_.cursor_store == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<std::string> cursor, options_.cursor_store->Load());
  position_ = saved_position_ = cursor.value_or("");
  return absl::OkStatus();
}

absl::Status Subscriber::SavePosition() {
  if (options_.cursor_store == nullptr || position_ == saved_position_) return absl::OkStatus();
  RETURN_IF_ERROR(
      Annotate(options_.cursor_store->Save(position_), "cannot save the subscriber's position"));
  saved_position_ = position_;
  saved_at_ = options_.clock->MonotonicNow();
  return absl::OkStatus();
}

void Subscriber::MoveTo(const std::string& cursor) {
  if (!cursor.empty()) position_ = cursor;
}

v1::SubscribeRequest Subscriber::MakeRequest() const {
  v1::SubscribeRequest request;
  *request.mutable_filter() = options_.filter;
  if (position_.empty()) {
    std::visit(SetStart{request}, options_.start);
  } else {
    request.set_after_cursor(position_);
  }
  *request.mutable_heartbeat_interval() = ToProto(options_.heartbeat_interval);
  request.set_client_name(options_.client_name);
  request.set_include_raw_body(options_.include_raw_body);
  return request;
}

Subscriber::StreamEnd Subscriber::RunStream(const Handler& handler) {
  StreamEnd end;
  grpc::ClientContext context;
  SetCall(&context);
  absl::Cleanup forget_call = [this] { SetCall(nullptr); };
  std::atomic<bool> silent = false;
  Watchdog watchdog([&context, &silent] {
    silent = true;
    context.TryCancel();
  });

  heartbeat_interval_ = options_.heartbeat_interval;
  absl::Duration patience = options_.open_timeout;
  watchdog.Arm(patience);
  const auto reader = connection_.events().Subscribe(&context, MakeRequest());
  v1::SubscribeResponse frame;
  while (reader->Read(&frame)) {
    // Only the wait for a frame counts: a handler may take its time.
    watchdog.Disarm();
    const absl::Status handled = HandleFrame(frame, handler, end);
    if (!handled.ok()) end.result = handled;
    if (!handled.ok() || stopped()) {
      context.TryCancel();
      break;
    }
    patience = kIntervalsUntilDead * heartbeat_interval_;
    watchdog.Arm(patience);
  }

  const GatewayError error = ReadGatewayError(reader->Finish());
  if (end.result.has_value() || stopped()) return end;
  if (silent) {
    end.why = absl::UnavailableError(absl::StrCat("nothing came from the gateway at ",
                                                  connection_.target(), " for ",
                                                  absl::FormatDuration(patience)));
    return end;
  }
  const absl::Status why = Explain(error, "cannot subscribe", connection_.target());
  if (IsPermanent(error)) {
    end.result = why;
    return end;
  }
  end.why = why.ok() ? absl::UnavailableError(absl::StrCat("the gateway at ", connection_.target(),
                                                           " ended the stream"))
                     : why;
  end.retry_delay = error.retry_delay;
  return end;
}

absl::Status Subscriber::HandleFrame(const v1::SubscribeResponse& frame, const Handler& handler,
                                     StreamEnd& end) {
  const Observers& observers = options_.observers;
  switch (frame.frame_case()) {
    case v1::SubscribeResponse::kOpened:
      // The start is fixed here: whatever is stored from now on is found from this cursor, even if
      // the stream breaks before its first event.
      if (position_.empty()) MoveTo(frame.opened().cursor());
      if (const auto interval =
              FromProto(frame.opened().heartbeat_interval(), "opened.heartbeat_interval");
          interval.ok() && *interval > absl::ZeroDuration()) {
        heartbeat_interval_ = *interval;
      }
      if (observers.opened) observers.opened(frame.opened());
      break;
    case v1::SubscribeResponse::kEventBatch:
      RETURN_IF_ERROR(HandleEvents(frame.event_batch(), handler, end));
      break;
    // Cursors of the frames below cover events that did not match as well. Everything sent before
    // them has been handled when they are read.
    case v1::SubscribeResponse::kCaughtUp:
      MoveTo(frame.caught_up().cursor());
      if (observers.caught_up) observers.caught_up(frame.caught_up());
      break;
    case v1::SubscribeResponse::kHeartbeat:
      end.delivered = true;
      MoveTo(frame.heartbeat().cursor());
      if (observers.heartbeat) observers.heartbeat(frame.heartbeat());
      break;
    case v1::SubscribeResponse::kDraining:
      MoveTo(frame.draining().cursor());
      if (frame.draining().has_reconnect_delay()) {
        const auto delay =
            FromProto(frame.draining().reconnect_delay(), "draining.reconnect_delay");
        if (delay.ok()) end.reconnect_delay = *delay;
      }
      if (observers.draining) observers.draining(frame.draining());
      break;
    case v1::SubscribeResponse::FRAME_NOT_SET:
      return absl::OkStatus();  // A frame of a newer gateway: a sign of life, and no more.
  }
  return SavePosition();
}

absl::Status Subscriber::HandleEvents(const v1::SubscribeResponse::EventBatch& batch,
                                      const Handler& handler, StreamEnd& end) {
  for (const v1::Event& event : batch.events()) {
    if (stopped()) break;
    RETURN_IF_ERROR(handler(event));
    end.delivered = true;
    MoveTo(event.cursor());
    if (options_.clock->MonotonicNow() - saved_at_ >= options_.save_interval) {
      RETURN_IF_ERROR(SavePosition());
    }
  }
  return absl::OkStatus();
}

absl::Duration Subscriber::DelayAfter(const StreamEnd& end) {
  if (end.reconnect_delay.has_value()) {
    failures_ = 0;  // It was the gateway's will, not its trouble.
    return std::max(*end.reconnect_delay, absl::ZeroDuration());
  }
  failures_ = end.delivered ? 1 : std::min(failures_ + 1, 1000);
  return std::max(BackoffDelay(options_.backoff, failures_, random_), end.retry_delay);
}

bool Subscriber::stopped() const {
  absl::MutexLock lock(&mu_);
  return stopped_;
}

void Subscriber::WaitOrStop(absl::Duration delay) {
  const absl::Duration until = SystemClock().MonotonicNow() + delay;
  absl::MutexLock lock(&mu_);
  while (!stopped_) {
    const absl::Duration left = until - SystemClock().MonotonicNow();
    if (left <= absl::ZeroDuration()) return;
    stop_called_.WaitWithTimeout(&mu_, left);
  }
}

void Subscriber::SetCall(grpc::ClientContext* call) {
  absl::MutexLock lock(&mu_);
  call_ = call;
  // A stop that came just before would otherwise find nothing to cancel.
  if (stopped_ && call_ != nullptr) call_->TryCancel();
}

}  // namespace hookgate
