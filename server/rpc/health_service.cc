#include "server/rpc/health_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/grpc_server/unary_method.h"
#include "server/rpc/stream_registry.h"

namespace hookgate {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// Holds the newest status alone: a client that does not read costs no more.
class HealthWatch final : public CallHandler {
 public:
  HealthWatch(std::shared_ptr<Call> call, HealthService& service)
      : call_(std::move(call)), service_(service) {
    call_->ReadNext();
  }

  // On the connection's thread.
  void OnMessage(std::string bytes) override {
    requested_ = true;
    HealthCheckRequest request;
    const absl::Status parsed = ParseRequest(bytes, request);
    if (!parsed.ok()) return call_->Finish(parsed);
    const absl::Status added = service_.Add(this, request.service());
    if (!added.ok()) call_->Finish(added);
  }
  void OnHalfClose() override {
    if (requested_) return;
    call_->Finish(ErrorWithReason(absl::StatusCode::kInvalidArgument, reason::kInvalidRequest,
                                  "the call has no request: send one message"));
  }
  Message NextMessage() override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::Status end;
    {
      absl::MutexLock lock(&mu_);
      if (newest_ != sent_) {
        sent_ = newest_;
        HealthCheckResponse response;
        response.set_status(sent_);
        return std::make_shared<const std::string>(response.SerializeAsString());
      }
      end = end_;
    }
    if (!end.ok()) call_->Finish(end);  // What was told before it has been sent before it.
    return nullptr;
  }
  void OnGoAway() override { End(DrainingError()); }
  void OnEnd(CallEnd) override { service_.Forget(this); }

  // On any thread.
  void Tell(HealthService::ServingStatus status) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      // A name that is not served stays unknown.
      if (newest_ != HealthCheckResponse::SERVICE_UNKNOWN) newest_ = status;
    }
    call_->Wake();
  }
  void End(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      absl::MutexLock lock(&mu_);
      end_ = status;
    }
    call_->Wake();
  }

 private:
  // Constant after construction.
  const std::shared_ptr<Call> call_;
  HealthService& service_;  // outlives it

  bool requested_ = false;  // touched only on the connection's thread

  absl::Mutex mu_;
  HealthService::ServingStatus newest_ ABSL_GUARDED_BY(mu_) = HealthCheckResponse::UNKNOWN;
  HealthService::ServingStatus sent_ ABSL_GUARDED_BY(mu_) = HealthCheckResponse::UNKNOWN;
  absl::Status end_ ABSL_GUARDED_BY(mu_);  // OK: it goes on
};

void HealthService::AddTo(MethodTable& table) {
  const auto check = UnaryMethod([this](const CallInfo&) {
    return UnaryWork(
        [this](std::string bytes, UnaryResponder responder) { responder.Respond(Check(bytes)); });
  });
  const auto watch = [this](std::shared_ptr<Call> call, const CallInfo&) {
    return std::make_shared<HealthWatch>(std::move(call), *this);
  };
  table.AddService(*HealthCheckRequest::descriptor()->file()->FindServiceByName("Health"),
                   {{"Check", {check, kMaxRequestBytes}}, {"Watch", {watch, kMaxRequestBytes}}});
}

bool HealthService::IsKnown(const std::string& service) const {
  return service.empty() ||
         std::find(services_.begin(), services_.end(), service) != services_.end();
}

HealthService::ServingStatus HealthService::Current() const {
  return serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void HealthService::StopServing() {
  absl::MutexLock lock(&mu_);
  serving_ = false;
  for (HealthWatch* watch : watches_) watch->Tell(Current());
}

void HealthService::EndWatches() {
  absl::MutexLock lock(&mu_);
  ending_ = true;
  for (HealthWatch* watch : watches_) watch->End(DrainingError());
}

absl::StatusOr<std::string> HealthService::Check(const std::string& bytes) const {
  HealthCheckRequest request;
  RETURN_IF_ERROR(ParseRequest(bytes, request));
  if (!IsKnown(request.service())) {
    // The name is not repeated: it is a stranger's, and may be long.
    return absl::NotFoundError("no service of this name is served here");
  }
  HealthCheckResponse response;
  absl::MutexLock lock(&mu_);
  response.set_status(Current());
  return response.SerializeAsString();
}

absl::Status HealthService::Add(HealthWatch* watch, const std::string& service) {
  absl::MutexLock lock(&mu_);
  if (ending_) return DrainingError();
  if (watches_.size() >= kMaxWatches) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kTooManyStreams,
        absl::StrCat(kMaxWatches, " Watch calls are open already; use Check instead"));
  }
  watches_.insert(watch);
  watch->Tell(IsKnown(service) ? Current() : HealthCheckResponse::SERVICE_UNKNOWN);
  return absl::OkStatus();
}

void HealthService::Forget(HealthWatch* watch) {
  absl::MutexLock lock(&mu_);
  watches_.erase(watch);
}

}  // namespace hookgate
