#include "client/consumer.h"

#include <algorithm>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "client/connection.h"
#include "client/gateway_error.h"
#include "client/watchdog.h"
#include "grpcpp/client_context.h"
#include "server/base/clock.h"
#include "server/base/proto_time.h"

namespace hookgate {
namespace {

// As the subscriber's: heartbeats may be late once and lost never.
constexpr double kIntervalsUntilDead = 2.5;
// A lease is extended when a third of it has passed: two more tries fit.
constexpr int kExtensionsPerLease = 3;
constexpr int64_t kMostBytes = 64 << 20;

absl::Duration Now() { return SystemClock().MonotonicNow(); }

bool IsPermanent(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
      return true;
    default:
      return false;
  }
}

v1::ConsumeRequest OpenFrame(const Consumer::Options& options) {
  v1::ConsumeRequest frame;
  v1::ConsumeRequest::Open& open = *frame.mutable_open();
  open.set_subscription(options.subscription);
  open.set_consumer_name(options.consumer_name);
  open.mutable_limits()->set_max_outstanding_messages(options.concurrency);
  open.mutable_limits()->set_max_outstanding_bytes(kMostBytes);
  *open.mutable_heartbeat_interval() = ToProto(options.heartbeat_interval);
  open.set_include_raw_body(options.include_raw_body);
  return frame;
}

v1::ConsumeRequest VerdictFrame(const std::string& delivery_id, const Verdict& verdict) {
  v1::ConsumeRequest frame;
  if (verdict.kind == Verdict::Kind::kAck) {
    frame.mutable_ack()->add_delivery_ids(delivery_id);
    return frame;
  }
  v1::Nack::Item& item = *frame.mutable_nack()->add_items();
  item.set_delivery_id(delivery_id);
  item.set_reason(verdict.reason);
  if (verdict.kind == Verdict::Kind::kDeadLetter) {
    item.set_dead_letter(true);
  } else if (verdict.delay.has_value()) {
    *item.mutable_delay() = ToProto(*verdict.delay);
  }
  return frame;
}

}  // namespace

// How one stream ended, and what that means for the next.
struct Consumer::StreamEnd {
  // Run's result, if Run ends with this stream.
  std::optional<absl::Status> result;
  absl::Status why;
  bool useful = false;  // A delivery or a heartbeat came.
  // The gateway said when to come back: in Draining, and with an error.
  std::optional<absl::Duration> reconnect_delay;
  absl::Duration retry_delay;
};

Consumer::Consumer(Options options)
    : options_(std::move(options)),
      own_connection_(std::make_unique<Connection>(options_.target, options_.security)),
      connection_(*own_connection_) {}

Consumer::Consumer(Connection& connection, Options options)
    : options_(std::move(options)), connection_(connection) {}

Consumer::~Consumer() = default;

absl::Status Consumer::Run(const Handler& handler) {
  threads_.emplace_back([this] { Keep(); });
  for (int i = 0; i < std::max(options_.concurrency, 1); ++i) {
    threads_.emplace_back([this, &handler] { Work(handler); });
  }
  absl::Status result;
  while (!stopped()) {
    const StreamEnd end = RunStream();
    if (end.result.has_value()) {
      result = *end.result;
      break;
    }
    if (stopped()) break;
    const absl::Duration delay = DelayAfter(end);
    if (options_.disconnected) options_.disconnected(end.why, delay);
    const absl::Duration until = Now() + delay;
    absl::MutexLock lock(&mu_);
    while (!stopped_ && Now() < until) changed_.WaitWithTimeout(&mu_, until - Now());
  }
  EndThreads();
  return result;
}

void Consumer::Stop() {
  absl::MutexLock lock(&mu_);
  StopTaking();
}

void Consumer::StopTaking() {
  if (stopped_) return;
  stopped_ = true;
  stop_deadline_ = Now() + options_.stop_grace;
  // The stream's end gives them back.
  for (const v1::Delivery& delivery : waiting_) leases_.erase(delivery.delivery_id());
  waiting_.clear();
  // A stream that is not open yet has nothing to finish.
  if (stream_ == nullptr && call_ != nullptr) call_->TryCancel();
  changed_.SignalAll();
}

