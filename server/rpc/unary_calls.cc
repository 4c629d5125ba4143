#include "server/rpc/unary_calls.h"

#include <utility>

#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/rpc/grpc_status.h"

namespace hookgate {
namespace {

// More than this waiting would only time out.
constexpr int kMaxUnderWay = 256;

}  // namespace

grpc::ServerUnaryReactor* UnaryCalls::Run(grpc::CallbackServerContext* call,
                                          const absl::Status& allowed,
                                          absl::AnyInvocable<absl::Status() &&> work) {
  grpc::ServerUnaryReactor* const reactor = call->DefaultReactor();
  if (!allowed.ok()) {
    reactor->Finish(ToGrpcStatus(allowed));
    return reactor;
  }
  if (under_way_.fetch_add(1) >= kMaxUnderWay) {
    under_way_.fetch_sub(1);
    reactor->Finish(ToGrpcStatus(ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kTooManyQueries,
        "the gateway is answering as many queries as it can: try again in a moment")));
    return reactor;
  }
  executor_.Post([this, call, reactor, work = std::move(work)]() mutable {
    const absl::Status status =
        call->IsCancelled() ? absl::CancelledError("the client has gone") : std::move(work)();
    under_way_.fetch_sub(1);
    reactor->Finish(ToGrpcStatus(status));
  });
  return reactor;
}

}  // namespace hookgate
