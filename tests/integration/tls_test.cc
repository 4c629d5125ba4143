// What the two TLS ports of a real gateway agree to.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/program.h"
#include "tests/support/test_certificates.h"
#include "tests/support/tls_handshake.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

class TlsPortsTest : public GatewayTest {
 protected:
  struct Files {
    std::string certificate;
    std::string key;
  };
  static Files WritePair(const TestCertificate& pair) {
    return {WriteFile(pair.certificate), WriteFile(pair.key)};
  }
  static std::string Tls(const std::string& port, const Files& files) {
    return absl::StrCat(port, " { tls { certificate_file: \"", files.certificate, "\" key_file: \"",
                        files.key, "\" } } ");
  }
  static std::string Source() {
    return R"(sources { name: "openai" secrets { name: "a" file: "SECRET_FILE" } })";
  }
  void StartWithTlsOfBoth(const TestCertificate& pair) {
    const Files files = WritePair(pair);
    StartWithConfig(Tls("http", files) + Tls("grpc", files) + Source());
  }

  const TestAuthority authority_;
};

// HTTPS took CBC and static RSA: a client that offers nothing else must be turned away.
TEST_F(TlsPortsTest, OnlyForwardSecrecyWithAuthenticatedEncryptionIsAgreedTo) {
  StartWithTlsOfBoth(authority_.Issue("DNS:localhost", absl::Hours(1), TestKey::kRsa));
  for (const std::string& address : {gateway_->http(), gateway_->grpc()}) {
    for (const char* weak :
         {"AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES128-SHA", "AES256-SHA",
          "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA",
          "DHE-RSA-AES128-GCM-SHA256", "kRSA", "kRSA:ECDHE+SHA1:ECDHE+SHA256:ECDHE+SHA384:DHE"}) {
      EXPECT_EQ(AgreedSuite(address, {TLS1_2_VERSION, weak}), "") << address << " " << weak;
    }
    for (const char* good : {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"}) {
      EXPECT_EQ(AgreedSuite(address, {TLS1_2_VERSION, good}), good) << address;
    }
    EXPECT_THAT(AgreedSuite(address, {TLS1_3_VERSION, ""}), testing::StartsWith("TLS_"));
    EXPECT_EQ(AgreedSuite(address, {TLS1_1_VERSION, ""}), "");
    EXPECT_EQ(AgreedSuite(address, {TLS1_VERSION, ""}), "");
  }
}

// gRPC's own library takes its suites from a variable of the environment, where anything may stand.
TEST_F(TlsPortsTest, EnvironmentDoesNotWeakenTheSuites) {
  const Files files = WritePair(authority_.Issue());
  const std::string config =
      WriteFile(absl::StrCat(Tls("http", files), Tls("grpc", files), R"(sources {
          name: "openai" secrets { name: "a" environment: "OPENAI_WEBHOOK_SECRET" } })"));
  gateway_ = HookgatedProcess::Start(data_dir_, {"--config=" + config},
                                     {"GRPC_SSL_CIPHER_SUITES=ALL:@SECLEVEL=0"});
  EXPECT_EQ(AgreedSuite(gateway_->grpc(), {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA"}), "");
  EXPECT_EQ(AgreedSuite(gateway_->grpc(), {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"}),
            "ECDHE-ECDSA-AES128-GCM-SHA256");
}

// Both ports once changed at different times: gRPC had the new certificate, HTTP was refused its
// own, and the config was "not applied".
TEST_F(TlsPortsTest, ReloadThatFailsForOnePortChangesNeither) {
  const TestCertificate first = authority_.Issue();
  const TestAuthority next_authority;
  const TestCertificate next = next_authority.Issue();
  const Files grpc_files = WritePair(first);
  const Files http_files = WritePair(first);
  const std::string config = Tls("http", http_files) + Tls("grpc", grpc_files) + Source();
  StartWithConfig(config);
  std::ofstream(http_files.certificate, std::ios::binary) << "";
  Reload(config);
  EXPECT_THAT(gateway_->log(), HasSubstr("config not applied"));
  EXPECT_THAT(gateway_->log(), HasSubstr(http_files.certificate + " holds no certificate"));
  EXPECT_NE(AgreedSuite(gateway_->http(), {TLS1_3_VERSION, ""}), "");
  EXPECT_NE(AgreedSuite(gateway_->grpc(), {TLS1_3_VERSION, ""}), "");
}

// A pair that fits, but that OpenSSL does not serve with, was found out with the first connection,
// which was then served in plain text.
TEST_F(TlsPortsTest, PairThatCannotServeIsRefusedAtTheStart) {
  const Files files =
      WritePair(authority_.Issue("DNS:localhost", absl::Hours(1), TestKey::kShortRsa));
  for (const char* port : {"http", "grpc"}) {
    const ProgramOutcome outcome =
        RunProgram(kHookgated, {"--config=" + WriteFile(Tls(port, files)), "--check_config"},
                   {absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr(absl::StrCat(port, ".tls: ", files.certificate)));
  }
}

}  // namespace
}  // namespace hookgate
