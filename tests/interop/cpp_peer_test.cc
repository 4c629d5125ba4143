// gRPC C++ as an independent peer of the project's gRPC server, in plain text and over TLS.

#include "tests/interop/cpp_peer.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <tuple>

#include "common/clock.h"
#include "server/grpc_server/grpc_server.h"
#include "server/tls/certificate_store.h"
#include "tests/interop/interop_service.h"
#include "tests/support/program.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

class CppPeerTest : public testing::TestWithParam<std::tuple<bool, CppPeerCase>> {
 protected:
  static bool tls() { return std::get<0>(GetParam()); }

  void SetUp() override {
    std::unique_ptr<CertificateStore>& certificates = certificates_;
    if (tls()) {
      const TestCertificate issued = authority_.Issue();
      auto store = CertificateStore::Open(
          {.certificate = WriteFile(issued.certificate), .key = WriteFile(issued.key)},
          SystemClock());
      ASSERT_TRUE(store.ok()) << store.status();
      certificates = *std::move(store);
    }
    auto server = GrpcServer::Start({}, service_.table(), SystemClock(), certificates.get());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  static std::string WriteFile(const std::string& text) {
    const std::string path = FreshTestFile("pem");
    std::ofstream(path) << text;
    return path;
  }

  std::shared_ptr<grpc::Channel> NewChannel() const {
    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    if (tls()) {
      grpc::SslCredentialsOptions options;
      options.pem_root_certs = authority_.certificate();
      credentials = grpc::SslCredentials(options);
    }
    return grpc::CreateChannel(server_->address(), credentials);
  }

  const TestAuthority authority_;
  const InteropService service_;
  std::unique_ptr<CertificateStore> certificates_;
  std::unique_ptr<GrpcServer> server_;
};

TEST_P(CppPeerTest, IsServed) {
  CppPeer peer(NewChannel());
  std::get<1>(GetParam()).run(peer);
  EXPECT_EQ(peer.problems(), "");
}

INSTANTIATE_TEST_SUITE_P(, CppPeerTest,
                         testing::Combine(testing::Bool(), testing::ValuesIn(CppPeerCases())),
                         [](const auto& info) {
                           return std::string(std::get<1>(info.param).name) +
                                  (std::get<0>(info.param) ? "_tls" : "_plain");
                         });

}  // namespace
}  // namespace hookgate
