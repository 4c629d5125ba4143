// gRPC C++ as a peer of a gRPC server: see bazel/interop.
//
//   cpp_peer_main --target=HOST:PORT [--ca_file=PEM] [--without=CASE,...] [CASE...]
//
// Prints "ok CASE" or "FAILED CASE: why" for each.

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "tests/interop/cpp_peer.h"

ABSL_FLAG(std::string, target, "", "HOST:PORT of the server.");
ABSL_FLAG(std::string, ca_file, "", "PEM: the call goes over TLS, to a server that it has signed.");
ABSL_FLAG(std::vector<std::string>, without, {}, "Cases to leave out, with commas between them.");

namespace hookgate {
namespace {

std::shared_ptr<grpc::ChannelCredentials> Credentials() {
  const std::string ca_file = absl::GetFlag(FLAGS_ca_file);
  if (ca_file.empty()) return grpc::InsecureChannelCredentials();
  std::ifstream file(ca_file);
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = std::string(std::istreambuf_iterator<char>(file), {});
  return grpc::SslCredentials(options);
}

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Whether all is well.
bool Run(const std::vector<std::string>& names) {
  const auto channel = grpc::CreateChannel(absl::GetFlag(FLAGS_target), Credentials());
  bool well = true;
  for (const CppPeerCase& peer_case : CppPeerCases()) {
    if (!names.empty() && !Has(names, peer_case.name)) continue;
    if (Has(absl::GetFlag(FLAGS_without), peer_case.name)) continue;
    CppPeer peer(channel);
    peer_case.run(peer);
    const bool passed = peer.problems().empty();
    std::cout << (passed ? "ok " : "FAILED ") << peer_case.name << (passed ? "" : ": ")
              << peer.problems() << std::endl;
    well = well && passed;
  }
  return well;
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Calls the interoperability service of a gRPC server.");
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  return hookgate::Run({rest.begin() + 1, rest.end()}) ? 0 : 1;
}
