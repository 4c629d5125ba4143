#include "client/subscriber.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/connection.h"
#include "client/gateway_error.h"
#include "client/watchdog.h"
#include "common/clock.h"
#include "common/monotonic_cond_var.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// Heartbeats may be late once and lost never: two and a half intervals tell a dead stream from a
// slow network.
constexpr double kIntervalsUntilDead = 2.5;
// How late a wait may notice a stop while the transport connects.
constexpr absl::Duration kLongestConnecting = absl::Milliseconds(50);

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

// From the call to its end.
struct Subscriber::Stream {
  Stream() : watchdog([this] { Bark(); }) {}
  void Bark() {
    silent = true;
    context.TryCancel();
  }

  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderInterface<v1::SubscribeResponse>> reader;
  std::string token;  // What it was opened with.
  v1::SubscribeResponse frame;
  int next_event = 0;      // Of the frame's events: the one that Next returns next.
  bool has_given = false;  // The one before that was returned, and does not count as handled yet.
  // It was of use: an event was handled or a heartbeat came.
  bool delivered = false;
  absl::Duration patience;
  // By Draining: when to come back.
  std::optional<absl::Duration> reconnect_delay;
  std::atomic<bool> silent = false;
  Watchdog watchdog;  // Last: it uses the context.
};

Subscriber::Subscriber(Options options)
    : options_(std::move(options)),
      clock_(options_.clock == nullptr ? SystemClock() : *options_.clock),
      own_connection_(std::make_unique<Connection>(options_.target, options_.security)),
      connection_(*own_connection_),
      stop_called_(std::make_unique<MonotonicCondVar>()) {}

Subscriber::Subscriber(Connection& connection, Options options)
    : options_(std::move(options)),
      clock_(options_.clock == nullptr ? SystemClock() : *options_.clock),
      connection_(connection),
      stop_called_(std::make_unique<MonotonicCondVar>()) {}

Subscriber::~Subscriber() {
  if (loaded_ && !ended_) End(absl::OkStatus());
}

absl::Status Subscriber::Run(const Handler& handler) {
  while (const v1::Event* const event = Next()) {
    const absl::Status handled = handler(*event);
    if (!handled.ok()) End(handled);
  }
  return result_;
}

const v1::Event* Subscriber::Next() {
  if (ended_) return nullptr;
  if (!loaded_) {
    const absl::Status loaded = connection_.status().ok() ? LoadPosition() : connection_.status();
    if (!loaded.ok()) return End(loaded);
    loaded_ = true;
  }
  const absl::Status handled = MarkHandled();
  if (!handled.ok()) return End(handled);
  while (!stopped()) {
    if (stream_ == nullptr) OpenStream();
    Stream& stream = *stream_;
    if (stream.next_event < stream.frame.event_batch().events_size()) {
      stream.has_given = true;
      return &stream.frame.event_batch().events(stream.next_event++);
    }
    const std::optional<absl::Status> end = ReadFrame();
    if (end.has_value()) return End(*end);
  }
  return End(absl::OkStatus());
}

const v1::Event* Subscriber::End(const absl::Status& result) {
  ended_ = true;
  if (stream_ != nullptr) {
    stream_->watchdog.Disarm();
    stream_->context.TryCancel();
    stream_->reader->Finish();
    SetCall(nullptr);
    stream_.reset();
  }
  const absl::Status saved = loaded_ ? SavePosition() : absl::OkStatus();
  result_ = result.ok() ? saved : result;
  return nullptr;
}

void Subscriber::Stop() {
  absl::MutexLock lock(&mu_);
  stopped_ = true;
  stop_called_->SignalAll();
  // With the lock held, so that the call is still there. It neither blocks nor calls back.
  if (call_ != nullptr) call_->TryCancel();
}

