// The answer of a call for which a test has written a script, or has not.
#ifndef HOOKGATE_CLIENT_TESTING_PLAY_SCRIPT_H_
#define HOOKGATE_CLIENT_TESTING_PLAY_SCRIPT_H_

#include "grpcpp/support/status.h"

namespace hookgate::testing {

template <typename Script, typename Request, typename Response>
grpc::Status PlayScript(const Script& script, const Request* request, Response* response) {
  if (!script) return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "no script");
  return script(*request, response);
}

}  // namespace hookgate::testing

#endif  // HOOKGATE_CLIENT_TESTING_PLAY_SCRIPT_H_
