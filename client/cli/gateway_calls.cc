#include "client/cli/gateway_calls.h"

#include "grpcpp/client_context.h"
#include "server/base/clock.h"

namespace hookgate::cli {
namespace {

using Stub = v1::EventService::StubInterface;

template <typename Request, typename Response>
GatewayError Call(Connection& connection,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, absl::Duration timeout, Response& response) {
  grpc::ClientContext context;
  // Real time, whatever clock the command has: the network waits by it.
  context.set_deadline(absl::ToChronoTime(SystemClock().WallNow() + timeout));
  return ReadGatewayError((connection.events().*method)(&context, request, &response));
}

}  // namespace

GatewayError ListRecentFailures(Connection& connection,
                                const v1::ListRecentFailuresRequest& request,
                                absl::Duration timeout, v1::ListRecentFailuresResponse& response) {
  return Call(connection, &Stub::ListRecentFailures, request, timeout, response);
}

GatewayError ListEvents(Connection& connection, const v1::ListEventsRequest& request,
                        absl::Duration timeout, v1::ListEventsResponse& response) {
  return Call(connection, &Stub::ListEvents, request, timeout, response);
}

GatewayError GetEvent(Connection& connection, const v1::GetEventRequest& request,
                      absl::Duration timeout, v1::GetEventResponse& response) {
  return Call(connection, &Stub::GetEvent, request, timeout, response);
}

}  // namespace hookgate::cli
