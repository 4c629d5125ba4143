// What the operator's tools ask over HTTP: GET /healthz, GET /readyz, GET /leaderz and GET
// /metrics.
#ifndef HOOKGATE_SERVER_ADMIN_ADMIN_HANDLER_H_
#define HOOKGATE_SERVER_ADMIN_ADMIN_HANDLER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/http/http_handler.h"
#include "server/metrics/metric_registry.h"

namespace hookgate {

// Thread-safe.
class AdminHandler final : public HttpHandler {
 public:
  // Why the gateway should not be sent webhooks now; empty: it is ready. Called on HTTP threads.
  using ReasonsNotReady = std::function<std::vector<std::string>()>;

  // Why this gateway does not decide what is stored; "": it does, being alone or the leader of a
  // cluster. Called on HTTP threads.
  using ReasonNotLeading = std::function<std::string()>;

  // Scrapes whose answers may be on their way at one time. Each holds its text until it is written:
  // some 60 KiB, and a few MiB where there are a thousand subscriptions.
  static constexpr int kMaxScrapes = 4;
  // One that has not been read for so long gives its place to the next, and its connection is
  // closed: clients that do not read keep nobody from his metrics.
  static constexpr absl::Duration kScrapePatience = absl::Seconds(1);

  // `metrics` and `clock` outlive the handler.
  AdminHandler(ReasonsNotReady reasons_not_ready, ReasonNotLeading reason_not_leading,
               MetricRegistry& metrics, const Clock& clock);

  // /healthz: 200 {"status":"ok"} as long as the process answers at all.
  // /readyz:  200 {"status":"ready"}, or 503 {"status":"not_ready","reasons":["draining"]}.
  // /leaderz: 200 {"status":"leader"}, or 503 {"status":"not_leader","reasons":["..."]}: for
  // balancers
  //           that are to send everything to the leader of a cluster.
  // /metrics: 200, in Prometheus' text format, or in OpenMetrics if Accept asks for it; 503
  //           too_many_scrapes while kMaxScrapes are under way that were all begun within
  //           kScrapePatience. Waits neither for a commit nor for the disk.
  absl::optional<HttpResponse> CheckHead(const HttpHead& head) override;
  void Handle(const HttpHead& head, std::string body, absl::Time receive_time,
              Respond respond) override;
  HttpResponse Refuse(HttpRefusal refusal, absl::string_view detail, const HttpHead& head) override;

 private:
  HttpResponse Readiness() const;
  HttpResponse Leadership() const;
  HttpResponse Scrape(const HttpHead& head);

  // Constant after construction.
  const ReasonsNotReady reasons_not_ready_;
  const ReasonNotLeading reason_not_leading_;
  MetricRegistry& metrics_;  // does its own locking
  const Clock& clock_;

  // Shared with the answers, which may outlive the handler.
  class Scrapes;
  class ScrapeUnderWay;
  const std::shared_ptr<Scrapes> scrapes_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_ADMIN_ADMIN_HANDLER_H_
