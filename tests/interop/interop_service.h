// gRPC's interoperability TestService (test.proto) on the project's own gRPC server.
#ifndef HOOKGATE_TESTS_INTEROP_INTEROP_SERVICE_H_
#define HOOKGATE_TESTS_INTEROP_INTEROP_SERVICE_H_

#include <memory>

#include "server/grpc_server/method_table.h"

namespace hookgate {

class DelayedWakes;  // interop_service.cc

// To be served: outlives the server. Everybody is admitted.
class InteropService {
 public:
  InteropService();
  ~InteropService();

  const MethodTable& table() const { return table_; }

 private:
  const std::unique_ptr<DelayedWakes> wakes_;
  MethodTable table_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_INTEROP_INTEROP_SERVICE_H_
