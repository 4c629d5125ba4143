// The gateway's unary calls, each with a deadline.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_GATEWAY_CALLS_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_GATEWAY_CALLS_H_

#include "absl/time/time.h"
#include "client/gateway_error.h"
#include "common/clock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace hookgate::cli {

// Calls `method` of `stub`, which may take `timeout`:
//   CallGateway(connection.events(), &v1::EventService::StubInterface::GetEvent, request,
//               absl::Seconds(10), response)
template <typename Stub, typename Request, typename Response>
GatewayError CallGateway(Stub& stub,
                         grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                      Response*),
                         const Request& request, absl::Duration timeout, Response& response) {
  grpc::ClientContext context;
  // Real time, whatever clock the command has: the network waits by it.
  context.set_deadline(absl::ToChronoTime(SystemClock().WallNow() + timeout));
  return ReadGatewayError((stub.*method)(&context, request, &response));
}

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_GATEWAY_CALLS_H_
