// A subject alternative name of a client certificate, with its kind (RFC 5280, section 4.2.1.6).
//
// Names of different kinds are different names: whoever may have a certificate for the e-mail
// address or the URI that reads like a host name is not that host. Pure.
#ifndef HOOKGATE_SERVER_ACCESS_CERTIFICATE_NAME_H_
#define HOOKGATE_SERVER_ACCESS_CERTIFICATE_NAME_H_

#include <compare>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hookgate {

struct CertificateName {
  enum class Kind { kDns, kUri, kEmail, kIp };

  Kind kind = Kind::kDns;
  std::string text;

  // Byte for byte: "*.internal" and "INTERNAL" are no other names.
  auto operator<=>(const CertificateName&) const = default;

  // As OpenSSL writes it: "DNS:worker.internal", "URI:spiffe://example/worker",
  // "email:a@b.example", "IP:10.0.0.1".
  std::string ToString() const;
};

// A name as an operator writes it; its kind is that of its form. An IP address is brought into the
// form that certificates' names have here ("::1"); whatever begins with a scheme, such as
// "spiffe://" or "urn:", is a URI; what has an '@' is an e-mail address; the rest are DNS names.
// INVALID_ARGUMENT, with what is wrong, if it is none of these: empty, with blanks, or with '*',
// since a wildcard would match nothing but itself.
absl::StatusOr<CertificateName> ParseCertificateName(absl::string_view text);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_ACCESS_CERTIFICATE_NAME_H_
