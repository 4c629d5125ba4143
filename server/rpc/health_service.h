// The standard health service (grpc.health.v1.Health), which balancers and probes ask: of the whole
// gateway by the empty name, and of each service by its own. Open to everybody.
#ifndef HOOKGATE_SERVER_RPC_HEALTH_SERVICE_H_
#define HOOKGATE_SERVER_RPC_HEALTH_SERVICE_H_

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "grpc/health/v1/health.pb.h"
#include "server/grpc_server/method_table.h"

namespace hookgate {

class HealthWatch;  // one Watch call

// Thread-safe.
class HealthService {
 public:
  // Watch calls that may be open at once. They need no identity, so they are bounded apart from
  // the streams of principals; further ones are RESOURCE_EXHAUSTED.
  static constexpr size_t kMaxWatches = 1000;
  // What a stranger can have the gateway hold of a request.
  static constexpr size_t kMaxRequestBytes = 4096;

  // Serving, from the start. `services` are known by name, without the empty one; they outlive
  // this, and may be added to until the first call.
  explicit HealthService(const std::vector<std::string>& services) : services_(services) {}

  // Adds its methods. The service outlives the table's server.
  //   Check  NOT_FOUND for a name that is not served, as health.proto says.
  //   Watch  The status now, and again each time it changes. A name that is not served is
  //          SERVICE_UNKNOWN.
  void AddTo(MethodTable& table);

  // Every name is NOT_SERVING from now on, and every Watch hears of it.
  void StopServing() ABSL_LOCKS_EXCLUDED(mu_);
  // Ends every Watch with UNAVAILABLE, and refuses new ones. Check is still answered.
  void EndWatches() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class HealthWatch;
  using ServingStatus = grpc::health::v1::HealthCheckResponse::ServingStatus;

  absl::StatusOr<std::string> Check(const std::string& bytes) const ABSL_LOCKS_EXCLUDED(mu_);
  // Tells `watch` the status of `service` now, and each change from now on, until Forget.
  // UNAVAILABLE after EndWatches; RESOURCE_EXHAUSTED if there are too many.
  absl::Status Add(HealthWatch* watch, const std::string& service) ABSL_LOCKS_EXCLUDED(mu_);
  void Forget(HealthWatch* watch) ABSL_LOCKS_EXCLUDED(mu_);
  bool IsKnown(const std::string& service) const;
  ServingStatus Current() const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const std::vector<std::string>& services_;

  // Held while a watch is told, so that it is not deleted meanwhile. Before a watch's own lock.
  mutable absl::Mutex mu_;
  bool serving_ ABSL_GUARDED_BY(mu_) = true;
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::set<HealthWatch*> watches_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_HEALTH_SERVICE_H_
