#include "server/rpc/unknown_methods.h"

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/rpc/caller.h"
#include "server/rpc/refused_stream.h"

namespace hookgate {

grpc::ServerGenericBidiReactor* UnknownMethods::CreateReactor(
    grpc::GenericCallbackServerContext* call) {
  const absl::Status admitted = Caller::Admit(*call, gate_, call->method()).status();
  if (!admitted.ok()) return new RefusedBidiStream(admitted);
  return new RefusedBidiStream(absl::UnimplementedError(
      absl::StrCat("there is no method ", call->method().substr(0, 200), " here")));
}

}  // namespace hookgate
