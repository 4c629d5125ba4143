#include "client/consumer.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/connection.h"
#include "client/gateway_error.h"
#include "client/watchdog.h"
#include "common/clock.h"
#include "common/monotonic_cond_var.h"
#include "grpcpp/client_context.h"
#include "server/base/proto_time.h"
#include "server/base/utf8.h"

namespace hookgate {
namespace {

// As the subscriber's: heartbeats may be late once and lost never.
constexpr double kIntervalsUntilDead = 2.5;
// How late a wait may notice a stop while the transport connects.
constexpr absl::Duration kLongestConnecting = absl::Milliseconds(50);
// A lease is extended when a third of it has passed: two more tries fit.
constexpr int kExtensionsPerLease = 3;
constexpr int64_t kMostBytes = 64 << 20;
// What the gateway keeps of a reason, and makes of a longer delay.
constexpr size_t kMostReasonBytes = 1024;
constexpr absl::Duration kLongestDelay = absl::Hours(12);
// Acks of handlers that end at about the same time go in one frame: the gateway makes each frame
// durable, and would be kept busy by single acks. None waits for longer, or when no handler runs.
constexpr int kMostAcksInFrame = 256;
constexpr absl::Duration kAcksTogether = absl::Milliseconds(1);
// How long a gateway may take to answer the end of a stream, before the stream is cut off: long
// enough for acks that wait for a slow disk.
constexpr absl::Duration kEndPatience = absl::Seconds(10);

absl::Duration Now() { return SystemClock().MonotonicNow(); }

v1::ConsumeRequest OpenFrame(const Consumer::Options& options) {
  v1::ConsumeRequest frame;
  v1::ConsumeRequest::Open& open = *frame.mutable_open();
  open.set_subscription(options.subscription);
  open.set_consumer_name(options.consumer_name);
  // With 0 the gateway would hand out nothing.
  open.mutable_limits()->set_max_outstanding_messages(std::max(options.concurrency, 1));
  open.mutable_limits()->set_max_outstanding_bytes(kMostBytes);
  *open.mutable_heartbeat_interval() = ToProto(options.heartbeat_interval);
  open.set_include_raw_body(options.include_raw_body);
  return frame;
}

v1::ConsumeRequest NackFrame(const std::string& delivery_id, const Verdict& verdict) {
  v1::ConsumeRequest frame;
  v1::Nack::Item& item = *frame.mutable_nack()->add_items();
  item.set_delivery_id(delivery_id);
  // A message with other bytes is refused, and the stream with it.
  item.set_reason(AsUtf8(verdict.reason, kMostReasonBytes));
  if (verdict.kind == Verdict::Kind::kDeadLetter) {
    item.set_dead_letter(true);
  } else if (verdict.delay.has_value()) {
    *item.mutable_delay() =
        ToProto(std::clamp(*verdict.delay, absl::ZeroDuration(), kLongestDelay));
  }
  return frame;
}

Consumer::Options WithName(Consumer::Options options) {
  if (options.consumer_name.empty()) options.consumer_name = UniqueConsumerName();
  return options;
}

}  // namespace

std::string UniqueConsumerName() {
  char host[65] = "";  // Linux knows none that is longer than 64 bytes.
  gethostname(host, sizeof(host) - 1);
  std::string name = host[0] == '\0' ? "localhost" : host;
  for (char& c : name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) c = '_';
  }
  // Containers have process ids, and often host names, in common.
  absl::BitGen random;
  return absl::StrFormat("%s-%d-%012x", name, getpid(),
                         absl::Uniform<uint64_t>(random, 0, uint64_t{1} << 48));
}

bool Hold::lost() const {
  absl::MutexLock lock(&mu_);
  return lost_;
}

void Hold::OnLost(std::function<void()> then) {
  absl::MutexLock lock(&mu_);
  then_ = std::move(then);
  if (lost_ && then_) std::exchange(then_, nullptr)();
}

void Hold::Lose() {
  // With the lock held, so that what `then_` refers to is still there.
  absl::MutexLock lock(&mu_);
  lost_ = true;
  if (then_) std::exchange(then_, nullptr)();
}

