// Calls that an older gateway would not carry out as asked: they fail by the name of what it lacks.
//
//   v1::UpdateSubscriptionResponse response;
//   const hookgate::GatewayError error = hookgate::CheckedCall(
//       connection, connection.subscriptions(),
//       &v1::SubscriptionService::StubInterface::UpdateSubscription, context, request, &response);
//   if (error.reason == hookgate::kCapabilityMissing) { ... error.metadata.at("capability") ... }
//
// A gateway ignores a field that it does not know and does the rest: without `update_mask` it
// replaces all settings. BEHAVIOUR.md says when that is looked at; docs/capabilities.md has the
// names.
#ifndef HOOKGATE_CLIENT_CAPABILITIES_H_
#define HOOKGATE_CLIENT_CAPABILITIES_H_

#include <chrono>
#include <string>
#include <vector>

#include "client/connection.h"
#include "client/gateway_error.h"
#include "google/protobuf/message.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace hookgate {

// The capabilities without which a gateway would ignore a field that `request` sets, in the order
// of the alphabet. Empty for nearly all requests.
std::vector<std::string> FieldCapabilities(const google::protobuf::Message& request);

// Asks the gateway, by GetStatus, for what FieldCapabilities names; asks nothing if that is empty.
// The error's status is OK if it has all of them, or if this client may not ask
// (PERMISSION_DENIED). Other errors: reason kCapabilityMissing, or that of GetStatus. Blocks, until
// `deadline` at most.
GatewayError CheckCapabilities(Connection& connection, const google::protobuf::Message& request,
                               std::chrono::system_clock::time_point deadline);

// `error` of a call with `request`. If that is UNIMPLEMENTED without a reason, and the call needs a
// capability, then with kCapabilityMissing as its reason.
GatewayError NameMissingCapability(GatewayError error, const google::protobuf::Message& request);

// Makes a unary call over `stub`, one of `connection`'s: CheckCapabilities, the call itself, and
// NameMissingCapability. Nothing but GetStatus is sent if a capability is missing. `context` is as
// for the call alone; its deadline holds for both.
template <typename Stub, typename Request, typename Response>
GatewayError CheckedCall(Connection& connection, Stub& stub,
                         grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                      Response*),
                         grpc::ClientContext& context, const Request& request, Response* response) {
  GatewayError error = CheckCapabilities(connection, request, context.deadline());
  if (!error.status.ok()) return error;
  return NameMissingCapability(ReadGatewayError((stub.*method)(&context, request, response)),
                               request);
}

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_CAPABILITIES_H_
