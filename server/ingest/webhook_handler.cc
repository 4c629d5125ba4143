#include "server/ingest/webhook_handler.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/event/decode_event.h"
#include "server/eventlog/compose_event.h"
#include "server/http/problem.h"
#include "server/ingest/client_address.h"
#include "server/ingest/webhook_request.h"

namespace hookgate {
namespace {

constexpr absl::Duration kRetryAfterDrain = absl::Seconds(10);

absl::Status DrainingError() {
  absl::Status error = ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                                       "the gateway is going down: send the webhook again");
  SetRetryAfter(error, kRetryAfterDrain);
  return error;
}

HttpResponse Accepted(absl::string_view status, Sequence sequence) {
  HttpResponse response;
  response.body = absl::StrCat("{\"status\":\"", status, "\",\"sequence\":\"", sequence, "\"}");
  return response;
}

// The path that an error of DecodeEvent begins with, or "". What follows it may quote the body,
// which logs never hold.
absl::string_view FieldPathOf(const absl::Status& error) {
  const size_t end = error.message().find(": ");
  const absl::string_view path = error.message().substr(0, end);
  const bool is_path = end != absl::string_view::npos && !absl::StrContains(path, ' ');
  return is_path ? path : "";
}

// The log keeps microseconds; what is written into the envelope must be the same time.
absl::Time WholeMicroseconds(absl::Time time) {
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

}  // namespace

struct WebhookHandler::Delivery {
  std::shared_ptr<Source> source;
  WebhookOrigin origin;
  bool verified = false;
  DecodedEvent decoded;
};

WebhookHandler::WebhookHandler(const SourceRegistry& sources, EventLog& log, const Clock& clock,
                               std::vector<Network> trusted_proxies)
    : sources_(sources),
      log_(log),
      trusted_proxies_(std::move(trusted_proxies)),
      stranger_lines_(clock),
      sender_lines_(clock) {}

WebhookHandler::~WebhookHandler() = default;

absl::optional<HttpResponse> WebhookHandler::CheckHead(const HttpHead& head) {
  const absl::StatusOr<std::shared_ptr<Source>> source = FindSource(head.target());
  if (!source.ok()) return AnswerError("", "", source.status(), stranger_lines_);
  const std::string& name = (*source)->config().name;
  const absl::Status allowed = CheckAddress(**source, head);
  if (!allowed.ok()) return AnswerError(name, "", allowed, stranger_lines_);
  if (head.method() != "POST") {
    HttpResponse response =
        AnswerError(name, "",
                    ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kMethodNotAllowed,
                                    "webhooks are sent by POST"),
                    stranger_lines_);
    response.fields.emplace_back("Allow", "POST");
    return response;
  }
  if (draining_) return AnswerError(name, "", DrainingError(), stranger_lines_);
  if (IsEncoded(head)) {
    return AnswerError(
        name, "",
        ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kEncodedBody,
                        "a body with a Content-Encoding is not taken: send it as it was signed"),
        stranger_lines_);
  }
  return absl::nullopt;
}

absl::StatusOr<std::shared_ptr<Source>> WebhookHandler::FindSource(absl::string_view target) {
  ASSIGN_OR_RETURN(const absl::string_view name, SourceNameOf(target));
  std::shared_ptr<Source> source = sources_.Find(name);
  if (source == nullptr) {
    return ErrorWithReason(absl::StatusCode::kNotFound, reason::kUnknownSource,
                           "no source of this name is configured");
  }
  return source;
}

// Says which address it was: an operator who has left out a proxy sees it in the log.
absl::Status WebhookHandler::CheckAddress(const Source& source, const HttpHead& head) const {
  const WebhookSource& config = source.config();
  if (config.allowed_networks.empty()) return absl::OkStatus();
  const absl::optional<IpAddress> client = ClientAddress(head, trusted_proxies_);
  if (client.has_value() && IsInAny(config.allowed_networks, *client)) return absl::OkStatus();
  return ErrorWithReason(
      absl::StatusCode::kPermissionDenied, reason::kAddressNotAllowed,
      client.has_value()
          ? absl::StrCat(client->ToString(), " is not among the addresses that source ",
                         config.name, " may send from")
          : absl::StrCat("the proxy ", head.peer(), " does not say which address it is from"));
}

void WebhookHandler::Handle(const HttpHead& head, std::string body, absl::Time receive_time,
                            Respond respond) {
  Delivery delivery;
  delivery.origin.receive_time = WholeMicroseconds(receive_time);
  const absl::Status admitted = Admit(head, body, delivery);
  if (!admitted.ok()) {
    std::move(respond)(AnswerError(delivery.origin.source, delivery.origin.webhook_id, admitted,
                                   delivery.verified ? sender_lines_ : stranger_lines_));
    return;
  }
  absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  if (!decoded.ok()) {
    Quarantine(std::move(delivery), decoded.status(), std::move(body), std::move(respond));
    return;
  }
  delivery.decoded = *std::move(decoded);
  Append(std::move(delivery), std::move(body), std::move(respond));
}