void Hold::Close() {
  absl::MutexLock lock(&mu_);
  then_ = nullptr;
}

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
    : options_(WithName(std::move(options))),
      own_connection_(std::make_unique<Connection>(options_.target, options_.security)),
      connection_(*own_connection_),
      changed_(std::make_unique<MonotonicCondVar>()) {}

Consumer::Consumer(Connection& connection, Options options)
    : options_(WithName(std::move(options))),
      connection_(connection),
      changed_(std::make_unique<MonotonicCondVar>()) {}

Consumer::~Consumer() = default;

absl::Status Consumer::Run(const Handler& handler) {
  return Run([&handler](const v1::Delivery& delivery, Hold&) { return handler(delivery); });
}

absl::Status Consumer::Run(const HoldingHandler& handler) {
  if (!connection_.status().ok()) return connection_.status();
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
    if (options_.observers.disconnected) options_.observers.disconnected(end.why, delay);
    const absl::Duration until = Now() + delay;
    while (!stopped() && Now() < until) {
      const absl::Duration left = until - Now();
      if (connection_.AwaitConnecting(std::min(left, kLongestConnecting))) continue;
      absl::MutexLock lock(&mu_);
      if (!stopped_) changed_->WaitWithTimeout(&mu_, left);
    }
  }
  EndThreads();
  return result;
}

void Consumer::Stop() {
  absl::MutexLock lock(&mu_);
  StopTaking();
}

void Consumer::StopAndGiveBack() {
  Holds holds;
  {
    absl::MutexLock lock(&mu_);
    StopTaking();
    BeginGivingBack(Now());
    holds = AllHolds();
  }
  LoseAll(holds);
}

void Consumer::BeginGivingBack(absl::Duration now) {
  stop_deadline_ = absl::InfiniteDuration();
  end_deadline_ = std::min(end_deadline_, now + options_.give_back_grace);
  if (cut_ != nullptr) cut_->Arm(options_.give_back_grace + kEndPatience);
  changed_->SignalAll();
}

void Consumer::StopTaking() {
  if (stopped_) return;
  stopped_ = true;
  stop_deadline_ = Now() + options_.stop_grace;
  // By another thread than the keeper, which may wait in a write that the gateway does not take.
  if (cut_ != nullptr) {
    cut_->Arm(options_.stop_grace + options_.give_back_grace + kEndPatience);
  }
  // The stream's end gives them back.
  for (const v1::Delivery& delivery : waiting_) leases_.erase(delivery.delivery_id());
  waiting_.clear();
  // A call that has not reached a gateway has nothing to finish.
  if (stream_ == nullptr && call_ != nullptr) call_->TryCancel();
  changed_->SignalAll();
}

Consumer::StreamEnd Consumer::RunStream() {
  StreamEnd end;
  grpc::ClientContext context;
  Watchdog cut([&context] { context.TryCancel(); });
  SetCall(&context, &cut);
  std::atomic<bool> silent = false;
  Watchdog watchdog([&context, &silent] {
    silent = true;
    context.TryCancel();
  });
  heartbeat_interval_ = options_.heartbeat_interval;
  watchdog.Arm(options_.open_timeout);
  const std::string token = connection_.CurrentToken();
  const auto stream = connection_.subscriptions().Consume(&context);
  if (stream->Write(OpenFrame(options_))) BeginStream(stream.get());
  v1::ConsumeResponse frame;
  while (stream->Read(&frame)) {
    HandleFrame(frame, end);
    watchdog.Arm(kIntervalsUntilDead * heartbeat_interval_);
  }
  EndStream();
  const GatewayError error = ReadGatewayError(stream->Finish());
  SetCall(nullptr, nullptr);
  if (stopped()) return end;
  end.retry_delay = error.retry_delay;
  end.why = silent ? absl::UnavailableError(absl::StrCat("nothing came from the gateway at ",
                                                         connection_.target(), " for too long"))
                   : WhyEnded(error, token, end);
  return end;
}

absl::Status Consumer::WhyEnded(const GatewayError& error, const std::string& token,
                                StreamEnd& end) const {
  const absl::Status why = Explain(error, "cannot consume", connection_.target());
  if (connection_.IsFinal(error, token)) end.result = why;
  if (!why.ok()) return why;
  return absl::UnavailableError(
      absl::StrCat("the gateway at ", connection_.target(), " ended the stream"));
}

