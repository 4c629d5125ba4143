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

bool UnaryCalls::Refuse(grpc::ServerUnaryReactor& reactor, const absl::Status& allowed,
                        std::atomic<int>& under_way) {
  if (!allowed.ok()) {
    reactor.Finish(ToGrpcStatus(allowed));
    return true;
  }
  if (under_way.fetch_add(1) < kMaxUnderWay) return false;
  under_way.fetch_sub(1);
  reactor.Finish(ToGrpcStatus(ErrorWithReason(
      absl::StatusCode::kResourceExhausted, reason::kTooManyQueries,
      "the gateway is answering as many queries as it can: try again in a moment")));
  return true;
}

grpc::ServerUnaryReactor* UnaryCalls::Run(grpc::CallbackServerContext* call,
                                          const absl::Status& allowed,
                                          absl::AnyInvocable<absl::Status() &&> work) {
  grpc::ServerUnaryReactor* const reactor = call->DefaultReactor();
  if (Refuse(*reactor, allowed, reading_)) return reactor;
  executor_.Post([this, call, reactor, work = std::move(work)]() mutable {
    const absl::Status status =
        call->IsCancelled() ? absl::CancelledError("the client has gone") : std::move(work)();
    reading_.fetch_sub(1);
    reactor->Finish(ToGrpcStatus(status));
  });
  return reactor;
}

grpc::ServerUnaryReactor* UnaryCalls::Begin(grpc::CallbackServerContext* call,
                                            const absl::Status& allowed,
                                            absl::AnyInvocable<void(Finish finish) &&> begin) {
  grpc::ServerUnaryReactor* const reactor = call->DefaultReactor();
  if (Refuse(*reactor, allowed, writing_)) return reactor;
  executor_.Post([this, call, reactor, begin = std::move(begin)]() mutable {
    Finish finish = [this, reactor](const absl::Status& status) {
      writing_.fetch_sub(1);
      reactor->Finish(ToGrpcStatus(status));
    };
    if (call->IsCancelled()) {
      std::move(finish)(absl::CancelledError("the client has gone"));
    } else {
      std::move(begin)(std::move(finish));
    }
  });
  return reactor;
}

}  // namespace hookgate
