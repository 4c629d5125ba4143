// Takes webhooks in: POST /webhooks/{source}.
//
//   1. route, client's address, method, encoding      404, 403, 405, 415; 503 while draining
//   2. verify the signature over the exact bytes      401
//   3. the source's rate limit                        429
//   4. decode                                         400, 422, once the body is in quarantine
//   5. append to the log                              200, once it is on the disk
//   whatever cannot be stored                         503
#ifndef HOOKGATE_SERVER_INGEST_WEBHOOK_HANDLER_H_
#define HOOKGATE_SERVER_INGEST_WEBHOOK_HANDLER_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/base/log_limiter.h"
#include "server/event/decode_event.h"
#include "server/eventlog/event_log.h"
#include "server/http/http_handler.h"
#include "server/ingest/network.h"
#include "server/ingest/source_metrics.h"
#include "server/ingest/source_registry.h"
#include "server/metrics/metric_registry.h"
#include "server/status/ingest_counters.h"
#include "server/status/refused_requests.h"
#include "server/trace/trace_context.h"

namespace hookgate {

// Thread-safe.
class WebhookHandler final : public HttpHandler {
 public:
  // All of it outlives the handler. `counters` count what becomes of webhooks. `trusted_proxies`
  // may say who the client is (client_address.h). `refused` remembers what is refused; null:
  // nothing is remembered.
  WebhookHandler(const SourceRegistry& sources, EventSink& log, IngestCounters& counters,
                 MetricRegistry& metrics, const Clock& clock,
                 std::vector<Network> trusted_proxies = {}, RefusedRequests* refused = nullptr);
  ~WebhookHandler() override;

  // From now on new requests are answered 503.
  void BeginDrain() { draining_ = true; }

  // Makes the traces of events.
  TraceParents& trace_parents() { return trace_parents_; }

  absl::optional<HttpResponse> CheckHead(const HttpHead& head) override;
  void Handle(const HttpHead& head, std::string body, absl::Time receive_time,
              Respond respond) override;
  HttpResponse Refuse(HttpRefusal refusal, absl::string_view detail, const HttpHead& head) override;

 private:
  struct IncomingWebhook;  // one request on its way through steps 2 to 5

  // What log lines say of a request besides what became of it.
  struct Origin {
    std::string source;      // "" if it is not known
    std::string webhook_id;  // "" if it is not known, or not well-formed
    std::string peer;        // the other end of the connection
    std::string client;      // whom a trusted proxy names; otherwise as `peer`
    // Of the event that may become of it; "" if none was made yet.
    std::string trace_parent;
    // Those of all requests without a source, if it has none.
    std::shared_ptr<SourceMetrics> metrics;
  };

  absl::StatusOr<std::shared_ptr<Source>> FindSource(absl::string_view target);
  absl::Status CheckAddress(const Source& source, const HttpHead& head) const;
  Origin OriginOf(const HttpHead& head) const;
  // Counts the answer of a request that was not refused.
  static HttpResponse Answered(const Origin& origin, WebhookResult result, HttpResponse response);
  absl::Status Admit(const HttpHead& head, const std::string& body, IncomingWebhook& webhook);
  void Append(std::unique_ptr<IncomingWebhook> webhook, DecodedEvent decoded, std::string body);
  void Quarantine(std::unique_ptr<IncomingWebhook> webhook, const absl::Status& error,
                  std::string body);
  HttpResponse AnswerAppend(const Origin& origin, const absl::StatusOr<AppendResult>& result);
  // The log did not take a signed webhook.
  HttpResponse AnswerNotStored(const Origin& origin, const absl::Status& error);
  // Counts, remembers and logs, and makes the answer.
  HttpResponse AnswerError(const Origin& origin, const absl::Status& error, const HttpHead& head,
                           LogLimiter& lines);
  // `code` is what the sender is told. `head` is null where it is gone.
  void Remember(const Origin& origin, absl::string_view code, const absl::Status& error,
                const HttpHead* head);
  void LogRefusal(const Origin& origin, const absl::Status& error, LogLimiter& lines);

  // Constant after construction.
  const SourceRegistry& sources_;
  EventSink& log_;
  const std::vector<Network> trusted_proxies_;
  const std::shared_ptr<SourceMetrics> no_source_metrics_;
  const Clock& clock_;

  IngestCounters& counters_;
  RefusedRequests* const refused_;  // null: none
  std::atomic<bool> draining_ = false;
  TraceParents trace_parents_;
  // Apart, so that strangers cannot suppress what is said about senders.
  LogLimiter stranger_lines_;  // about requests that nobody is known to have signed
  LogLimiter sender_lines_;    // about those whose signature holds
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_INGEST_WEBHOOK_HANDLER_H_
