#include "tests/hostile/bystanders.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/base/current_thread.h"
#include "tests/support/http_client.h"
#include "tests/support/signed_webhook.h"

namespace hookgate {
namespace {

constexpr absl::Duration kBetweenWebhooks = absl::Milliseconds(10);
constexpr absl::Duration kBetweenCalls = absl::Milliseconds(50);
constexpr int64_t kHeartbeatNanos = 100'000'000;  // the shortest interval that there is
constexpr std::chrono::seconds kPatience(10);

}  // namespace

absl::Duration Bystanders::Report::WebhookPercentile(double percent) const {
  if (webhooks.empty()) return absl::ZeroDuration();
  std::vector<absl::Duration> sorted = webhooks;
  std::sort(sorted.begin(), sorted.end());
  const auto at = static_cast<size_t>(percent / 100 * static_cast<double>(sorted.size()));
  return sorted[std::min(at, sorted.size() - 1)];
}

Bystanders::Bystanders(const HookgatedProcess& gateway, const std::string& token,
                       const std::string& authority)
    : gateway_(gateway),
      token_(token),
      credentials_(authority.empty() ? grpc::InsecureChannelCredentials()
                                     : grpc::SslCredentials({.pem_root_certs = authority})),
      last_heartbeat_(absl::Now()) {
  threads_.emplace_back([this] { SendWebhooks(); });
  threads_.emplace_back([this] { ReadHeartbeats(); });
  threads_.emplace_back([this] { ComeAnew(); });
}

Bystanders::~Bystanders() {
  over_.Notify();
  stream_context_.TryCancel();
  for (std::thread& thread : threads_) thread.join();
}

Bystanders::Report Bystanders::Take() {
  absl::MutexLock lock(&mu_);
  report_.longest_silence = std::max(report_.longest_silence, absl::Now() - last_heartbeat_);
  return std::exchange(report_, Report());
}

bool Bystanders::WereServed(int times) const {
  absl::MutexLock lock(&mu_);
  return report_.webhooks.size() >= static_cast<size_t>(times) && report_.heartbeats >= times &&
         report_.calls >= times;
}

void Bystanders::Complain(const std::string& what) {
  absl::MutexLock lock(&mu_);
  if (report_.complaints.size() < 10) report_.complaints.push_back(what);
}

std::shared_ptr<grpc::Channel> Bystanders::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  return grpc::CreateCustomChannel(gateway_.grpc(), credentials_, arguments);
}

void Bystanders::Prepare(grpc::ClientContext& context) const {
  context.AddMetadata("authorization", "Bearer " + token_);
}

bool Bystanders::WaitUntil(absl::Time time) const {
  return !over_.WaitForNotificationWithTimeout(std::max(absl::ZeroDuration(), time - absl::Now()));
}

void Bystanders::SendWebhooks() {
  AskForShortTimeSlices();  // How late this thread is woken is not to count as the gateway's time.
  std::optional<HttpClient> client;
  absl::Time due = absl::Now();
  while (WaitUntil(due)) {
    if (!client.has_value()) client.emplace(gateway_.http());
    const std::optional<HttpReply> reply =
        client->Send(SignedWebhook().Request()) ? client->ReadReply() : std::nullopt;
    if (reply.has_value() && reply->status == 200) {
      absl::MutexLock lock(&mu_);
      report_.webhooks.push_back(absl::Now() - due);
    } else {
      Complain(absl::StrCat("a webhook was answered ", reply.has_value() ? reply->status : 0));
      client.reset();
    }
    // What was due meanwhile is late, and counts as that.
    due += kBetweenWebhooks;
  }
}

void Bystanders::ReadHeartbeats() {
  const auto stub = v1::EventService::NewStub(NewChannel());
  v1::SubscribeRequest request;
  request.set_start_position(v1::START_POSITION_LATEST);
  request.mutable_filter()->add_types("of.nothing");
  request.mutable_heartbeat_interval()->set_nanos(kHeartbeatNanos);
  Prepare(stream_context_);
  const auto stream = stub->Subscribe(&stream_context_, request);
  v1::SubscribeResponse frame;
  while (stream->Read(&frame)) {
    if (!frame.has_heartbeat()) continue;
    const absl::Time now = absl::Now();
    absl::MutexLock lock(&mu_);
    report_.longest_silence = std::max(report_.longest_silence, now - last_heartbeat_);
    last_heartbeat_ = now;
    ++report_.heartbeats;
  }
  const grpc::Status status = stream->Finish();
  if (!over_.HasBeenNotified()) {
    Complain(absl::StrCat("the subscriber's stream ended: ", status.error_message()));
  }
}

void Bystanders::ComeAnew() {
  absl::Time due = absl::Now();
  while (WaitUntil(due)) {
    const absl::Time begin = absl::Now();
    const auto stub = grpc::health::v1::Health::NewStub(NewChannel());
    grpc::ClientContext context;
    Prepare(context);
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    grpc::health::v1::HealthCheckResponse response;
    const grpc::Status status = stub->Check(&context, {}, &response);
    due = absl::Now() + kBetweenCalls;
    if (!status.ok()) {
      Complain(absl::StrCat("a new client was answered: ", status.error_message()));
      continue;
    }
    absl::MutexLock lock(&mu_);
    ++report_.calls;
    report_.longest_call = std::max(report_.longest_call, absl::Now() - begin);
  }
}

}  // namespace hookgate