// The rate limit comes after the signature, so that nobody else can use it up.
absl::Status WebhookHandler::Admit(const HttpHead& head, const std::string& body,
                                   Delivery& delivery) {
  ASSIGN_OR_RETURN(delivery.source, FindSource(head.target()));
  Source& source = *delivery.source;
  const WebhookSource& config = source.config();
  WebhookOrigin& origin = delivery.origin;
  origin.source = config.name;
  // Again, since the sources may be others than when the head came.
  RETURN_IF_ERROR(CheckAddress(source, head));
  ASSIGN_OR_RETURN(const SignedHeaders headers, SignedHeadersOf(head));
  origin.webhook_id = std::string(WellFormedIdOf(headers));
  ASSIGN_OR_RETURN(
      const VerifiedWebhook verified,
      Verify(headers, body, config.secrets, origin.receive_time, config.timestamp_tolerance));
  delivery.verified = true;
  origin.webhook_time = verified.webhook_time;
  for (const size_t secret : verified.secret_indices) {
    source.NoteVerified(secret, origin.receive_time);
  }
  const absl::Duration wait = source.TakeFromRate();
  if (wait > absl::ZeroDuration()) {
    absl::Status error =
        ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kRateLimited,
                        absl::StrCat("source ", config.name, " sends faster than its rate_limit"));
    SetRetryAfter(error, wait);
    return error;
  }
  return absl::OkStatus();
}

void WebhookHandler::Append(Delivery delivery, std::string body, Respond respond) {
  std::unique_ptr<LogEvent> event =
      ComposeEvent(std::move(delivery.decoded), delivery.origin, std::move(body));
  log_.Append(std::move(event),
              [this, origin = std::move(delivery.origin),
               respond = std::move(respond)](const absl::StatusOr<AppendResult>& result) mutable {
                std::move(respond)(AnswerAppend(origin.source, origin.webhook_id, result));
              });
}

HttpResponse WebhookHandler::AnswerAppend(const std::string& source, const std::string& webhook_id,
                                          const absl::StatusOr<AppendResult>& result) {
  if (!result.ok()) return AnswerError(source, webhook_id, result.status(), sender_lines_);
  switch (result->outcome) {
    case AppendResult::Outcome::kStored:
      ++stats_.stored;
      return Accepted("stored", result->sequence);
    case AppendResult::Outcome::kDuplicate:
      ++stats_.duplicates;
      break;
    case AppendResult::Outcome::kConflict:
      ++stats_.conflicts;
      if (const auto suppressed = sender_lines_.Take(); suppressed.has_value()) {
        Log(Severity::kWarning, "webhook-id repeated with another body; the first one is kept",
            {{"source", source},
             {"webhook_id", webhook_id},
             {"sequence", result->sequence},
             {"suppressed", *suppressed}});
      }
      break;
  }
  return Accepted("duplicate", result->sequence);
}

void WebhookHandler::Quarantine(Delivery delivery, const absl::Status& error, std::string body,
                                Respond respond) {
  auto webhook = std::make_unique<QuarantinedWebhook>();
  webhook->source = delivery.origin.source;
  webhook->webhook_id = delivery.origin.webhook_id;
  webhook->webhook_time = delivery.origin.webhook_time;
  webhook->receive_time = delivery.origin.receive_time;
  webhook->reason = ReasonOf(error);
  webhook->detail = std::string(error.message());
  webhook->raw_body = std::move(body);
  log_.Quarantine(
      std::move(webhook), [this, error, origin = std::move(delivery.origin),
                           respond = std::move(respond)](const absl::Status& kept) mutable {
        if (!kept.ok()) {
          std::move(respond)(AnswerError(origin.source, origin.webhook_id, kept, sender_lines_));
          return;
        }
        ++stats_.quarantined;
        if (const auto suppressed = sender_lines_.Take(); suppressed.has_value()) {
          Log(Severity::kWarning, "webhook put into quarantine",
              {{"source", origin.source},
               {"webhook_id", origin.webhook_id},
               {"reason", ReasonOf(error)},
               {"field", FieldPathOf(error)},
               {"suppressed", *suppressed}});
        }
        std::move(respond)(ToHttpResponse(error));
      });
}

HttpResponse WebhookHandler::Refuse(HttpRefusal refusal, absl::string_view detail) {
  return AnswerError("", "", RefusalError(refusal, detail), stranger_lines_);
}

HttpResponse WebhookHandler::AnswerError(absl::string_view source, absl::string_view webhook_id,
                                         const absl::Status& error, LogLimiter& lines) {
  ++stats_.refused;
  if (const auto suppressed = lines.Take(); suppressed.has_value()) {
    Log(Severity::kInfo, "webhook refused",
        {{"source", source},
         {"webhook_id", webhook_id},
         {"reason", ReasonOf(error)},
         {"detail", std::string(error.message())},
         {"suppressed", *suppressed}});
  }
  return ToHttpResponse(error);
}

}  // namespace hookgate
