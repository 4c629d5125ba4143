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
// About what it takes until another replica leads.
constexpr absl::Duration kRetryAfterNoLeader = absl::Seconds(2);

absl::Status DrainingError() {
  absl::Status error = ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                                       "the gateway is going down: send the webhook again");
  SetRetryAfter(error, kRetryAfterDrain);
  return error;
}

// What a sender is told of an error of the log, which speaks of the disk and the database to the
// operator: that it is to send the webhook again.
absl::Status ForSender(const absl::Status& error) {
  const std::string reason = ReasonOf(error);
  if (reason == reason::kDraining) return DrainingError();
  if (reason == reason::kQueueFull) {
    return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kQueueFull,
                           "too many webhooks wait to be stored: send the webhook again");
  }
  if (reason == reason::kNoLeader) {
    absl::Status no_leader = ErrorWithReason(absl::StatusCode::kUnavailable, reason::kNoLeader,
                                             "no gateway of the cluster that can be reached stores "
                                             "webhooks now: send the webhook again");
    SetRetryAfter(no_leader, kRetryAfterNoLeader);
    return no_leader;
  }
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kStoreUnavailable,
                         "the gateway cannot store webhooks now: send the webhook again");
}

// `error` of DecodeEvent with what the head adds to it.
absl::Status Explained(const absl::Status& error, const HttpHead& head) {
  if (ReasonOf(error) != reason::kBodyNotJson) return error;
  return ErrorWithReason(error.code(), reason::kBodyNotJson,
                         absl::StrCat(error.message(), ContentTypeProblem(head)));
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

// In one place from the beginning to the answer: it is some 400 bytes of texts.
struct WebhookHandler::IncomingWebhook {
  std::shared_ptr<Source> source;
  WebhookOrigin origin;
  Origin from;  // complete once CompleteFrom() has been called
  Respond respond;
  absl::optional<absl::Duration> delay;  // since what it reports happened, if it says when that was
  bool verified = false;

  // With the names that `origin` has by now, and has no longer after this.
  void CompleteFrom() {
    from.source = std::move(origin.source);
    from.webhook_id = std::move(origin.webhook_id);
    from.trace_parent = std::move(origin.trace.trace_parent);
  }
};

WebhookHandler::WebhookHandler(const SourceRegistry& sources, EventSink& log,
                               IngestCounters& counters, MetricRegistry& metrics,
                               const Clock& clock, std::vector<Network> trusted_proxies,
                               RefusedRequests* refused)
    : sources_(sources),
      log_(log),
      trusted_proxies_(std::move(trusted_proxies)),
      no_source_metrics_(std::make_shared<SourceMetrics>("", metrics)),
      clock_(clock),
      counters_(counters),
      refused_(refused),
      stranger_lines_(clock, LogLimiter::kStrangerLinesPerSecond),
      sender_lines_(clock) {}

WebhookHandler::~WebhookHandler() = default;

absl::optional<HttpResponse> WebhookHandler::CheckHead(const HttpHead& head) {
  const absl::StatusOr<std::shared_ptr<Source>> source = FindSource(head.target());
  const auto refuse = [&](const absl::Status& error) {
    Origin origin = OriginOf(head);
    if (source.ok()) {
      origin.source = (*source)->config().name;
      origin.metrics = (*source)->metrics();
    }
    return AnswerError(origin, error, head, stranger_lines_);
  };
  if (!source.ok()) return refuse(source.status());
  const absl::Status allowed = CheckAddress(**source, head);
  if (!allowed.ok()) return refuse(allowed);
  if (head.method() != "POST") {
    HttpResponse response =
        refuse(ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kMethodNotAllowed,
                               "webhooks are sent by POST"));
    response.fields.emplace_back("Allow", "POST");
    return response;
  }
  if (draining_) return refuse(DrainingError());
  if (IsEncoded(head)) {
    return refuse(
        ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kEncodedBody,
                        "a body with a Content-Encoding is not taken: send it as it was signed"));
  }
  return absl::nullopt;
}

WebhookHandler::Origin WebhookHandler::OriginOf(const HttpHead& head) const {
  Origin origin;
  origin.metrics = no_source_metrics_;
  origin.peer = std::string(head.peer());
  if (trusted_proxies_.empty()) {
    origin.client = origin.peer;
  } else if (const auto client = ClientAddress(head, trusted_proxies_); client.has_value()) {
    origin.client = client->ToString();
  }
  return origin;
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
          : absl::StrCat("the proxy ", head.peer(), " does not give the sender's address"));
}

