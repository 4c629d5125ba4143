// Certificates made on the spot, for tests of TLS.
#ifndef HOOKGATE_TESTS_SUPPORT_TEST_CERTIFICATES_H_
#define HOOKGATE_TESTS_SUPPORT_TEST_CERTIFICATES_H_

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace hookgate {

// PEM.
struct TestCertificate {
  std::string certificate;
  std::string key;
};

enum class TestKey {
  kEc,        // P-256
  kRsa,       // 2048 bits
  kShortRsa,  // 1024 bits, which OpenSSL does not serve with
};

// Signs certificates that are valid from an hour ago on.
class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();

  // Its own certificate: what those who trust it hold.
  const std::string& certificate() const;

  //   names     subject alternative names as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1",
  //             "URI:spiffe://example/worker"
  //   lifetime  from now; negative: expired
  TestCertificate Issue(const std::string& names = "DNS:localhost,IP:127.0.0.1",
                        absl::Duration lifetime = absl::Hours(24 * 30),
                        TestKey key = TestKey::kEc) const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_TEST_CERTIFICATES_H_