Consumer::StreamEnd Consumer::RunStream() {
  StreamEnd end;
  grpc::ClientContext context;
  SetCall(&context);
  std::atomic<bool> silent = false;
  Watchdog watchdog([&context, &silent] {
    silent = true;
    context.TryCancel();
  });
  heartbeat_interval_ = options_.heartbeat_interval;
  watchdog.Arm(options_.open_timeout);
  const auto stream = connection_.subscriptions().Consume(&context);
  stream->Write(OpenFrame(options_));
  v1::ConsumeResponse frame;
  while (stream->Read(&frame)) {
    if (frame.has_opened()) BeginStream(stream.get());
    HandleFrame(frame, end);
    watchdog.Arm(kIntervalsUntilDead * heartbeat_interval_);
  }
  EndStream();
  const GatewayError error = ReadGatewayError(stream->Finish());
  SetCall(nullptr);
  if (stopped()) return end;
  end.why = Explain(error, "cannot consume", connection_.target());
  if (silent) {
    end.why = absl::UnavailableError(
        absl::StrCat("nothing came from the gateway at ", connection_.target(), " for too long"));
  } else if (IsPermanent(end.why.code())) {
    end.result = end.why;
  } else if (end.why.ok()) {
    end.why = absl::UnavailableError(
        absl::StrCat("the gateway at ", connection_.target(), " ended the stream"));
  }
  end.retry_delay = error.retry_delay;
  return end;
}

void Consumer::HandleFrame(const v1::ConsumeResponse& frame, StreamEnd& end) {
  end.useful = end.useful || frame.has_deliveries() || frame.has_heartbeat();
  if (frame.has_opened()) {
    const auto interval = FromProto(frame.opened().heartbeat_interval(), "heartbeat_interval");
    if (interval.ok() && *interval > absl::ZeroDuration()) heartbeat_interval_ = *interval;
    const auto deadline = FromProto(frame.opened().ack_deadline(), "ack_deadline");
    absl::MutexLock lock(&mu_);
    if (deadline.ok() && *deadline > absl::ZeroDuration()) ack_deadline_ = *deadline;
  } else if (frame.has_deliveries()) {
    Accept(frame.deliveries());
  } else if (frame.has_ack_results()) {
    OnResults(frame.ack_results());
  } else if (frame.has_draining()) {
    const auto delay = FromProto(frame.draining().reconnect_delay(), "reconnect_delay");
    if (delay.ok()) end.reconnect_delay = *delay;
  }
}

void Consumer::Accept(const v1::ConsumeResponse::Deliveries& deliveries) {
  absl::MutexLock lock(&mu_);
  if (stopped_) return;  // Given back when the stream ends.
  const absl::Duration now = Now();
  for (const v1::Delivery& delivery : deliveries.deliveries()) {
    leases_[delivery.delivery_id()] = {now + ack_deadline_ / kExtensionsPerLease,
                                       now + options_.longest_lease};
    TakeOver(delivery);
  }
  changed_.SignalAll();
}

// Of one event only the newest delivery matters.
void Consumer::TakeOver(const v1::Delivery& delivery) {
  const int64_t sequence = delivery.event().sequence();
  const auto running = running_.find(sequence);
  if (running != running_.end()) {
    leases_.erase(running->second);
    running->second = delivery.delivery_id();
    return;
  }
  const auto waiting = std::find_if(
      waiting_.begin(), waiting_.end(),
      [sequence](const v1::Delivery& other) { return other.event().sequence() == sequence; });
  if (waiting == waiting_.end()) {
    waiting_.push_back(delivery);
  } else {
    leases_.erase(waiting->delivery_id());
    *waiting = delivery;
  }
}

void Consumer::OnResults(const v1::ConsumeResponse::AckResults& results) {
  absl::MutexLock lock(&mu_);
  for (const v1::AckResult& result : results.results()) {
    const auto extension = extensions_.find(result.delivery_id());
    if (extension == extensions_.end()) {
      unanswered_.erase(result.delivery_id());
    } else if (--extension->second == 0) {
      extensions_.erase(extension);
    }
  }
  changed_.SignalAll();
}

void Consumer::BeginStream(Stream* stream) {
  absl::MutexLock lock(&mu_);
  stream_ = stream;
  ended_ = false;
  changed_.SignalAll();
}

