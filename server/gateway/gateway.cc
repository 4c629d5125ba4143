#include "server/gateway/gateway.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "server/base/logging.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr absl::Duration kRetentionInterval = absl::Minutes(1);

}  // namespace

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Create(const Options& options,
                                                         const Clock& clock) {
  auto gateway = absl::WrapUnique(new Gateway(options, clock));
  RETURN_IF_ERROR(gateway->OpenLog());      // No promise before the log can be written.
  RETURN_IF_ERROR(gateway->StartRpc());     // Before senders: no backlog at birth.
  RETURN_IF_ERROR(gateway->StartIngest());  // From here on senders are owed answers.
  RETURN_IF_ERROR(gateway->StartAdmin());   // Last: ready is said once all of it is true.
  return gateway;
}

Gateway::Gateway(const Options& options, const Clock& clock)
    : options_(options), clock_(clock), watch_(clock), tail_({}, watch_) {}

// The edges end first: whatever still runs there uses what is below.
Gateway::~Gateway() = default;

absl::Status Gateway::OpenLog() {
  auto log = SqliteEventLog::Open(options_.log, &tail_);
  if (!log.ok()) return Annotate(log.status(), "opening the log");
  log_ = *std::move(log);
  const LogPosition position = log_->Position();
  tail_.StartAfter(position.head);
  Log(Severity::kInfo, "log opened",
      {{"data_dir", options_.log.data_dir},
       {"epoch", log_->epoch()},
       {"earliest", position.earliest},
       {"head", position.head}});
  retention_ = std::make_unique<Retention>(
      options_.retention, kRetentionInterval,
      [this](absl::Time cutoff) { return log_->Trim(cutoff); }, clock_);
  return absl::OkStatus();
}

absl::Status Gateway::StartRpc() {
  auto server = RpcServer::Start(options_.rpc, *log_, tail_, watch_, clock_);
  if (!server.ok()) return Annotate(server.status(), "grpc.address");
  rpc_server_ = *std::move(server);
  return absl::OkStatus();
}

absl::Status Gateway::StartIngest() {
  webhook_handler_ = std::make_unique<WebhookHandler>(options_.sources, *log_, clock_);
  auto server = HttpServer::Start(options_.http, *webhook_handler_, clock_);
  if (!server.ok()) return Annotate(server.status(), "http.address");
  webhook_server_ = *std::move(server);
  return absl::OkStatus();
}

absl::Status Gateway::StartAdmin() {
  admin_handler_ = std::make_unique<AdminHandler>([this] { return ReasonsNotReady(); });
  HttpServerOptions options = options_.admin;
  options.threads = 1;
  auto server = HttpServer::Start(options, *admin_handler_, clock_);
  if (!server.ok()) return Annotate(server.status(), "admin.address");
  admin_server_ = *std::move(server);
  return absl::OkStatus();
}

std::vector<std::string> Gateway::ReasonsNotReady() const {
  std::vector<std::string> reasons;
  if (draining_) reasons.push_back("draining");
  const absl::Status health = log_->Health();
  if (!health.ok()) reasons.push_back(std::string(health.message()));
  return reasons;
}

bool Gateway::Drain() {
  const absl::Duration end = clock_.MonotonicNow() + options_.drain_timeout;
  const auto time_left = [&] {
    return std::max(end - clock_.MonotonicNow(), absl::ZeroDuration());
  };
  Log(Severity::kInfo, "draining",
      {{"streams", rpc_server_->open_streams()},
       {"at_most", absl::FormatDuration(options_.drain_timeout)}});
  draining_ = true;                // Balancers look elsewhere:
  rpc_server_->StopServing();      // those of gRPC too.
  webhook_handler_->BeginDrain();  // New webhooks: 503, come back.
  const bool answered = webhook_server_->Drain(time_left());  // Those under way: stored, answered.
  const bool said_goodbye = rpc_server_->Drain(time_left());  // Streams hear goodbye and end.
  const bool all_ended = answered && said_goodbye;
  Log(all_ended ? Severity::kInfo : Severity::kWarning, "drained",
      {{"all_webhooks_answered", answered ? "yes" : "no"},
       {"all_streams_ended", said_goodbye ? "yes" : "no"}});
  return all_ended;
}

}  // namespace hookgate
