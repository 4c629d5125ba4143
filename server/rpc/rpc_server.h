// The gRPC edge: EventService, SubscriptionService, AdminService, the standard health service and
// server reflection on one address, served by a GrpcServer.
#ifndef HOOKGATE_SERVER_RPC_RPC_SERVER_H_
#define HOOKGATE_SERVER_RPC_RPC_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/access/access_control.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/subscription_registry.h"
#include "server/delivery/tail.h"
#include "server/eventlog/conflict_log.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/lookup_log.h"
#include "server/eventlog/quarantine_log.h"
#include "server/grpc_server/grpc_refusal.h"
#include "server/grpc_server/grpc_server_options.h"
#include "server/grpc_server/method_table.h"
#include "server/metrics/metric_registry.h"
#include "server/rpc/cursors_ahead.h"
#include "server/rpc/explain_queries.h"
#include "server/rpc/stream_registry.h"
#include "server/status/refused_requests.h"
#include "server/tls/certificate_store.h"

namespace hookgate {

namespace v1 {
class GetStatusResponse;
}  // namespace v1

struct RpcServerOptions {
  GrpcServerOptions transport;  // the address, and what clients may cost
  // Of those that are long: Subscribe, Consume, Pull, reflection.
  size_t max_streams = 10'000;
  int query_threads = 3;
  int page_threads = 2;  // for streams that have fallen behind
};

// What is served. All of it outlives the server.
struct RpcServerContext {
  EventLog& log;
  QuarantineLog& quarantine;
  LookupLog& lookups;
  ConflictLog& conflicts;
  const RefusedRequests& refused;
  const Tail& tail;
  HeadWatch& watch;
  SubscriptionRegistry& subscriptions;
  const Clock& clock;
  MetricRegistry& metrics;
  const AccessControl& access;           // who may do what
  const CertificateStore* certificates;  // null: plain text
  CursorsAhead cursors_ahead;
  // As in AdminContext.
  std::function<absl::Status(hookgate::v1::GetStatusResponse&)> get_status;
  // The names of the sources that are configured now; null: every name is a source. Any thread.
  std::function<std::vector<std::string>()> source_names;
  // As in ExplainContext.
  std::function<std::vector<LastWebhook>()> last_webhooks;
  // Asked for each call first; null: nobody is.
  MethodTable::Diverter* diverter = nullptr;
};

// Thread-safe.
class RpcServer {
 public:
  // Binds and serves. Errors are those of GrpcServer.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const RpcServerOptions& options,
                                                          const RpcServerContext& context);

  // Ends at once what is left, but for work that waits for the disk: that it waits for.
  virtual ~RpcServer() = default;

  // HOST:PORT as bound.
  virtual std::string address() const = 0;
  virtual size_t open_streams() const = 0;
  virtual size_t open_connections() const = 0;
  // All that is served, for whoever serves it to others as well.
  virtual const MethodTable& methods() const = 0;
  // Of open streams; see OpenStream::CountIfBehind.
  virtual StreamsBehind CountBehind(Sequence head) const = 0;
  // How often clients were refused something since the start, by kind.
  virtual GrpcRefusalCounts refusals() const = 0;

  // The policy in force is another one: streams that have lost their right end, with the error that
  // a new call would get.
  virtual void RecheckAccess() = 0;

  // The health service says NOT_SERVING from now on, so that balancers look elsewhere.
  virtual void StopServing() = 0;

  // Takes no new connections and calls, says goodbye to every stream and waits until they have
  // ended, at most for `grace`; gives the queries under way a moment more, then ends what is left.
  // False if something was left, such as the stream of a client that has stopped reading, or work
  // that waits for the disk. Harmless when repeated.
  virtual bool Drain(absl::Duration grace) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_RPC_SERVER_H_
