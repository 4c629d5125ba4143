#include "server/cluster/leader_sink.h"

#include <string>
#include <utility>

#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/cluster/peer.pb.h"

namespace hookgate {
namespace {

constexpr char kAppend[] = "/hookgate.cluster.v1.PeerService/Append";
constexpr char kQuarantine[] = "/hookgate.cluster.v1.PeerService/Quarantine";

// What the leader says, as it says it; a connection that broke, or took too long, is no_leader.
absl::Status ErrorOf(const absl::Status& answer) {
  if (answer.ok() || !ReasonOf(answer).empty()) return answer;
  return ErrorWithReason(
      absl::StatusCode::kUnavailable, reason::kNoLeader,
      "the leader did not answer: whether it has stored this is not known; send it again");
}

absl::StatusOr<AppendResult> ResultOf(const absl::StatusOr<std::string>& answer) {
  if (!answer.ok()) return ErrorOf(answer.status());
  cluster::v1::AppendResponse response;
  AppendResult result;
  bool known = response.ParseFromString(*answer);
  switch (response.outcome()) {
    case cluster::v1::AppendResponse::OUTCOME_STORED:
      result.outcome = AppendResult::Outcome::kStored;
      break;
    case cluster::v1::AppendResponse::OUTCOME_DUPLICATE:
      result.outcome = AppendResult::Outcome::kDuplicate;
      break;
    case cluster::v1::AppendResponse::OUTCOME_CONFLICT:
      result.outcome = AppendResult::Outcome::kConflict;
      break;
    default:
      known = false;
      break;
  }
  if (!known) {
    return ErrorOf(absl::InternalError("the leader answered what this replica cannot read"));
  }
  result.sequence = response.sequence();
  result.trace_parent = response.trace_parent();
  return result;
}

std::string RequestOf(StoredEvent event) {
  cluster::v1::AppendRequest request;
  request.set_source(std::move(event.source));
  request.set_webhook_id(std::move(event.webhook_id));
  request.set_type(std::move(event.type));
  request.set_subject(std::move(event.subject));
  request.set_failure(event.failure);
  request.set_receive_time_us(absl::ToUnixMicros(event.receive_time));
  request.set_envelope(std::move(event.envelope));
  request.set_raw_body(std::move(event.raw_body));
  request.set_event_id(std::move(event.event_id));
  request.set_secrets(std::move(event.secrets));
  return request.SerializeAsString();
}

std::string RequestOf(QuarantinedWebhook webhook) {
  cluster::v1::QuarantineRequest request;
  request.set_source(std::move(webhook.source));
  request.set_webhook_id(std::move(webhook.webhook_id));
  request.set_webhook_time_us(absl::ToUnixMicros(webhook.webhook_time));
  request.set_receive_time_us(absl::ToUnixMicros(webhook.receive_time));
  request.set_reason(std::move(webhook.reason));
  request.set_detail(std::move(webhook.detail));
  request.set_raw_body(std::move(webhook.raw_body));
  request.set_trace(std::move(webhook.trace));
  return request.SerializeAsString();
}

}  // namespace

absl::Status LeaderSink::Enter(int64_t bytes) {
  absl::MutexLock lock(&mu_);
  if (webhooks_ >= limits_.max_webhooks || bytes_ + bytes > limits_.max_bytes) {
    return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kQueueFull,
                           "too many webhooks are on their way to the leader");
  }
  ++webhooks_;
  bytes_ += bytes;
  return absl::OkStatus();
}

void LeaderSink::Leave(int64_t bytes) {
  absl::MutexLock lock(&mu_);
  --webhooks_;
  bytes_ -= bytes;
}

void LeaderSink::Send(PeerConnection& leader, const char* method, std::string request,
                      PeerConnection::Done done) {
  const auto bytes = static_cast<int64_t>(request.size());
  const absl::Status entered = Enter(bytes);
  if (!entered.ok()) return std::move(done)(entered);
  leader.Ask(method, std::move(request), timeout_,
             [this, bytes, done = std::move(done)](absl::StatusOr<std::string> answer) mutable {
               Leave(bytes);
               std::move(done)(std::move(answer));
             });
}

void LeaderSink::Append(std::unique_ptr<StoredEvent> event, AppendDone done) {
  PeerConnection* const leader = peers_.FindLeader(replica_.GetLeadership());
  if (leader == nullptr) return log_.Append(std::move(event), std::move(done));
  Send(*leader, kAppend, RequestOf(*std::move(event)),
       [done = std::move(done)](const absl::StatusOr<std::string>& answer) mutable {
         std::move(done)(ResultOf(answer));
       });
}

void LeaderSink::Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) {
  PeerConnection* const leader = peers_.FindLeader(replica_.GetLeadership());
  if (leader == nullptr) return log_.Quarantine(std::move(webhook), std::move(done));
  Send(*leader, kQuarantine, RequestOf(*std::move(webhook)),
       [done = std::move(done)](const absl::StatusOr<std::string>& answer) mutable {
         std::move(done)(ErrorOf(answer.status()));
       });
}

}  // namespace hookgate
