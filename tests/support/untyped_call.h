// One unary gRPC call of a method for which the test has no stub.
#ifndef HOOKGATE_TESTS_SUPPORT_UNTYPED_CALL_H_
#define HOOKGATE_TESTS_SUPPORT_UNTYPED_CALL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace hookgate {

// `path`: "/hookgate.v1.AdminService/GetStatus". `request` is the message's bytes, right or wrong.
// The answer is not returned, but searched as all are (grpc_watch.h).
grpc::Status CallUntyped(const std::shared_ptr<grpc::Channel>& channel,
                         grpc::ClientContext& context, const std::string& path,
                         const std::string& request);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_UNTYPED_CALL_H_