void Consumer::EndStream() {
  absl::MutexLock lock(&mu_);
  stream_ = nullptr;
  while (writing_) changed_.Wait(&mu_);
  waiting_.clear();  // The gateway has them back.
  leases_.clear();
  extensions_.clear();
  outbox_.clear();
  for (const auto& [id, verdict] : unanswered_) outbox_.push_back(verdict);
}

void Consumer::SetCall(grpc::ClientContext* call) {
  absl::MutexLock lock(&mu_);
  call_ = call;
  if (stopped_ && call_ != nullptr) call_->TryCancel();
}

absl::Duration Consumer::DelayAfter(const StreamEnd& end) {
  if (end.reconnect_delay.has_value()) {
    failures_ = 0;  // It was the gateway's will, not its trouble.
    return std::max(*end.reconnect_delay, absl::ZeroDuration());
  }
  failures_ = end.useful ? 1 : std::min(failures_ + 1, 1000);
  return std::max(BackoffDelay(options_.backoff, failures_, random_), end.retry_delay);
}

void Consumer::Work(const Handler& handler) {
  while (true) {
    v1::Delivery delivery;
    {
      absl::MutexLock lock(&mu_);
      while (waiting_.empty() && !over_) changed_.Wait(&mu_);
      if (waiting_.empty()) return;
      delivery = std::move(waiting_.front());
      waiting_.pop_front();
      running_[delivery.event().sequence()] = delivery.delivery_id();
      if (++begun_ == options_.max_events) StopTaking();
    }
    const Verdict verdict = handler(delivery);
    absl::MutexLock lock(&mu_);
    const auto running = running_.find(delivery.event().sequence());
    const std::string id = running->second;
    running_.erase(running);
    leases_.erase(id);
    outbox_.push_back(VerdictFrame(id, verdict));
    unanswered_[id] = outbox_.back();
    changed_.SignalAll();
  }
}

void Consumer::Keep() {
  absl::MutexLock lock(&mu_);
  while (!over_) {
    const absl::Duration now = Now();
    if (now >= stop_deadline_ && call_ != nullptr) call_->TryCancel();
    QueueExtensions(now);
    if (stream_ == nullptr || ended_ || (outbox_.empty() && !(stopped_ && Settled()))) {
      changed_.WaitWithTimeout(&mu_, NextWake(now) - now);
      continue;
    }
    Stream* const stream = stream_;
    std::optional<v1::ConsumeRequest> frame;
    if (!outbox_.empty()) {
      frame = std::move(outbox_.front());
      outbox_.pop_front();
    }
    ended_ = !frame.has_value();
    writing_ = true;
    mu_.Unlock();  // A write may wait for the network.
    if (frame.has_value()) {
      stream->Write(*frame);
    } else {
      stream->WritesDone();
    }
    mu_.Lock();
    writing_ = false;
    changed_.SignalAll();
  }
}

void Consumer::QueueExtensions(absl::Duration now) {
  if (stream_ == nullptr || ended_) return;
  v1::ConsumeRequest frame;
  for (auto& [id, lease] : leases_) {
    if (now < lease.extend_at || now >= lease.until) continue;
    lease.extend_at = now + ack_deadline_ / kExtensionsPerLease;
    frame.mutable_extend()->add_items()->set_delivery_id(id);
    ++extensions_[id];
  }
  if (frame.has_extend()) outbox_.push_back(std::move(frame));
}

bool Consumer::Settled() const {
  return running_.empty() && outbox_.empty() && unanswered_.empty();
}

absl::Duration Consumer::NextWake(absl::Duration now) const {
  absl::Duration next = now < stop_deadline_ ? stop_deadline_ : absl::InfiniteDuration();
  if (stream_ == nullptr || ended_) return next;
  for (const auto& [id, lease] : leases_) {
    if (lease.extend_at < lease.until) next = std::min(next, lease.extend_at);
  }
  return next;
}

void Consumer::EndThreads() {
  {
    absl::MutexLock lock(&mu_);
    over_ = true;
    changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

bool Consumer::stopped() const {
  absl::MutexLock lock(&mu_);
  return stopped_;
}

}  // namespace hookgate
