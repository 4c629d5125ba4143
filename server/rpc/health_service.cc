#include "server/rpc/health_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/rpc/grpc_status.h"
#include "server/rpc/stream_registry.h"

namespace hookgate {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// Holds one message while gRPC writes it, and the newest status beside it: a client that does not
// read costs no more.
class HealthWatch final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  explicit HealthWatch(HealthService& service) : service_(service) {}

  void Tell(HealthService::Status status) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    newest_ = status;
    WriteNewest();
  }

  void End(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!end_.has_value()) end_ = status;
    FinishIfDone();
  }

  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    if (!ok && !end_.has_value()) end_ = absl::CancelledError("the client has gone");
    WriteNewest();
    FinishIfDone();
  }

  void OnCancel() override { End(absl::CancelledError("the client has gone")); }

  void OnDone() override {
    service_.Forget(this);
    delete this;
  }

 private:
  void WriteNewest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || finished_ || message_.status() == newest_) return;
    message_.set_status(newest_);
    writing_ = true;
    StartWrite(&message_);
  }
  // What was told before the end is written before it.
  void FinishIfDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || finished_ || !end_.has_value()) return;
    finished_ = true;
    Finish(ToGrpcStatus(*end_));
  }

  HealthService& service_;  // outlives it
  absl::Mutex mu_;
  HealthService::Status newest_ ABSL_GUARDED_BY(mu_) = HealthCheckResponse::UNKNOWN;
  HealthCheckResponse message_;  // gRPC's from StartWrite to OnWriteDone; written under mu_
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  absl::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
};

void HealthService::StopServing() {
  absl::MutexLock lock(&mu_);
  serving_ = false;
  for (HealthWatch* watch : watches_) watch->Tell(Current());
}

void HealthService::EndWatches() {
  absl::MutexLock lock(&mu_);
  ending_ = true;
  for (HealthWatch* watch : watches_) {
    watch->End(DrainingError());
  }
}

void HealthService::Forget(HealthWatch* watch) {
  absl::MutexLock lock(&mu_);
  watches_.erase(watch);
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* call,
                                               const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  absl::Status status;
  if (IsKnown(request->service())) {
    absl::MutexLock lock(&mu_);
    response->set_status(Current());
  } else {
    // The name is not repeated: it is a stranger's, and may be long.
    status = absl::NotFoundError("no service of this name is served here");
  }
  grpc::ServerUnaryReactor* const reactor = call->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext*, const HealthCheckRequest* request) {
  auto watch = std::make_unique<HealthWatch>(*this);
  absl::MutexLock lock(&mu_);
  if (ending_) {
    watch->End(DrainingError());
  } else if (watches_.size() >= kMaxWatches) {
    watch->End(ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kTooManyStreams,
        absl::StrCat(kMaxWatches, " Watch calls are open already; use Check instead")));
  } else {
    watches_.insert(watch.get());
    const Status unknown = HealthCheckResponse::SERVICE_UNKNOWN;
    watch->Tell(IsKnown(request->service()) ? Current() : unknown);
  }
  return watch.release();
}

}  // namespace hookgate
