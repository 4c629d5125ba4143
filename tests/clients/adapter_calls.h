// Every unary method of the gateway's services, by its name.
#ifndef HOOKGATE_TESTS_CLIENTS_ADAPTER_CALLS_H_
#define HOOKGATE_TESTS_CLIENTS_ADAPTER_CALLS_H_

#include <string>

#include "absl/time/time.h"
#include "client/connection.h"
#include "client/gateway_error.h"

namespace hookgate::adapter {

// Calls `method`, such as "EventService.GetEvent", over `connection`. Request and answer are in
// protobuf's JSON mapping. INVALID_ARGUMENT if the request is not; UNIMPLEMENTED without a call if
// there is no such method.
GatewayError CallByName(Connection& connection, const std::string& method,
                        const std::string& request, absl::Duration timeout, std::string* answer);

}  // namespace hookgate::adapter

#endif  // HOOKGATE_TESTS_CLIENTS_ADAPTER_CALLS_H_
