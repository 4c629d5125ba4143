// What the operator's tools ask over HTTP: GET /healthz and GET /readyz.
#ifndef HOOKGATE_SERVER_ADMIN_ADMIN_HANDLER_H_
#define HOOKGATE_SERVER_ADMIN_ADMIN_HANDLER_H_

#include <functional>
#include <string>
#include <vector>

#include "server/http/http_handler.h"

namespace hookgate {

// Thread-safe.
class AdminHandler final : public HttpHandler {
 public:
  // Why the gateway should not be sent webhooks now; empty: it is ready. Called on HTTP threads.
  using ReasonsNotReady = std::function<std::vector<std::string>()>;

  explicit AdminHandler(ReasonsNotReady reasons_not_ready)
      : reasons_not_ready_(std::move(reasons_not_ready)) {}

  // /healthz: 200 {"status":"ok"} as long as the process answers at all.
  // /readyz:  200 {"status":"ready"}, or 503 {"status":"not_ready","reasons":["draining"]}.
  absl::optional<HttpResponse> CheckHead(const HttpHead& head) override;
  void Handle(const HttpHead& head, std::string body, absl::Time receive_time,
              Respond respond) override;
  HttpResponse Refuse(HttpRefusal refusal, absl::string_view detail, const HttpHead& head) override;

 private:
  HttpResponse Readiness() const;

  const ReasonsNotReady reasons_not_ready_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_ADMIN_ADMIN_HANDLER_H_
