// The gateway's unary calls, each with a deadline.
#ifndef HOOKGATE_CLIENT_CLI_GATEWAY_CALLS_H_
#define HOOKGATE_CLIENT_CLI_GATEWAY_CALLS_H_

#include "absl/time/time.h"
#include "client/connection.h"
#include "client/gateway_error.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate::cli {

GatewayError ListRecentFailures(Connection& connection,
                                const v1::ListRecentFailuresRequest& request,
                                absl::Duration timeout, v1::ListRecentFailuresResponse& response);

GatewayError ListEvents(Connection& connection, const v1::ListEventsRequest& request,
                        absl::Duration timeout, v1::ListEventsResponse& response);

GatewayError GetEvent(Connection& connection, const v1::GetEventRequest& request,
                      absl::Duration timeout, v1::GetEventResponse& response);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_GATEWAY_CALLS_H_
