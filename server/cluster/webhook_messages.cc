#include "server/cluster/webhook_messages.h"

#include <utility>

#include "absl/time/time.h"

namespace hookgate {

using cluster::v1::AppendRequest;
using cluster::v1::AppendResponse;
using cluster::v1::QuarantineRequest;

AppendRequest ToRequest(StoredEvent event) {
  AppendRequest request;
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
  return request;
}

std::unique_ptr<StoredEvent> FromRequest(AppendRequest request) {
  auto event = std::make_unique<StoredEvent>();
  event->source = std::move(*request.mutable_source());
  event->webhook_id = std::move(*request.mutable_webhook_id());
  event->type = std::move(*request.mutable_type());
  event->subject = std::move(*request.mutable_subject());
  event->failure = request.failure();
  event->receive_time = absl::FromUnixMicros(request.receive_time_us());
  event->envelope = std::move(*request.mutable_envelope());
  event->raw_body = std::move(*request.mutable_raw_body());
  event->event_id = std::move(*request.mutable_event_id());
  event->secrets = std::move(*request.mutable_secrets());
  return event;
}

QuarantineRequest ToRequest(QuarantinedWebhook webhook) {
  QuarantineRequest request;
  request.set_source(std::move(webhook.source));
  request.set_webhook_id(std::move(webhook.webhook_id));
  request.set_webhook_time_us(absl::ToUnixMicros(webhook.webhook_time));
  request.set_receive_time_us(absl::ToUnixMicros(webhook.receive_time));
  request.set_reason(std::move(webhook.reason));
  request.set_detail(std::move(webhook.detail));
  request.set_raw_body(std::move(webhook.raw_body));
  request.set_trace(std::move(webhook.trace));
  return request;
}

std::unique_ptr<QuarantinedWebhook> FromRequest(QuarantineRequest request) {
  auto webhook = std::make_unique<QuarantinedWebhook>();
  webhook->source = std::move(*request.mutable_source());
  webhook->webhook_id = std::move(*request.mutable_webhook_id());
  webhook->webhook_time = absl::FromUnixMicros(request.webhook_time_us());
  webhook->receive_time = absl::FromUnixMicros(request.receive_time_us());
  webhook->reason = std::move(*request.mutable_reason());
  webhook->detail = std::move(*request.mutable_detail());
  webhook->raw_body = std::move(*request.mutable_raw_body());
  webhook->trace = std::move(*request.mutable_trace());
  return webhook;
}

AppendResponse ToResponse(AppendResult result) {
  AppendResponse response;
  switch (result.outcome) {
    case AppendResult::Outcome::kStored:
      response.set_outcome(AppendResponse::OUTCOME_STORED);
      break;
    case AppendResult::Outcome::kDuplicate:
      response.set_outcome(AppendResponse::OUTCOME_DUPLICATE);
      break;
    case AppendResult::Outcome::kConflict:
      response.set_outcome(AppendResponse::OUTCOME_CONFLICT);
      break;
  }
  response.set_sequence(result.sequence);
  response.set_trace_parent(std::move(result.trace_parent));
  return response;
}

absl::StatusOr<AppendResult> FromResponse(AppendResponse response) {
  AppendResult result;
  switch (response.outcome()) {
    case AppendResponse::OUTCOME_STORED:
      result.outcome = AppendResult::Outcome::kStored;
      break;
    case AppendResponse::OUTCOME_DUPLICATE:
      result.outcome = AppendResult::Outcome::kDuplicate;
      break;
    case AppendResponse::OUTCOME_CONFLICT:
      result.outcome = AppendResult::Outcome::kConflict;
      break;
    default:
      return absl::InternalError("the leader answered what this replica cannot read");
  }
  result.sequence = response.sequence();
  result.trace_parent = std::move(*response.mutable_trace_parent());
  return result;
}

}  // namespace hookgate