void Consumer::HandleFrame(v1::ConsumeResponse& frame, StreamEnd& end) {
  // After a stop, nothing is told.
  static const Observers kNobody;
  const Observers& observers = stopped() ? kNobody : options_.observers;
  end.useful = end.useful || frame.has_deliveries() || frame.has_heartbeat();
  if (frame.has_opened()) {
    const auto interval = FromProto(frame.opened().heartbeat_interval(), "heartbeat_interval");
    if (interval.ok() && *interval > absl::ZeroDuration()) heartbeat_interval_ = *interval;
    OnOpened(frame.opened());
    if (observers.opened) observers.opened(frame.opened());
  } else if (frame.has_deliveries()) {
    Accept(*frame.mutable_deliveries());
  } else if (frame.has_ack_results()) {
    OnResults(frame.ack_results());
  } else if (frame.has_heartbeat()) {
    if (observers.heartbeat) observers.heartbeat(frame.heartbeat());
  } else if (frame.has_draining()) {
    const auto delay = FromProto(frame.draining().reconnect_delay(), "reconnect_delay");
    if (delay.ok()) end.reconnect_delay = *delay;
    if (observers.draining) observers.draining(frame.draining());
  }
}

void Consumer::Accept(v1::ConsumeResponse::Deliveries& deliveries) {
  absl::MutexLock lock(&mu_);
  if (stopped_) return;  // Given back when the stream ends.
  const absl::Duration now = Now();
  const absl::Duration extend_at = now + ack_deadline_ / kExtensionsPerLease;
  for (v1::Delivery& delivery : *deliveries.mutable_deliveries()) {
    leases_[delivery.delivery_id()] = {
        .extend_at = extend_at, .until = now + options_.longest_lease, .ends = now + ack_deadline_};
    TakeOver(delivery);
  }
  WakeWorker();
  if (extend_at < next_lease_) {
    next_lease_ = extend_at;
    changed_->SignalAll();
  }
}

// Of one event only the newest delivery matters.
void Consumer::TakeOver(v1::Delivery& delivery) {
  const int64_t sequence = delivery.event().sequence();
  const auto running = running_.find(sequence);
  if (running != running_.end()) {
    leases_.erase(running->second.delivery_id);
    running->second.delivery_id = delivery.delivery_id();
    running->second.again = std::move(delivery);
    return;
  }
  const auto waiting = std::find_if(
      waiting_.begin(), waiting_.end(),
      [sequence](const v1::Delivery& other) { return other.event().sequence() == sequence; });
  if (waiting == waiting_.end()) {
    waiting_.push_back(std::move(delivery));
  } else {
    leases_.erase(waiting->delivery_id());
    *waiting = std::move(delivery);
  }
}

void Consumer::OnResults(const v1::ConsumeResponse::AckResults& results) {
  Holds lost;
  {
    absl::MutexLock lock(&mu_);
    for (const v1::AckResult& result : results.results()) {
      const auto extensions = extensions_.find(result.delivery_id());
      if (extensions == extensions_.end()) {
        unanswered_.erase(result.delivery_id());
        continue;
      }
      const absl::Duration asked_at = extensions->second.front();
      extensions->second.pop_front();
      if (extensions->second.empty()) extensions_.erase(extensions);
      const auto lease = leases_.find(result.delivery_id());
      if (lease == leases_.end()) continue;
      if (result.result() == v1::AckResult::RESULT_ALREADY ||
          result.result() == v1::AckResult::RESULT_LEASE_LOST ||
          result.result() == v1::AckResult::RESULT_UNKNOWN) {
        leases_.erase(lease);
        const Holds holds = TakeHoldOf(result.delivery_id());
        lost.insert(lost.end(), holds.begin(), holds.end());
      } else {
        lease->second.ends = std::max(lease->second.ends, asked_at + ack_deadline_);
      }
    }
    if (stopped_) changed_->SignalAll();  // All may be settled.
  }
  LoseAll(lost);
}

void Consumer::BeginStream(Stream* stream) {
  absl::MutexLock lock(&mu_);
  stream_ = stream;
  opened_ = false;
  ended_ = false;
  changed_->SignalAll();
}

