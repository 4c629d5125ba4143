// What the operator's tools ask over HTTP: GET /healthz, GET /readyz and GET /metrics.
#ifndef HOOKGATE_SERVER_ADMIN_ADMIN_HANDLER_H_
#define HOOKGATE_SERVER_ADMIN_ADMIN_HANDLER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/http/http_handler.h"
#include "server/metrics/metric_registry.h"

namespace hookgate {

// Thread-safe.
class AdminHandler final : public HttpHandler {
 public:
  // Why the gateway should not be sent webhooks now; empty: it is ready. Called on HTTP threads.
  using ReasonsNotReady = std::function<std::vector<std::string>()>;

  // Scrapes whose answers may be on their way at one time. Each holds its text until it is written:
  // some 60 KiB, and a few MiB where there are a thousand subscriptions.
  static constexpr int kMaxScrapes = 4;

  // `metrics` outlives the handler.
  AdminHandler(ReasonsNotReady reasons_not_ready, MetricRegistry& metrics)
      : reasons_not_ready_(std::move(reasons_not_ready)), metrics_(metrics) {}

  // /healthz: 200 {"status":"ok"} as long as the process answers at all.
  // /readyz:  200 {"status":"ready"}, or 503 {"status":"not_ready","reasons":["draining"]}.
  // /metrics: 200, in Prometheus' text format, or in OpenMetrics if Accept asks for it; 503
  //           too_many_scrapes while kMaxScrapes are under way. Waits neither for a commit nor for the
  //           disk.
  absl::optional<HttpResponse> CheckHead(const HttpHead& head) override;
  void Handle(const HttpHead& head, std::string body, absl::Time receive_time,
              Respond respond) override;
  HttpResponse Refuse(HttpRefusal refusal, absl::string_view detail, const HttpHead& head) override;

 private:
  HttpResponse Readiness() const;
  HttpResponse Scrape(const HttpHead& head);

  // Constant after construction.
  const ReasonsNotReady reasons_not_ready_;
  MetricRegistry& metrics_;  // does its own locking

  // Shared with the answers, which may outlive the handler.
  const std::shared_ptr<std::atomic<int>> scrapes_ = std::make_shared<std::atomic<int>>(0);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_ADMIN_ADMIN_HANDLER_H_
