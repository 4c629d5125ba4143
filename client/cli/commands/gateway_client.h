// The gateway that a command is about, and unary calls of it, each with a deadline.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_GATEWAY_CLIENT_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_GATEWAY_CLIENT_H_

#include <memory>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/cli/environment.h"
#include "client/cli/exit_code.h"
#include "client/cli/flags.h"
#include "client/cli/report.h"
#include "client/connection.h"
#include "client/gateway_error.h"
#include "common/clock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"

namespace hookgate::cli {

// A unary method of a service: &v1::EventService::StubInterface::GetEvent.
template <typename Stub, typename Request, typename Response>
using UnaryMethod = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);

// For a command that has GrpcFlag and TimeoutFlag.
class GatewayClient {
 public:
  // The gateway of --grpc, or at `target`; it is connected when the first call is made. `flags` and
  // `environment` outlive this.
  GatewayClient(const Flags& flags, Environment& environment)
      : GatewayClient(flags.Text("grpc"), flags, environment) {}
  GatewayClient(const std::string& target, const Flags& flags, Environment& environment)
      : flags_(flags),
        environment_(environment),
        connection_(environment.connect(target, environment.security)) {}

  // Makes the call, which may take --timeout.
  template <typename Stub, typename Request, typename Response>
  GatewayError Try(UnaryMethod<Stub, Request, Response> method, const Request& request,
                   Response& response) {
    grpc::ClientContext context;
    // Real time, whatever clock the command has: the network waits by it.
    context.set_deadline(absl::ToChronoTime(SystemClock().WallNow() + flags_.Duration("timeout")));
    return ReadGatewayError((StubOf<Stub>().*method)(&context, request, &response));
  }

  // Makes the call. Returns kSuccess; or, after saying that the command cannot do `what`, such as
  // "show 7", and why, the exit code for that.
  template <typename Stub, typename Request, typename Response>
  int Call(UnaryMethod<Stub, Request, Response> method, const Request& request,
           absl::string_view what, Response& response) {
    return Report(Try(method, request, response), what);
  }

  // The same for a call that was made: its exit code, after saying what went wrong, if anything
  // did.
  int Report(const GatewayError& error, absl::string_view what) {
    if (error.status.ok()) return kSuccess;
    return FailedCall(error, absl::StrCat("cannot ", what), connection_->target(), environment_);
  }

  const Flags& flags() const { return flags_; }
  Environment& environment() { return environment_; }

 private:
  template <typename Stub>
  Stub& StubOf() {
    if constexpr (std::is_same_v<Stub, v1::AdminService::StubInterface>) {
      return connection_->admin();
    } else if constexpr (std::is_same_v<Stub, v1::EventService::StubInterface>) {
      return connection_->events();
    } else {
      return connection_->subscriptions();
    }
  }

  const Flags& flags_;
  Environment& environment_;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_GATEWAY_CLIENT_H_