void Consumer::OnOpened(const v1::ConsumeResponse::Opened& opened) {
  const auto deadline = FromProto(opened.ack_deadline(), "ack_deadline");
  absl::MutexLock lock(&mu_);
  if (deadline.ok() && *deadline > absl::ZeroDuration()) ack_deadline_ = *deadline;
  opened_ = true;
  changed_->SignalAll();
}

void Consumer::EndStream() {
  Holds lost;
  {
    absl::MutexLock lock(&mu_);
    stream_ = nullptr;
    opened_ = false;
    while (writing_) changed_->Wait(&mu_);
    // The gateway has them back.
    lost = AllHolds();
    for (auto& [sequence, running] : running_) running.again.reset();
    waiting_.clear();
    leases_.clear();
    next_lease_ = absl::InfiniteDuration();
    extensions_.clear();
    outbox_.clear();
    for (const auto& [id, verdict] : unanswered_) Send(id, verdict);
  }
  LoseAll(lost);
}

Consumer::Holds Consumer::AllHolds() const {
  Holds holds;
  for (const auto& [sequence, running] : running_) holds.push_back(running.hold);
  return holds;
}

Consumer::Holds Consumer::TakeHoldOf(const std::string& delivery_id) {
  const auto is_it = [&delivery_id](const v1::Delivery& waiting) {
    return waiting.delivery_id() == delivery_id;
  };
  waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(), is_it), waiting_.end());
  for (auto& [sequence, running] : running_) {
    if (running.delivery_id != delivery_id) continue;
    running.again.reset();
    return {running.hold};
  }
  return {};
}

void Consumer::LoseAll(const Holds& holds) {
  for (const std::shared_ptr<Hold>& hold : holds) hold->Lose();
}

