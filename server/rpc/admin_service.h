// AdminService over gRPC.
#ifndef HOOKGATE_SERVER_RPC_ADMIN_SERVICE_H_
#define HOOKGATE_SERVER_RPC_ADMIN_SERVICE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/base/executor.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/quarantine_log.h"
#include "server/rpc/call_gate.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace hookgate {

namespace v1 {
class GetStatusResponse;
}  // namespace v1

// What the service works with. All of it outlives the service.
struct AdminContext {
  QuarantineLog& quarantine;
  const EventLog& log;  // that the quarantine belongs to
  // Fills in how the whole gateway is, which only the whole knows. May block; called on many
  // threads.
  std::function<absl::Status(hookgate::v1::GetStatusResponse&)> get_status;
  Executor& executor;
  CallGate& gate;
};

std::unique_ptr<grpc::Service> MakeAdminService(const AdminContext& context);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_ADMIN_SERVICE_H_
