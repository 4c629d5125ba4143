#include "server/rpc/unknown_methods.h"

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/rpc/caller.h"
#include "server/rpc/grpc_status.h"

namespace hookgate {
namespace {

class RefusedCall final : public grpc::ServerGenericBidiReactor {
 public:
  explicit RefusedCall(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerGenericBidiReactor* UnknownMethods::CreateReactor(
    grpc::GenericCallbackServerContext* call) {
  const absl::Status admitted = Caller::Admit(*call, gate_, call->method()).status();
  if (!admitted.ok()) return new RefusedCall(admitted);
  return new RefusedCall(absl::UnimplementedError(
      absl::StrCat("there is no method ", call->method().substr(0, 200), " here")));
}

}  // namespace hookgate