void Consumer::SetCall(grpc::ClientContext* call, Watchdog* cut) {
  absl::MutexLock lock(&mu_);
  call_ = call;
  cut_ = cut;
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

void Consumer::Work(const HoldingHandler& handler) {
  absl::MutexLock lock(&mu_);
  while (true) {
    ++idle_;
    while (waiting_.empty() && !over_) {
      has_work_.Wait(&mu_);
      waking_ = false;
    }
    --idle_;
    if (waiting_.empty()) return;
    const v1::Delivery delivery = std::move(waiting_.front());
    waiting_.pop_front();
    const int64_t sequence = delivery.event().sequence();
    const auto hold = std::make_shared<Hold>();
    running_[sequence] = {delivery.delivery_id(), hold, std::nullopt};
    if (++begun_ == options_.max_events) StopTaking();
    WakeWorker();
    mu_.Unlock();
    Verdict verdict = handler(delivery, *hold);
    hold->Close();
    mu_.Lock();
    const bool was_empty = outbox_.empty();
    Settle(sequence, std::move(verdict));
    // Now it has something to write, or a time at which to do so.
    if (was_empty || stopped_ || ShouldWrite(absl::ZeroDuration())) changed_->SignalAll();
  }
}

void Consumer::WakeWorker() {
  if (waiting_.empty() || idle_ == 0 || waking_) return;
  waking_ = true;
  has_work_.Signal();
}

void Consumer::Settle(int64_t sequence, Verdict verdict) {
  const auto found = running_.find(sequence);
  Running running = std::move(found->second);
  running_.erase(found);
  const std::string& id = running.delivery_id;
  if (verdict.kind != Verdict::Kind::kGiveBack) {
    leases_.erase(id);
    Send(id, verdict);
    unanswered_[id] = std::move(verdict);
  } else if (!running.hold->lost()) {
    StopTaking();  // The lease stays, and is extended, until the stream ends.
  } else if (running.again.has_value() && !stopped_) {
    waiting_.push_front(*std::move(running.again));
    WakeWorker();
  }
}

void Consumer::Send(const std::string& delivery_id, const Verdict& verdict) {
  if (verdict.kind != Verdict::Kind::kAck) {
    outbox_.push_back(NackFrame(delivery_id, verdict));
    return;
  }
  if (outbox_.empty() || !outbox_.back().has_ack() ||
      outbox_.back().ack().delivery_ids_size() >= kMostAcksInFrame) {
    outbox_.emplace_back();
    write_at_ = Now() + kAcksTogether;
  }
  outbox_.back().mutable_ack()->add_delivery_ids(delivery_id);
}

void Consumer::Keep() {
  absl::MutexLock lock(&mu_);
  while (!over_) {
    const absl::Duration now = Now();
    Holds lost;
    if (now >= next_lease_) lost = LookAtLeases(now);
    if (now >= stop_deadline_) {
      BeginGivingBack(now);
      lost = AllHolds();
    }
    if (!lost.empty()) {
      mu_.Unlock();
      LoseAll(lost);
      mu_.Lock();
      continue;
    }
    if (now >= cut_deadline_ && call_ != nullptr) call_->TryCancel();
    const bool can_write = stream_ != nullptr && !ended_;
    if (can_write && (ShouldWrite(now) || ShouldEnd(now))) {
      WriteNext();
    } else {
      changed_->WaitWithTimeout(&mu_, NextWake(now) - now);
    }
  }
}

void Consumer::WriteNext() {
  Stream* const stream = stream_;
  std::optional<v1::ConsumeRequest> frame;
  if (opened_ && !outbox_.empty()) {
    frame = std::move(outbox_.front());
    outbox_.pop_front();
  } else {
    ended_ = true;
    cut_deadline_ = Now() + kEndPatience;
  }
  writing_ = true;
  mu_.Unlock();  // A write may wait for the network.
  if (frame.has_value()) {
    stream->Write(*frame);
  } else {
    stream->WritesDone();
  }
  mu_.Lock();
  writing_ = false;
  changed_->SignalAll();
}

Consumer::Holds Consumer::LookAtLeases(absl::Duration now) {
  Holds lost;
  v1::ConsumeRequest frame;
  const bool extends = stream_ != nullptr && opened_ && !ended_;
  next_lease_ = absl::InfiniteDuration();
  for (auto found = leases_.begin(); found != leases_.end();) {
    const std::string& id = found->first;
    Lease& lease = found->second;
    if (now >= lease.ends) {
      const Holds holds = TakeHoldOf(id);
      lost.insert(lost.end(), holds.begin(), holds.end());
      found = leases_.erase(found);
      continue;
    }
    if (extends && now >= lease.extend_at && now < lease.until) {
      lease.extend_at = now + ack_deadline_ / kExtensionsPerLease;
      frame.mutable_extend()->add_items()->set_delivery_id(id);
      extensions_[id].push_back(now);
    }
    next_lease_ = std::min(next_lease_, lease.ends);
    // One that is not extended any more is no reason to wake, or the keeper would not wait at all.
    if (extends && lease.extend_at < lease.until && now < lease.until) {
      next_lease_ = std::min(next_lease_, lease.extend_at);
    }
    ++found;
  }
  if (frame.has_extend()) outbox_.push_back(std::move(frame));
  return lost;
}

bool Consumer::Settled() const {
  return running_.empty() && outbox_.empty() && unanswered_.empty();
}

bool Consumer::ShouldWrite(absl::Duration now) const {
  if (!opened_ || outbox_.empty()) return false;
  const v1::ConsumeRequest& first = outbox_.front();
  return outbox_.size() > 1 || first.ack().delivery_ids_size() >= kMostAcksInFrame ||
         !first.has_ack() || running_.empty() || stopped_ || now >= write_at_;
}

bool Consumer::ShouldEnd(absl::Duration now) const {
  return stopped_ && (Settled() || !opened_ || now >= end_deadline_);
}

absl::Duration Consumer::NextWake(absl::Duration now) const {
  absl::Duration next = std::min(stop_deadline_, next_lease_);
  if (stream_ != nullptr && !ended_) {
    next = std::min(next, end_deadline_);
    if (opened_ && !outbox_.empty()) next = std::min(next, write_at_);
  }
  // Once it has cut off the stream there is nothing more to do.
  if (now < cut_deadline_) next = std::min(next, cut_deadline_);
  return next;
}

void Consumer::EndThreads() {
  {
    absl::MutexLock lock(&mu_);
    over_ = true;
    changed_->SignalAll();
    has_work_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

bool Consumer::stopped() const {
  absl::MutexLock lock(&mu_);
  return stopped_;
}

}  // namespace hookgate
