// The standard health service (grpc.health.v1.Health), which balancers and probes ask: of the whole
// gateway by the empty name, and of each service by its own. Open to everybody.
#ifndef HOOKGATE_SERVER_RPC_HEALTH_SERVICE_H_
#define HOOKGATE_SERVER_RPC_HEALTH_SERVICE_H_

#include <cstddef>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace hookgate {

class HealthWatch;  // one Watch call

// Thread-safe.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  // Watch calls that may be open at once. They need no identity, so they are bounded apart from
  // the streams of principals; further ones are RESOURCE_EXHAUSTED.
  static constexpr size_t kMaxWatches = 1000;

  // Serving, from the start. `services` are known by name, without the empty one.
  explicit HealthService(std::set<std::string> services) : services_(std::move(services)) {}

  // Every name is NOT_SERVING from now on, and every Watch hears of it.
  void StopServing() ABSL_LOCKS_EXCLUDED(mu_);
  // Ends every Watch with UNAVAILABLE, and refuses new ones. Check is still answered.
  void EndWatches() ABSL_LOCKS_EXCLUDED(mu_);

  // NOT_FOUND for a name that is not served, as health.proto says.
  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* call,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override
      ABSL_LOCKS_EXCLUDED(mu_);
  // The status now, and again each time it changes. A name that is not served is SERVICE_UNKNOWN.
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* call,
      const grpc::health::v1::HealthCheckRequest* request) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class HealthWatch;
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;

  bool IsKnown(const std::string& service) const {
    return service.empty() || services_.count(service) > 0;
  }
  Status Current() const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return serving_ ? grpc::health::v1::HealthCheckResponse::SERVING
                    : grpc::health::v1::HealthCheckResponse::NOT_SERVING;
  }
  void Forget(HealthWatch* watch) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const std::set<std::string> services_;

  // Held while a watch is told, so that it is not deleted meanwhile. Before a watch's own lock.
  absl::Mutex mu_;
  bool serving_ ABSL_GUARDED_BY(mu_) = true;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::set<HealthWatch*> watches_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_HEALTH_SERVICE_H_