absl::Status Subscriber::LoadPosition() {
  saved_at_ = clock_.MonotonicNow();
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
  saved_at_ = clock_.MonotonicNow();
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

void Subscriber::OpenStream() {
  stream_ = std::make_unique<Stream>();
  SetCall(&stream_->context);
  stream_->token = connection_.CurrentToken();
  heartbeat_interval_ = options_.heartbeat_interval;
  stream_->patience = options_.open_timeout;
  stream_->watchdog.Arm(stream_->patience);
  stream_->reader = connection_.events().Subscribe(&stream_->context, MakeRequest());
}

absl::Status Subscriber::MarkHandled() {
  if (stream_ == nullptr || !stream_->has_given) return absl::OkStatus();
  Stream& stream = *stream_;
  const v1::SubscribeResponse::EventBatch& batch = stream.frame.event_batch();
  stream.has_given = false;
  stream.delivered = true;
  MoveTo(batch.events(stream.next_event - 1).cursor());
  const bool last = stream.next_event == batch.events_size();
  const bool due = clock_.MonotonicNow() - saved_at_ >= options_.save_interval;
  return last || due ? SavePosition() : absl::OkStatus();
}

std::optional<absl::Status> Subscriber::ReadFrame() {
  Stream& stream = *stream_;
  // Only the wait for a frame counts: a handler may take its time.
  stream.watchdog.Arm(stream.patience);
  const bool read = stream.reader->Read(&stream.frame);
  stream.watchdog.Disarm();
  stream.next_event = 0;
  if (!read) {
    stream.frame.Clear();
    return FinishStream();
  }
  const absl::Status handled = HandleFrame();
  stream.patience = kIntervalsUntilDead * heartbeat_interval_;
  if (!handled.ok()) return handled;
  return std::nullopt;
}

std::optional<absl::Status> Subscriber::FinishStream() {
  const std::unique_ptr<Stream> stream = std::move(stream_);
  const GatewayError error = ReadGatewayError(stream->reader->Finish());
  SetCall(nullptr);
  if (stopped()) return std::nullopt;
  absl::Status why;
  absl::Duration retry_delay;
  if (stream->silent) {
    why = absl::UnavailableError(absl::StrCat("nothing came from the gateway at ",
                                              connection_.target(), " for ",
                                              absl::FormatDuration(stream->patience)));
  } else {
    why = Explain(error, "cannot subscribe", connection_.target());
    if (connection_.IsFinal(error, stream->token)) return why;
    if (why.ok()) {
      why = absl::UnavailableError(
          absl::StrCat("the gateway at ", connection_.target(), " ended the stream"));
    }
    retry_delay = error.retry_delay;
  }
  const absl::Status saved = SavePosition();
  if (!saved.ok()) return saved;
  const absl::Duration delay = DelayAfter(*stream, retry_delay);
  if (options_.observers.disconnected) options_.observers.disconnected(why, delay);
  WaitOrStop(delay);
  return std::nullopt;
}

absl::Status Subscriber::HandleFrame() {
  const Observers& observers = options_.observers;
  const v1::SubscribeResponse& frame = stream_->frame;
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
      return absl::OkStatus();  // Next returns its events, one by one.
    // Cursors of the frames below cover events that did not match as well. Everything sent before
    // them has been handled when they are read.
    case v1::SubscribeResponse::kCaughtUp:
      MoveTo(frame.caught_up().cursor());
      if (observers.caught_up) observers.caught_up(frame.caught_up());
      break;
    case v1::SubscribeResponse::kHeartbeat:
      stream_->delivered = true;
      MoveTo(frame.heartbeat().cursor());
      if (observers.heartbeat) observers.heartbeat(frame.heartbeat());
      break;
    case v1::SubscribeResponse::kDraining:
      MoveTo(frame.draining().cursor());
      if (frame.draining().has_reconnect_delay()) {
        const auto delay =
            FromProto(frame.draining().reconnect_delay(), "draining.reconnect_delay");
        if (delay.ok()) stream_->reconnect_delay = *delay;
      }
      if (observers.draining) observers.draining(frame.draining());
      break;
    case v1::SubscribeResponse::FRAME_NOT_SET:
      return absl::OkStatus();  // A frame of a newer gateway: a sign of life, and no more.
  }
  return SavePosition();
}

absl::Duration Subscriber::DelayAfter(const Stream& stream, absl::Duration retry_delay) {
  if (stream.reconnect_delay.has_value()) {
    failures_ = 0;  // It was the gateway's will, not its trouble.
    return std::max(*stream.reconnect_delay, absl::ZeroDuration());
  }
  failures_ = stream.delivered ? 1 : std::min(failures_ + 1, 1000);
  return std::max(BackoffDelay(options_.backoff, failures_, random_), retry_delay);
}

bool Subscriber::stopped() const {
  absl::MutexLock lock(&mu_);
  return stopped_;
}

void Subscriber::WaitOrStop(absl::Duration delay) {
  const absl::Duration until = SystemClock().MonotonicNow() + delay;
  while (!stopped()) {
    const absl::Duration left = until - SystemClock().MonotonicNow();
    if (left <= absl::ZeroDuration()) return;
    if (connection_.AwaitConnecting(std::min(left, kLongestConnecting))) continue;
    absl::MutexLock lock(&mu_);
    if (!stopped_) stop_called_->WaitWithTimeout(&mu_, left);
  }
}

void Subscriber::SetCall(grpc::ClientContext* call) {
  absl::MutexLock lock(&mu_);
  call_ = call;
  // A stop that came just before would otherwise find nothing to cancel.
  if (stopped_ && call_ != nullptr) call_->TryCancel();
}

}  // namespace hookgate
