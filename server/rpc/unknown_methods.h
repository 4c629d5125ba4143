// Answers calls of methods that no service here has: as a stranger if it is one, so that what there
// is cannot be told from what there is not, and with UNIMPLEMENTED otherwise.
#ifndef HOOKGATE_SERVER_RPC_UNKNOWN_METHODS_H_
#define HOOKGATE_SERVER_RPC_UNKNOWN_METHODS_H_

#include <grpcpp/generic/async_generic_service.h>

#include "server/rpc/call_gate.h"

namespace hookgate {

// Thread-safe.
class UnknownMethods final : public grpc::CallbackGenericService {
 public:
  // `gate` outlives it.
  explicit UnknownMethods(CallGate& gate) : gate_(gate) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* call) override;

 private:
  CallGate& gate_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_UNKNOWN_METHODS_H_
