// Answers calls of methods that no service here has: as a stranger if it is one, so that what there
// is cannot be told from what there is not, and with UNIMPLEMENTED otherwise.
#ifndef HOOKGATE_SERVER_RPC_UNKNOWN_METHODS_H_
#define HOOKGATE_SERVER_RPC_UNKNOWN_METHODS_H_

#include <grpcpp/generic/async_generic_service.h>

#include "server/access/access_control.h"

namespace hookgate {

// Thread-safe.
class UnknownMethods final : public grpc::CallbackGenericService {
 public:
  // `access` outlives it.
  explicit UnknownMethods(const AccessControl& access) : access_(access) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* call) override;

 private:
  const AccessControl& access_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_UNKNOWN_METHODS_H_
