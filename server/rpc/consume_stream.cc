#include "server/rpc/consume_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/arena.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "server/delivery/capabilities.h"
#include "server/delivery/delivery_encoding.h"
#include "server/grpc_server/unary_method.h"

namespace hookgate {
namespace {

using hookgate::v1::ConsumeRequest;
using hookgate::v1::ConsumeResponse;
using Step = ConsumeSession::Step;

// A client that has closed its side and does not read keeps its leases no longer.
constexpr absl::Duration kCloseGrace = absl::Seconds(1);

// What becomes of the leases when a call ends so.
DeliveryCause CauseOf(CallEnd end) {
  switch (end) {
    case CallEnd::kFinished:
      return DeliveryCause::kStreamEnded;
    case CallEnd::kShutdown:
      return DeliveryCause::kGatewayRestarted;
    case CallEnd::kCancelled:
    case CallEnd::kConnectionLost:
    case CallEnd::kDeadline:
      break;
  }
  return DeliveryCause::kStreamLost;
}

}  // namespace

ConsumeStream::ConsumeStream(std::shared_ptr<Call> call, Caller caller,
                             const ConsumeContext& context)
    : call_(std::move(call)),
      caller_(std::move(caller)),
      context_(context),
      open_time_(context.clock.WallNow()),
      session_(context.clock) {}

void ConsumeStream::OnMessage(std::string bytes) {
  // Thousands of ids are thousands of strings: given back at once.
  google::protobuf::Arena arena;
  auto& request = *google::protobuf::Arena::CreateMessage<ConsumeRequest>(&arena);
  absl::Status handled = ParseRequest(bytes, request);
  if (handled.ok()) handled = Handle(request);
  if (!handled.ok()) {
    End(handled, DeliveryCause::kStreamLost);  // As if it had crashed: an event may lead to this.
    return;
  }
  ReadOn();
}

void ConsumeStream::OnHalfClose() { End(absl::OkStatus(), absl::nullopt); }

void ConsumeStream::ReadOn() {
  {
    absl::MutexLock lock(&mu_);
    if (!session_.TakeRead()) return;
  }
  call_->ReadNext();
}

absl::Status ConsumeStream::Handle(const ConsumeRequest& request) {
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(session_.Accept(request));
    if (!request.has_open() && stream_ == 0) return absl::OkStatus();  // It ended before it began.
  }
  AckItems items;
  switch (request.frame_case()) {
    case ConsumeRequest::kOpen:
      return Open(request.open());
    case ConsumeRequest::kFlow:
      subscription_->SetLimits(attached(), ConsumeSettings::ClampedLimits(request.flow()));
      return absl::OkStatus();
    case ConsumeRequest::kAck:
      AppendItems(request.ack(), subscription_->delivery_ids(), items);
      break;
    case ConsumeRequest::kNack:
      AppendItems(request.nack(), subscription_->delivery_ids(), items);
      break;
    case ConsumeRequest::kExtend:
      AppendItems(request.extend(), subscription_->delivery_ids(), items);
      break;
    case ConsumeRequest::FRAME_NOT_SET:  // Not accepted.
      break;
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
  ASSIGN_OR_RETURN(settings_, ConsumeSettings::FromRequest(open));
  ASSIGN_OR_RETURN(subscription_, context_.subscriptions.Find(open.subscription()));
  ASSIGN_OR_RETURN(const AttachmentId stream,
                   subscription_->Attach(open.consumer_name(), settings_.limits,
                                         settings_.include_raw_body, shared_from_this()));
  ConsumeResponse::Opened opened;
  opened.set_epoch(subscription_->history().epoch);
  opened.set_subscription(subscription_->name());
  opened.set_consumer_name(open.consumer_name());
  opened.mutable_limits()->set_max_outstanding_messages(settings_.limits.max_messages);
  opened.mutable_limits()->set_max_outstanding_bytes(settings_.limits.max_bytes);
  *opened.mutable_ack_deadline() = subscription_->GetStatus().settings.ack_deadline();
  *opened.mutable_heartbeat_interval() = ToProto(settings_.heartbeat_interval);
  AddCapabilities(opened);
  const bool is_held_back = !subscription_->Conditions().empty();
  bool ended = false;
  {
    absl::MutexLock lock(&mu_);
    description_ = absl::StrCat(open.subscription(), " as ", open.consumer_name());
    consumer_ = open.consumer_name();
    stream_ = stream;
    ended = !session_.Opened(opened, settings_.heartbeat_interval, is_held_back);
  }
  if (ended) subscription_->Detach(stream, DeliveryCause::kStreamEnded, /*keep_leases=*/false);
  caller_.LogLine(Severity::kInfo, "consumer attached",
                  {{"subscription", open.subscription()}, {"consumer", open.consumer_name()}});
  call_->Wake();
  return absl::OkStatus();
}

void ConsumeStream::Settle(AckItems items) {
  {
    absl::MutexLock lock(&mu_);
    session_.TakeItems(static_cast<int64_t>(items.items.size()));
  }
  subscription_->Settle(std::move(items.items),
                        [self = shared_from_this(), ids = std::move(items.ids)](
                            const absl::StatusOr<std::vector<AckOutcome>>& outcomes) mutable {
                          self->OnSettled(std::move(ids), outcomes);
                        });
}

void ConsumeStream::OnSettled(std::vector<std::string> ids,
                              const absl::StatusOr<std::vector<AckOutcome>>& outcomes) {
  ConsumeResponse::AckResults results;
  if (outcomes.ok()) results.mutable_results()->Reserve(static_cast<int>(ids.size()));
  for (size_t i = 0; outcomes.ok() && i < ids.size(); ++i) {
    *results.add_results() = ToProto(std::move(ids[i]), (*outcomes)[i]);
  }
  {
    absl::MutexLock lock(&mu_);
    if (outcomes.ok()) {
      session_.TakeResults(std::move(results));
    } else {
      session_.DropItems(static_cast<int64_t>(ids.size()));
    }
  }
  if (!outcomes.ok()) End(outcomes.status(), DeliveryCause::kStreamEnded);
  FinishIfDone();
  call_->Wake();
}

void ConsumeStream::OnDeliveries(std::vector<Delivery> deliveries) {
  std::string frame = EncodeDeliveriesFrame(
      deliveries,
      {subscription_->delivery_ids(), subscription_->history(), settings_.include_raw_body});
  sent_events_ += static_cast<int64_t>(deliveries.size());
  {
    absl::MutexLock lock(&mu_);
    session_.TakeDeliveries(std::move(frame));  // Those of one that ends, Detach gives back.
    events_to_send_ = static_cast<int64_t>(deliveries.size());
  }
  call_->Wake();
}

void ConsumeStream::OnEnd(const absl::Status& status) { End(status, DeliveryCause::kStreamEnded); }

void ConsumeStream::OnGoAway() { Drain(absl::ZeroDuration()); }

void ConsumeStream::Drain(absl::Duration reconnect_delay) {
  {
    absl::MutexLock lock(&mu_);
    if (!session_.Drain(reconnect_delay)) return;
  }
  Release(DeliveryCause::kGatewayRestarted);
  FinishIfDone();
  call_->Wake();
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

bool ConsumeStream::Describe(hookgate::v1::StreamInfo& info) {
  using hookgate::v1::StreamInfo;
  info.set_method(StreamInfo::METHOD_CONSUME);
  info.set_state(StreamInfo::STATE_OPENING);
  info.set_address(caller_.peer());
  info.set_principal(caller_.name());
  *info.mutable_open_time() = ToProto(open_time_);
  {
    absl::MutexLock lock(&mu_);
    if (stream_ == 0) return true;
    info.set_consumer_name(consumer_);
  }
  // It is attached, so all that Open sets is there.
  info.set_subscription(subscription_->name());
  *info.mutable_filter() = subscription_->filter();
  *info.mutable_heartbeat_interval() = ToProto(settings_.heartbeat_interval);
  info.set_lag_events(subscription_->GetBacklog().events);
  const bool behind = subscription_->head() - subscription_->position() > kMaxLiveLag;
  info.set_state(behind ? StreamInfo::STATE_BEHIND : StreamInfo::STATE_LIVE);
  info.set_sent_events(sent_events_);
  info.set_sent_bytes(sent_bytes_);
  return true;
}

void ConsumeStream::CountIfBehind(int64_t head, StreamsBehind& behind) {
  if (attached() != 0 && head - subscription_->position() > kMaxLiveLag) ++behind.consume;
}

void ConsumeStream::End(const absl::Status& status, absl::optional<DeliveryCause> why) {
  {
    absl::MutexLock lock(&mu_);
    if (!session_.End(status)) return;
  }
  const AttachmentId stream = attached();
  if (why.has_value()) {
    Release(*why);
  } else if (stream != 0) {
    subscription_->StopDeliveries(stream);
    context_.watch.Await(HeadWatch::kTimerOnly, context_.clock.MonotonicNow() + kCloseGrace,
                         shared_from_this());
  }
  FinishIfDone();
  call_->Wake();
}

void ConsumeStream::FinishIfDone() {
  absl::optional<absl::Status> end;
  {
    absl::MutexLock lock(&mu_);
    end = session_.TakeEnd();
  }
  if (end.has_value()) Finish(*end);
}

void ConsumeStream::Finish(const absl::Status& status) {
  caller_.LogLine(Severity::kInfo, "consumer detached",
                  {{"from", description()}, {"status", status.ToString()}});
  call_->Finish(status);
}

void ConsumeStream::Release(DeliveryCause why) {
  const AttachmentId stream = attached();
  if (stream != 0) subscription_->Detach(stream, why, /*keep_leases=*/false);
}

std::string ConsumeStream::description() const {
  absl::MutexLock lock(&mu_);
  return description_;
}

AttachmentId ConsumeStream::attached() const {
  absl::MutexLock lock(&mu_);
  return stream_;
}

Message ConsumeStream::NextMessage() {
  // Whatever was given out before is on its way.
  if (std::exchange(sending_deliveries_, false)) subscription_->Ready(attached());
  Step step;
  int64_t events = 0;
  {
    absl::MutexLock lock(&mu_);
    step = session_.Next();
    if (step.has_deliveries) events = std::exchange(events_to_send_, 0);
  }
  if (events > 0 && context_.metrics != nullptr) {
    context_.metrics->NoteDelivered(DeliveringRpc::kConsume, events);
  }
  ReadOn();
  switch (step.action) {
    case Step::Action::kWrite:
      sending_deliveries_ = step.has_deliveries;
      sent_bytes_ += static_cast<int64_t>(step.frame.size());
      return std::make_shared<const std::string>(std::move(step.frame));
    case Step::Action::kHeartbeat:
      return Heartbeat();
    case Step::Action::kWait:
      AwaitHeartbeat(step.deadline);
      return nullptr;
    case Step::Action::kEnd:
      Finish(step.status);
      return nullptr;
  }
  return nullptr;
}

Message ConsumeStream::Heartbeat() {
  ConsumeResponse response;
  auto& heartbeat = *response.mutable_heartbeat();
  *heartbeat.mutable_backlog() = ToProto(subscription_->GetBacklog());
  *heartbeat.mutable_server_time() = ToProto(context_.clock.WallNow());
  AddConditions(subscription_->Conditions(), *heartbeat.mutable_conditions());
  auto frame = std::make_shared<const std::string>(response.SerializeAsString());
  sent_bytes_ += static_cast<int64_t>(frame->size());
  return frame;
}

void ConsumeStream::AwaitHeartbeat(absl::Duration due) {
  if (due == absl::InfiniteDuration()) return;
  {
    absl::MutexLock lock(&mu_);
    if (std::exchange(heartbeat_awaited_, true)) return;  // Wake will look when the next is due.
  }
  context_.watch.Await(HeadWatch::kTimerOnly, due, shared_from_this());
}

void ConsumeStream::Wake() {
  bool ending = false;
  {
    absl::MutexLock lock(&mu_);
    heartbeat_awaited_ = false;
    ending = session_.ending();
  }
  if (ending) {
    Release(DeliveryCause::kStreamEnded);  // After kCloseGrace.
  } else {
    call_->Wake();
  }
}

void ConsumeStream::OnEnd(CallEnd end) {
  bool unfinished = false;
  {
    absl::MutexLock lock(&mu_);
    unfinished = session_.Abandon();
  }
  if (unfinished) Finish(absl::CancelledError("the client has gone"));
  Release(CauseOf(end));
  context_.watch.Forget(this);
  context_.registry.Remove(this);
}

}  // namespace hookgate
