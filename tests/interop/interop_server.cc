// Serves gRPC's interoperability tests on the project's own gRPC server: see bazel/interop.
//
//   interop_server [--address=HOST:PORT] [--certificate_file=PEM --key_file=PEM]
//
// Prints "ready grpc=HOST:PORT", and ends with SIGTERM or SIGINT.

#include <csignal>
#include <iostream>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/base/status.h"
#include "server/grpc_server/grpc_server.h"
#include "server/grpc_server/grpc_server_options.h"
#include "server/tls/certificate_store.h"
#include "tests/interop/interop_service.h"

ABSL_FLAG(std::string, address, "127.0.0.1:0", "HOST:PORT; port 0 takes a free one.");
ABSL_FLAG(std::string, certificate_file, "", "PEM. With --key_file: the server speaks TLS.");
ABSL_FLAG(std::string, key_file, "", "PEM.");

namespace hookgate {
namespace {

absl::Status Serve() {
  // Before the first thread, which would take the signal otherwise.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::unique_ptr<CertificateStore> certificates;
  const std::string certificate_file = absl::GetFlag(FLAGS_certificate_file);
  if (!certificate_file.empty()) {
    ASSIGN_OR_RETURN(certificates, CertificateStore::Open({.certificate = certificate_file,
                                                           .key = absl::GetFlag(FLAGS_key_file)},
                                                          SystemClock()));
  }
  const InteropService service;
  ASSIGN_OR_RETURN(const auto server,
                   GrpcServer::Start({.address = absl::GetFlag(FLAGS_address)}, service.table(),
                                     SystemClock(), certificates.get()));
  std::cout << "ready grpc=" << server->address() << std::endl;
  int signal = 0;
  sigwait(&ends, &signal);
  server->Drain(absl::Seconds(1));
  return absl::OkStatus();
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Serves gRPC's interoperability tests.");
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = hookgate::Serve();
  if (status.ok()) return 0;
  std::cerr << "interop_server: " << status.message() << "\n";
  return 1;
}
