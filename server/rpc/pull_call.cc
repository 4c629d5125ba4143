#include "server/rpc/pull_call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/delivery_encoding.h"
#include "server/grpc_server/unary_method.h"
#include "server/rpc/subscription_messages.h"

namespace hookgate {
namespace {

constexpr int kMaxEvents = 1000;
// Of what the consumer name holds, this answer and those before it. What one answer holds is far
// less: a batch of the subscription.
constexpr int64_t kMaxHeldBytes = 256 << 20;
constexpr absl::Duration kMaxWait = absl::Minutes(1);

absl::StatusOr<absl::Duration> WaitOf(const hookgate::v1::PullRequest& request) {
  if (!request.has_wait()) return absl::ZeroDuration();
  ASSIGN_OR_RETURN(const absl::Duration wait, FromProto(request.wait(), "wait"));
  if (wait < absl::ZeroDuration() || wait > kMaxWait) {
    return InvalidField("wait",
                        absl::StrCat("is ", absl::FormatDuration(wait), "; it must be from 0 to ",
                                     absl::FormatDuration(kMaxWait)));
  }
  return wait;
}

}  // namespace

PullCall::PullCall(std::shared_ptr<Call> call, Caller caller, const ConsumeContext& context)
    : call_(std::move(call)), caller_(std::move(caller)), context_(context) {
  call_->ReadNext();
}

void PullCall::OnMessage(std::string bytes) {
  requested_ = true;
  absl::Status attached = ParseRequest(bytes, request_);
  if (attached.ok()) attached = context_.registry.Add(shared_from_this());
  if (attached.ok()) attached = Attach();
  if (!attached.ok()) End(attached);
}

void PullCall::OnHalfClose() {
  if (requested_) return;
  End(ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidRequest,
                      "the call has no request: send one message"));
}

absl::Status PullCall::Attach() {
  RETURN_IF_ERROR(caller_.CheckConsume(request_.subscription()));
  RETURN_IF_ERROR(CheckConsumerName(request_.consumer_name(), "consumer_name"));
  if (request_.max_events() < 1 || request_.max_events() > kMaxEvents) {
    return InvalidField("max_events", absl::StrCat("must be from 1 to ", kMaxEvents));
  }
  ASSIGN_OR_RETURN(const absl::Duration wait, WaitOf(request_));
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   context_.subscriptions.Find(request_.subscription()));
  const absl::Duration end = context_.clock.MonotonicNow() + wait;
  {
    absl::MutexLock lock(&mu_);
    subscription_ = subscription;
  }
  ASSIGN_OR_RETURN(
      const AttachmentId stream,
      subscription->Attach(request_.consumer_name(),
                           {.max_messages = request_.max_events(), .max_bytes = kMaxHeldBytes},
                           request_.include_raw_body(), shared_from_this()));
  bool ended = false;
  bool taken = false;
  {
    absl::MutexLock lock(&mu_);
    stream_ = stream;
    ended = ended_;
    taken = !taken_.empty();
  }
  if (ended) {
    subscription->Detach(stream, DeliveryCause::kStreamEnded, /*keep_leases=*/taken);
  } else if (wait > absl::ZeroDuration()) {
    context_.watch.Await(HeadWatch::kTimerOnly, end, shared_from_this());
  } else {
    EndIfNone(*subscription, stream);
  }
  return absl::OkStatus();
}

void PullCall::OnDeliveries(std::vector<Delivery> deliveries) { End(absl::OkStatus(), deliveries); }

void PullCall::OnEnd(const absl::Status& status) { End(status); }

void PullCall::Wake() {
  std::shared_ptr<Subscription> subscription;
  AttachmentId stream = 0;
  {
    absl::MutexLock lock(&mu_);
    if (ended_) return;
    subscription = subscription_;
    stream = stream_;
  }
  EndIfNone(*subscription, stream);
}

// "None" is true only if somebody has looked since the call came.
void PullCall::EndIfNone(Subscription& subscription, AttachmentId stream) {
  subscription.TellIfNone(
      stream, [self = shared_from_this()](const absl::Status& status) { self->End(status); });
}

void PullCall::Drain(absl::Duration) { End(DrainingError()); }

void PullCall::Recheck() {
  const absl::Status allowed = caller_.CheckConsume(request_.subscription());
  if (!allowed.ok()) End(allowed);
}

void PullCall::OnGoAway() { Drain(absl::ZeroDuration()); }

void PullCall::End(const absl::Status& status, const std::vector<Delivery>& deliveries) {
  std::shared_ptr<Subscription> subscription;
  AttachmentId stream = 0;
  {
    absl::MutexLock lock(&mu_);
    if (ended_) return;
    ended_ = true;
    for (const Delivery& delivery : deliveries) taken_.push_back(delivery.lease.id);
    subscription = subscription_;
    stream = stream_;
  }
  if (stream != 0) {
    subscription->Detach(stream, DeliveryCause::kStreamEnded, /*keep_leases=*/!deliveries.empty());
  }
  if (!status.ok()) return call_->Finish(status);
  hookgate::v1::PullResponse response;
  for (const Delivery& delivery : deliveries) {
    *response.add_deliveries() = ToProto(
        delivery,
        {subscription->delivery_ids(), subscription->history(), request_.include_raw_body()});
  }
  if (context_.metrics != nullptr) {
    context_.metrics->NoteDelivered(DeliveringRpc::kPull, static_cast<int64_t>(deliveries.size()));
  }
  auto message = std::make_shared<const std::string>(response.SerializeAsString());
  {
    absl::MutexLock lock(&mu_);
    response_ = std::move(message);
  }
  call_->Wake();
}

Message PullCall::NextMessage() {
  Message response;
  {
    absl::MutexLock lock(&mu_);
    response = std::move(response_);
  }
  if (response != nullptr) call_->Finish(absl::OkStatus());
  return response;
}

// Its answer may not have reached the client.
void PullCall::OnEnd(CallEnd end) {
  End(absl::CancelledError("the client has gone"));
  std::shared_ptr<Subscription> subscription;
  std::vector<DeliveryId> taken;
  {
    absl::MutexLock lock(&mu_);
    subscription = subscription_;
    taken = std::move(taken_);
  }
  if (end != CallEnd::kFinished && !taken.empty()) subscription->Lose(taken);
  context_.watch.Forget(this);
  context_.registry.Remove(this);
}

}  // namespace hookgate