void WebhookHandler::Handle(const HttpHead& head, std::string body, absl::Time receive_time,
                            Respond respond) {
  auto webhook = std::make_unique<IncomingWebhook>();
  webhook->origin.receive_time = WholeMicroseconds(receive_time);
  webhook->from = OriginOf(head);
  webhook->respond = std::move(respond);
  const absl::Status admitted = Admit(head, body, *webhook);
  if (webhook->source != nullptr) webhook->from.metrics = webhook->source->metrics();
  webhook->from.metrics->NoteBody(body.size());
  if (!admitted.ok()) {
    LogLimiter& lines = webhook->verified ? sender_lines_ : stranger_lines_;
    webhook->CompleteFrom();
    std::move(webhook->respond)(AnswerError(webhook->from, admitted, head, lines));
    return;
  }
  absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  if (!decoded.ok()) {
    Quarantine(std::move(webhook), Explained(decoded.status(), head), std::move(body));
    return;
  }
  Append(std::move(webhook), *std::move(decoded), std::move(body));
}

// The rate limit comes after the signature, so that nobody else can use it up.
absl::Status WebhookHandler::Admit(const HttpHead& head, const std::string& body,
                                   IncomingWebhook& webhook) {
  ASSIGN_OR_RETURN(webhook.source, FindSource(head.target()));
  Source& source = *webhook.source;
  const WebhookSource& config = source.config();
  WebhookOrigin& origin = webhook.origin;
  origin.durability = log_.durability();
  origin.source = config.name;
  // Again, since the sources may be others than when the head came.
  RETURN_IF_ERROR(CheckAddress(source, head));
  std::string joined;
  ASSIGN_OR_RETURN(const SignedHeaders headers, SignedHeadersOf(head, joined));
  origin.webhook_id = std::string(WellFormedIdOf(headers));
  const absl::StatusOr<VerifiedWebhook> verified =
      Verify(headers, body, config.secrets, origin.receive_time, config.timestamp_tolerance);
  if (!verified.ok()) {
    if (ReasonOf(verified.status()) == reason::kSignatureMismatch) source.NoteFailedSignature();
    return verified.status();
  }
  webhook.verified = true;
  origin.webhook_time = verified->webhook_time;
  for (const size_t secret : verified->secret_indices) {
    absl::StrAppend(&origin.secrets, origin.secrets.empty() ? "" : "\n",
                    config.secrets[secret].name());
  }
  source.NoteWebhook(verified->secret_indices, origin.receive_time);
  const absl::Duration wait = source.TakeFromRate();
  if (wait > absl::ZeroDuration()) {
    absl::Status error =
        ErrorWithReason(absl::StatusCode::kResourceExhausted, reason::kRateLimited,
                        absl::StrCat("source ", config.name, " sends faster than its rate_limit"));
    SetRetryAfter(error, wait);
    return error;
  }
  SenderTrace sender = SenderTraceOf(head);
  origin.trace = {.trace_parent = trace_parents_.Next(),
                  .sender_trace_parent = std::move(sender.trace_parent),
                  .sender_trace_state = std::move(sender.trace_state)};
  return absl::OkStatus();
}

void WebhookHandler::Append(std::unique_ptr<IncomingWebhook> webhook, DecodedEvent decoded,
                            std::string body) {
  if (decoded.create_time.has_value()) {
    webhook->delay = webhook->origin.receive_time - *decoded.create_time;
  }
  std::unique_ptr<StoredEvent> event =
      ComposeEvent(std::move(decoded), webhook->origin, std::move(body));
  webhook->CompleteFrom();
  log_.Append(std::move(event),
              [this, webhook = std::move(webhook)](const absl::StatusOr<AppendResult>& result) {
                const absl::optional<absl::Duration> delay = webhook->delay;
                const bool stored =
                    result.ok() && result->outcome == AppendResult::Outcome::kStored;
                if (stored && delay.has_value()) webhook->from.metrics->NoteDelay(*delay);
                std::move(webhook->respond)(AnswerAppend(webhook->from, result));
              });
}

HttpResponse WebhookHandler::Answered(const Origin& origin, WebhookResult result,
                                      HttpResponse response) {
  response.watch = SourceMetrics::Count(origin.metrics, result);
  return response;
}

HttpResponse WebhookHandler::AnswerAppend(const Origin& origin,
                                          const absl::StatusOr<AppendResult>& result) {
  if (!result.ok()) return AnswerNotStored(origin, result.status());
  // A repeat belongs to the trace of the event that is stored.
  const absl::string_view trace_id = result->outcome == AppendResult::Outcome::kStored
                                         ? TraceIdOf(origin.trace_parent)
                                         : TraceIdOf(result->trace_parent);
  const auto log_arrival = [&](absl::string_view what) {
    Log(Severity::kDebug, what,
        {{"source", origin.source},
         {"webhook_id", origin.webhook_id},
         {"sequence", result->sequence},
         {"peer", origin.peer},
         {"client", origin.client},
         {"trace_id", trace_id}});
  };
  switch (result->outcome) {
    case AppendResult::Outcome::kStored:
      ++counters_.stored;
      log_arrival("webhook stored");
      return Answered(origin, WebhookResult::kStored, Accepted("stored", result->sequence));
    case AppendResult::Outcome::kDuplicate:
      ++counters_.duplicates;
      log_arrival("webhook repeated; it was stored before");
      break;
    case AppendResult::Outcome::kConflict:
      ++counters_.conflicts;
      if (const auto suppressed = sender_lines_.Take(); suppressed.has_value()) {
        Log(Severity::kWarning, "webhook-id repeated with another body; the first one is kept",
            {{"source", origin.source},
             {"webhook_id", origin.webhook_id},
             {"sequence", result->sequence},
             {"peer", origin.peer},
             {"client", origin.client},
             {"trace_id", trace_id},
             {"suppressed", *suppressed}});
      }
      break;
  }
  return Answered(origin,
                  result->outcome == AppendResult::Outcome::kConflict ? WebhookResult::kConflict
                                                                      : WebhookResult::kDuplicate,
                  Accepted("duplicate", result->sequence));
}

