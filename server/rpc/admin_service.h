// hookgate.v1.AdminService.
#ifndef HOOKGATE_SERVER_RPC_ADMIN_SERVICE_H_
#define HOOKGATE_SERVER_RPC_ADMIN_SERVICE_H_

#include <functional>

#include "absl/status/status.h"
#include "server/base/executor.h"
#include "server/delivery/subscription_registry.h"
#include "server/eventlog/conflict_log.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/quarantine_log.h"
#include "server/grpc_server/method_table.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/conflict_queries.h"
#include "server/rpc/quarantine_queries.h"
#include "server/rpc/stream_registry.h"
#include "server/rpc/unary_calls.h"
#include "server/status/refused_requests.h"

namespace hookgate {

namespace v1 {
class GetStatusResponse;
}  // namespace v1

// What the service works with. All of it outlives the service.
struct AdminContext {
  QuarantineLog& quarantine;
  ConflictLog& conflicts;
  const EventLog& log;  // that both belong to
  const RefusedRequests& refused;
  const StreamRegistry& streams;
  SubscriptionRegistry& subscriptions;
  // Fills in how the whole gateway is, which only the whole knows. May block; called on many
  // threads.
  std::function<absl::Status(hookgate::v1::GetStatusResponse&)> get_status;
  Executor& executor;
  CallGate& gate;
};

class AdminService {
 public:
  explicit AdminService(const AdminContext& context);

  // Adds its methods. The service outlives the table's server.
  void AddTo(MethodTable& table);
  // Whether no call is under way.
  bool idle() const { return calls_.idle(); }

 private:
  const AdminContext context_;
  QuarantineQueries quarantine_;
  ConflictQueries conflicts_;
  UnaryCalls calls_;  // last: waits for what uses the others
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_ADMIN_SERVICE_H_
