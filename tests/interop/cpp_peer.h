// gRPC C++ as a peer of the project's gRPC server: cases of gRPC's interoperability tests, and some
// beyond them, each over a channel that it is given.
#ifndef HOOKGATE_TESTS_INTEROP_CPP_PEER_H_
#define HOOKGATE_TESTS_INTEROP_CPP_PEER_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/interop/test.grpc.pb.h"

namespace hookgate {

// What a case works with, and what it has found.
class CppPeer {
 public:
  explicit CppPeer(std::shared_ptr<grpc::Channel> channel)
      : channel_(std::move(channel)), stub_(grpc::testing::TestService::NewStub(channel_)) {}

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  grpc::testing::TestService::Stub& stub() const { return *stub_; }

  // Notes `what` as wrong unless `holds`. Returns `holds`.
  bool Expect(bool holds, const std::string& what);
  // That `status` has `code`, and `message` if that is not null.
  bool ExpectStatus(const grpc::Status& status, grpc::StatusCode code,
                    const char* message = nullptr);

  // What was wrong, a line each; "": nothing.
  const std::string& problems() const { return problems_; }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<grpc::testing::TestService::Stub> stub_;
  std::string problems_;
};

struct CppPeerCase {
  const char* name;
  void (*run)(CppPeer& peer);
};

const std::vector<CppPeerCase>& CppPeerCases();

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_INTEROP_CPP_PEER_H_
