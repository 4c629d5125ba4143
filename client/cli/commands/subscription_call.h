// What commands share that make a call about one durable subscription.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTION_CALL_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTION_CALL_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/cli/command.h"
#include "client/cli/commands/gateway_client.h"
#include "client/cli/environment.h"
#include "client/cli/exit_code.h"
#include "client/cli/flags.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {

// How these commands end; `done`: "It was moved."
std::vector<Command::Exit> SubscriptionExits(const std::string& done);

// A request that names the subscription of the first argument, with --etag if it was given.
template <typename Request>
Request ChangeRequest(const Flags& flags) {
  Request request;
  request.set_name(flags.arguments()[0]);
  if (flags.Has("etag")) request.set_etag(flags.Text("etag"));
  return request;
}

// Prints all of it, as --output says.
void PrintSubscription(const v1::Subscription& subscription, const Flags& flags,
                       Environment& environment);

// Makes the call, which does `verb` ("pause") to request.name(), and prints what the subscription
// is then. Returns the exit code.
template <typename Request, typename Response>
int RunSubscriptionCall(
    UnaryMethod<v1::SubscriptionService::StubInterface, Request, Response> method,
    const Request& request, absl::string_view verb, GatewayClient& gateway) {
  Response response;
  const int exit_code =
      gateway.Call(method, request, absl::StrCat(verb, " ", request.name()), response);
  if (exit_code != kSuccess) return exit_code;
  PrintSubscription(response.subscription(), gateway.flags(), gateway.environment());
  return kSuccess;
}

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTION_CALL_H_
