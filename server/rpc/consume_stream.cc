#include "server/rpc/consume_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/rpc/byte_buffer.h"
#include "server/rpc/grpc_status.h"

namespace hookgate {
namespace {

using hookgate::v1::ConsumeRequest;
using hookgate::v1::ConsumeResponse;

// Items of acks that a client may have unanswered before it is no longer read from.
constexpr int64_t kMaxUnanswered = 10'000;

constexpr int64_t kMaxMessages = 10'000;
constexpr int64_t kMaxBytes = 256 << 20;
constexpr absl::Duration kDefaultHeartbeat = absl::Seconds(15);
constexpr absl::Duration kMinHeartbeat = absl::Milliseconds(100);
constexpr absl::Duration kMaxHeartbeat = absl::Minutes(10);
// A client that has closed its side and does not read keeps its leases no longer.
constexpr absl::Duration kCloseGrace = absl::Seconds(1);

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

absl::StatusOr<ConsumerLimits> LimitsOf(const ConsumeRequest::Open& open) {
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

// A frame of a stream that works is moved into its range, rather than end the stream.
ConsumerLimits Clamped(const hookgate::v1::FlowLimits& flow) {
  const ConsumerLimits limits = LimitsOf(flow);
  return {.max_messages = std::clamp<int64_t>(limits.max_messages, 0, kMaxMessages),
          .max_bytes = std::clamp<int64_t>(limits.max_bytes, 0, kMaxBytes)};
}

absl::StatusOr<absl::Duration> HeartbeatOf(const ConsumeRequest::Open& open) {
  if (!open.has_heartbeat_interval()) return kDefaultHeartbeat;
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

ConsumeStream::ConsumeStream(Caller caller, const ConsumeContext& context)
    : caller_(std::move(caller)), context_(context), last_write_(context.clock.MonotonicNow()) {}

void ConsumeStream::Start() { ReadOn(); }

void ConsumeStream::OnReadDone(bool ok) {
  if (!ok) {  // The client has closed its side, or is gone: then OnCancel comes before OnDone.
    End(absl::OkStatus(), absl::nullopt);
    return;
  }
  ConsumeRequest request;
  const absl::Status handled = ParseByteBuffer(request_, request)
                                   ? Handle(request)
                                   : InvalidFrame("a frame is no ConsumeRequest");
  if (!handled.ok()) {
    End(handled, DeliveryCause::kStreamLost);  // As if it had crashed: an event may lead to this.
    return;
  }
  ReadOn();
}

void ConsumeStream::ReadOn() {
  const std::shared_ptr<ConsumeStream> self = shared_from_this();
  {
    absl::MutexLock lock(&mu_);
    if (end_.has_value()) return;
    reading_paused_ = unanswered_ + results_.ack_results().results_size() >= kMaxUnanswered;
    if (reading_paused_) return;
    ++starting_reads_;
  }
  StartRead(&request_);
  {
    absl::MutexLock lock(&mu_);
    --starting_reads_;
  }
  Pump();
}

absl::Status ConsumeStream::Handle(const ConsumeRequest& request) {
  if (subscription_ == nullptr) {
    return request.has_open() ? Open(request.open()) : InvalidFrame("the first frame must be Open");
  }
  AckItems items;
  switch (request.frame_case()) {
    case ConsumeRequest::kOpen:
      return InvalidFrame("Open was sent twice; a stream serves one subscription");
    case ConsumeRequest::kAck:
      AppendItems(request.ack(), subscription_->delivery_ids(), items);
      break;
    case ConsumeRequest::kNack:
      AppendItems(request.nack(), subscription_->delivery_ids(), items);
      break;
    case ConsumeRequest::kExtend:
      AppendItems(request.extend(), subscription_->delivery_ids(), items);
      break;
    case ConsumeRequest::kFlow: {
      StreamId stream = 0;
      {
        absl::MutexLock lock(&mu_);
        stream = stream_;
      }
      subscription_->SetLimits(stream, Clamped(request.flow()));
      return absl::OkStatus();
    }
    case ConsumeRequest::FRAME_NOT_SET:
      return InvalidFrame("a frame is empty: it must be Ack, Nack, Extend or Flow");
  }
  Settle(std::move(items));
  return absl::OkStatus();
}

absl::Status ConsumeStream::Open(const ConsumeRequest::Open& open) {
  {
    absl::MutexLock lock(&mu_);
    wanted_ = open.subscription();  // From here on Recheck knows what to look at.
  }
  RETURN_IF_ERROR(caller_.CheckConsume(open.subscription()));
  RETURN_IF_ERROR(CheckConsumerName(open.consumer_name(), "open.consumer_name"));
  ASSIGN_OR_RETURN(const ConsumerLimits limits, LimitsOf(open));
  ASSIGN_OR_RETURN(heartbeat_interval_, HeartbeatOf(open));
  ASSIGN_OR_RETURN(subscription_, context_.subscriptions.Find(open.subscription()));
  include_raw_body_ = open.include_raw_body();
  ASSIGN_OR_RETURN(const StreamId stream,
                   subscription_->Attach(open.consumer_name(), limits, open.include_raw_body(),
                                         shared_from_this()));
  ConsumeResponse response;
  auto& opened = *response.mutable_opened();
  opened.set_epoch(subscription_->history().epoch);
  opened.set_subscription(subscription_->name());
  opened.set_consumer_name(open.consumer_name());
  opened.mutable_limits()->set_max_outstanding_messages(limits.max_messages);
  opened.mutable_limits()->set_max_outstanding_bytes(limits.max_bytes);
  *opened.mutable_ack_deadline() = subscription_->GetStatus().settings.ack_deadline();
  *opened.mutable_heartbeat_interval() = ToProto(heartbeat_interval_);
  bool ended = false;
  {
    absl::MutexLock lock(&mu_);
    stream_ = stream;
    opened_ = true;
    description_ = absl::StrCat(open.subscription(), " as ", open.consumer_name());
    ended = end_.has_value();
    if (!ended) frames_.push_front({FrameKind::kOpened, response.SerializeAsString()});
  }
  if (ended) subscription_->Detach(stream, DeliveryCause::kStreamEnded, /*keep_leases=*/false);
  caller_.LogLine(Severity::kInfo, "consumer attached",
                  {{"subscription", open.subscription()}, {"consumer", open.consumer_name()}});
  AwaitHeartbeat();
  Pump();
  return absl::OkStatus();
}

void ConsumeStream::Settle(AckItems items) {
  {
    absl::MutexLock lock(&mu_);
    unanswered_ += static_cast<int64_t>(items.items.size());
  }
  subscription_->Settle(std::move(items.items),
                        [self = shared_from_this(), ids = std::move(items.ids)](
                            const absl::StatusOr<std::vector<AckOutcome>>& outcomes) {
                          self->OnSettled(ids, outcomes);
                        });
}

void ConsumeStream::OnSettled(const std::vector<std::string>& ids,
                              const absl::StatusOr<std::vector<AckOutcome>>& outcomes) {
  {
    absl::MutexLock lock(&mu_);
    unanswered_ -= static_cast<int64_t>(ids.size());
    if (outcomes.ok()) {
      auto& results = *results_.mutable_ack_results();
      for (size_t i = 0; i < ids.size(); ++i) {
        *results.add_results() = ToProto(ids[i], (*outcomes)[i]);
      }
    }
  }
  if (!outcomes.ok()) End(outcomes.status(), DeliveryCause::kStreamEnded);
  Pump();
}

void ConsumeStream::OnDeliveries(std::vector<Delivery> deliveries) {
  std::string frame = EncodeDeliveriesFrame(
      deliveries, {subscription_->delivery_ids(), subscription_->history(), include_raw_body_});
  {
    absl::MutexLock lock(&mu_);
    if (end_.has_value()) return;  // Detach has given them back, or is about to.
    frames_.push_back({FrameKind::kDeliveries, std::move(frame)});
  }
  Pump();
}

void ConsumeStream::OnEnd(const absl::Status& status) { End(status, DeliveryCause::kStreamEnded); }

void ConsumeStream::Drain(absl::Duration reconnect_delay) {
  bool opened = false;
  {
    absl::MutexLock lock(&mu_);
    opened = opened_;
  }
  ConsumeResponse response;
  *response.mutable_draining()->mutable_reconnect_delay() = ToProto(reconnect_delay);
  End(ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                      "the gateway is going down: reconnect after the delay"),
      DeliveryCause::kGatewayRestarted, opened ? response.SerializeAsString() : "");
}

void ConsumeStream::Recheck() {
  std::string wanted;
  {
    absl::MutexLock lock(&mu_);
    wanted = wanted_;
  }
  if (wanted.empty()) return;  // Open will look.
  const absl::Status allowed = caller_.CheckConsume(wanted);
  if (!allowed.ok()) End(allowed, DeliveryCause::kStreamEnded);
}

void ConsumeStream::OnCancel() {
  {
    absl::MutexLock lock(&mu_);
    cancelled_ = true;
  }
  End(absl::CancelledError("the client has gone"), DeliveryCause::kStreamLost);
  Release(DeliveryCause::kStreamLost);
  Pump();  // Also if the end has begun before: there is nobody left to wait for.
}

void ConsumeStream::End(const absl::Status& status, absl::optional<DeliveryCause> why,
                        std::string farewell) {
  StreamId stream = 0;
  {
    absl::MutexLock lock(&mu_);
    if (end_.has_value()) return;
    end_ = status;
    farewell_ = std::move(farewell);
    const bool unsent_opened = !frames_.empty() && frames_.front().kind == FrameKind::kOpened;
    frames_.resize(unsent_opened ? 1 : 0, Frame{});
    stream = stream_;
  }
  if (why.has_value()) {
    Release(*why);
  } else if (stream != 0) {
    subscription_->StopDeliveries(stream);
    context_.watch.Await(HeadWatch::kWhateverTheHead, context_.clock.MonotonicNow() + kCloseGrace,
                         shared_from_this());
  }
  Pump();
}

void ConsumeStream::Release(DeliveryCause why) {
  StreamId stream = 0;
  {
    absl::MutexLock lock(&mu_);
    stream = stream_;
  }
  if (stream != 0) subscription_->Detach(stream, why, /*keep_leases=*/false);
}

void ConsumeStream::Pump() {
  // Once the call has ended, gRPC may be done with it at any moment.
  const std::shared_ptr<ConsumeStream> self = shared_from_this();
  absl::optional<absl::Status> end;
  std::string description;
  {
    absl::MutexLock lock(&mu_);
    if (writing_ || finished_) return;
    absl::optional<Frame> next = NextFrame();
    if (next.has_value()) {
      writing_ = true;
      written_ = next->kind;
      frame_ = ToByteBuffer(std::move(next->bytes));
    } else if (end_.has_value() && starting_reads_ == 0 && (unanswered_ == 0 || cancelled_)) {
      finished_ = true;
      end = *end_;
      description = description_;
    } else {
      return;
    }
  }
  if (!end.has_value()) {
    StartWrite(&frame_);
    return;
  }
  caller_.LogLine(Severity::kInfo, "consumer detached",
                  {{"from", description}, {"status", end->ToString()}});
  Finish(ToGrpcStatus(*end));
}

absl::optional<ConsumeStream::Frame> ConsumeStream::NextFrame() {
  if (cancelled_ || (!opened_ && !end_.has_value())) return absl::nullopt;
  const bool opened_is_next = !frames_.empty() && frames_.front().kind == FrameKind::kOpened;
  if (results_.has_ack_results() && !opened_is_next) {
    Frame results{FrameKind::kResults, results_.SerializeAsString()};
    results_.Clear();
    return results;
  }
  if (!frames_.empty()) {
    Frame next = std::move(frames_.front());
    frames_.pop_front();
    return next;
  }
  if (end_.has_value() && unanswered_ == 0 && !farewell_.empty()) {
    return Frame{FrameKind::kDraining, std::exchange(farewell_, "")};
  }
  return absl::nullopt;
}

void ConsumeStream::OnWriteDone(bool ok) {
  const std::shared_ptr<ConsumeStream> self = shared_from_this();
  FrameKind written;
  StreamId stream = 0;
  bool await_heartbeat = false;
  bool read_on = false;
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    written = written_;
    stream = stream_;
    last_write_ = context_.clock.MonotonicNow();
    if (!ok) cancelled_ = true;
    await_heartbeat = std::exchange(heartbeat_waits_for_write_, false);
    read_on = written == FrameKind::kResults && std::exchange(reading_paused_, false);
  }
  if (!ok) {
    End(absl::CancelledError("the client has gone"), DeliveryCause::kStreamLost);
    Release(DeliveryCause::kStreamLost);
  }
  if (ok && written == FrameKind::kDeliveries) subscription_->Ready(stream);
  if (await_heartbeat || written == FrameKind::kHeartbeat) AwaitHeartbeat();
  Pump();
  if (read_on) ReadOn();
}

void ConsumeStream::AwaitHeartbeat() {
  absl::Duration due;
  {
    absl::MutexLock lock(&mu_);
    if (end_.has_value()) return;
    due = last_write_ + heartbeat_interval_;
  }
  context_.watch.Await(HeadWatch::kWhateverTheHead, due, shared_from_this());
}

void ConsumeStream::Wake() {
  bool due = false;
  bool ended = false;
  {
    absl::MutexLock lock(&mu_);
    ended = end_.has_value();
    if (!ended && writing_) {
      heartbeat_waits_for_write_ = true;
      return;
    }
    due = context_.clock.MonotonicNow() >= last_write_ + heartbeat_interval_;
  }
  if (ended) {
    Release(DeliveryCause::kStreamEnded);  // After kCloseGrace.
  } else if (due) {
    SendHeartbeat();
  } else {
    AwaitHeartbeat();
  }
}

void ConsumeStream::SendHeartbeat() {
  ConsumeResponse response;
  auto& heartbeat = *response.mutable_heartbeat();
  *heartbeat.mutable_backlog() = ToProto(subscription_->GetBacklog());
  *heartbeat.mutable_server_time() = ToProto(context_.clock.WallNow());
  AddConditions(subscription_->Conditions(), *heartbeat.mutable_conditions());
  {
    absl::MutexLock lock(&mu_);
    if (end_.has_value()) return;
    frames_.push_back({FrameKind::kHeartbeat, response.SerializeAsString()});
  }
  Pump();
}

void ConsumeStream::OnDone() {
  Release(DeliveryCause::kStreamEnded);
  context_.watch.Forget(this);
  context_.registry.Remove(this);
}

}  // namespace hookgate
