// What a TLS server shows and trusts, read from PEM files and checked as a whole.
//
// Pure but for reading the files; knows neither gRPC nor HTTP, which both serve with it.
#ifndef HOOKGATE_SERVER_TLS_CERTIFICATES_H_
#define HOOKGATE_SERVER_TLS_CERTIFICATES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace hookgate {

struct CertificateFiles {
  std::string certificate;  // the server's, then those between it and the root
  std::string key;          // its private key, without a pass phrase
  std::string client_ca;    // who may have signed clients' certificates; "": clients are not asked
};

// All of it PEM, as it stood in the files.
struct Certificates {
  std::string certificate;
  std::string key;
  std::string client_ca;
  absl::Time not_after;  // when the server's certificate expires
  // From then on it is time to say so: a week before.
  absl::Time warn_after() const { return not_after - absl::Hours(24 * 7); }
};

// Reads the files. An expired certificate is no error: clients will say so, and the owner should
// still be able to start.
// INVALID_ARGUMENT that names the file and says what is wrong: it cannot be read, is not PEM of its
// kind, the key is not the certificate's, or OpenSSL does not serve with them (server_context.h).
// No message holds any of a file's content.
absl::StatusOr<Certificates> LoadCertificates(const CertificateFiles& files);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_TLS_CERTIFICATES_H_