void WebhookHandler::Quarantine(std::unique_ptr<IncomingWebhook> webhook, const absl::Status& error,
                                std::string body) {
  auto kept = std::make_unique<QuarantinedWebhook>();
  kept->source = webhook->origin.source;
  kept->webhook_id = webhook->origin.webhook_id;
  kept->webhook_time = webhook->origin.webhook_time;
  kept->receive_time = webhook->origin.receive_time;
  kept->reason = ReasonOf(error);
  kept->detail = std::string(error.message());
  kept->raw_body = std::move(body);
  kept->trace = SerializeTrace(webhook->origin.trace);
  webhook->CompleteFrom();
  log_.Quarantine(std::move(kept), [this, error,
                                    webhook = std::move(webhook)](const absl::Status& stored) {
    const Origin& from = webhook->from;
    if (!stored.ok()) {
      std::move(webhook->respond)(AnswerNotStored(from, stored));
      return;
    }
    ++counters_.quarantined;
    if (const auto suppressed = sender_lines_.Take(); suppressed.has_value()) {
      Log(Severity::kWarning, "webhook put into quarantine",
          {{"source", from.source},
           {"webhook_id", from.webhook_id},
           {"reason", ReasonOf(error)},
           {"field", FieldPathOf(error)},
           {"peer", from.peer},
           {"client", from.client},
           {"suppressed", *suppressed}});
    }
    std::move(webhook->respond)(Answered(from, WebhookResult::kQuarantined, ToHttpResponse(error)));
  });
}

HttpResponse WebhookHandler::Refuse(HttpRefusal refusal, absl::string_view detail,
                                    const HttpHead& head) {
  Origin origin = OriginOf(head);
  if (const auto source = FindSource(head.target()); source.ok()) {
    origin.source = (*source)->config().name;
    origin.metrics = (*source)->metrics();
  }
  return AnswerError(origin, RefusalError(refusal, detail), head, stranger_lines_);
}

HttpResponse WebhookHandler::AnswerNotStored(const Origin& origin, const absl::Status& error) {
  const absl::Status for_sender = ForSender(error);
  const std::string code = ReasonOf(for_sender);
  counters_.CountRefused(code);
  Remember(origin, code, error, /*head=*/nullptr);
  LogRefusal(origin, error, sender_lines_);
  HttpResponse response = ToHttpResponse(for_sender);
  response.watch = SourceMetrics::CountRefused(origin.metrics, ReasonOf(for_sender));
  return response;
}

HttpResponse WebhookHandler::AnswerError(const Origin& origin, const absl::Status& error,
                                         const HttpHead& head, LogLimiter& lines) {
  const std::string code = ReasonOf(error);
  counters_.CountRefused(code);
  Remember(origin, code, error, &head);
  LogRefusal(origin, error, lines);
  HttpResponse response = ToHttpResponse(error);
  response.watch = SourceMetrics::CountRefused(origin.metrics, ReasonOf(error));
  return response;
}

void WebhookHandler::Remember(const Origin& origin, absl::string_view code,
                              const absl::Status& error, const HttpHead* head) {
  if (refused_ == nullptr || !refused_->enabled()) return;
  RefusedRequest request;
  request.source = origin.source;
  request.peer = origin.peer;
  request.client = origin.client;
  request.code = code.empty() ? "other" : std::string(code);
  request.detail = std::string(error.message());
  request.webhook_id = origin.webhook_id;
  if (head != nullptr) {
    // A query may hold a token.
    const absl::string_view target = head->target();
    if (request.source.empty()) request.path = std::string(target.substr(0, target.find('?')));
    head->ForEachField([&request](absl::string_view name, absl::string_view value) {
      request.AddHeader(name, value.size());
      if (request.webhook_id.empty() && IsIdHeader(name)) request.webhook_id = std::string(value);
    });
  }
  refused_->Record(std::move(request), clock_.WallNow());
}

void WebhookHandler::LogRefusal(const Origin& origin, const absl::Status& error,
                                LogLimiter& lines) {
  const auto suppressed = lines.Take();
  if (!suppressed.has_value()) return;
  Log(Severity::kInfo, "webhook refused",
      {{"source", origin.source},
       {"webhook_id", origin.webhook_id},
       {"reason", ReasonOf(error)},
       {"detail", std::string(error.message())},
       {"peer", origin.peer},
       {"client", origin.client},
       {"suppressed", *suppressed}});
}

}  // namespace hookgate
