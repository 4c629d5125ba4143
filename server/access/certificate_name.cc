#include "server/access/certificate_name.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

// The canonical text of an IP address; "" if it is none.
std::string CanonicalIp(const std::string& text) {
  unsigned char bytes[sizeof(in6_addr)];
  char canonical[INET6_ADDRSTRLEN];
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, text.c_str(), bytes) == 1 &&
        inet_ntop(family, bytes, canonical, sizeof(canonical)) != nullptr) {
      return canonical;
    }
  }
  return "";
}

// RFC 3986, section 3.1.
bool BeginsWithScheme(absl::string_view text) {
  const size_t colon = text.find(':');
  return colon != absl::string_view::npos && colon > 0 && absl::ascii_isalpha(text[0]) &&
         std::all_of(text.begin(), text.begin() + colon, [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '+' || c == '-' || c == '.';
         });
}

bool IsDnsName(absl::string_view text) {
  return text.size() <= 253 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
         });
}

}  // namespace

std::string CertificateName::ToString() const {
  switch (kind) {
    case Kind::kDns:
      return absl::StrCat("DNS:", text);
    case Kind::kUri:
      return absl::StrCat("URI:", text);
    case Kind::kEmail:
      return absl::StrCat("email:", text);
    case Kind::kIp:
      break;
  }
  return absl::StrCat("IP:", text);
}

absl::StatusOr<CertificateName> ParseCertificateName(absl::string_view text) {
  using Kind = CertificateName::Kind;
  if (text.empty()) return absl::InvalidArgumentError("is empty");
  if (!std::all_of(text.begin(), text.end(), absl::ascii_isgraph)) {
    return absl::InvalidArgumentError(
        "has a space, or a character that is not printable ASCII; names in certificates cannot "
        "have these");
  }
  if (absl::StrContains(text, '*')) {
    return absl::InvalidArgumentError(
        "has a '*'; names are compared as they are, so write each name out");
  }
  std::string name(text);
  std::string ip = CanonicalIp(name);
  if (!ip.empty()) return CertificateName{Kind::kIp, std::move(ip)};
  for (const char* kind : {"DNS:", "URI:", "email:", "IP:"}) {
    if (!absl::StartsWithIgnoreCase(text, kind)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("begins with \"", kind,
                     "\"; leave that out, since the kind of a name is that "
                     "of its form"));
  }
  if (BeginsWithScheme(text)) return CertificateName{Kind::kUri, std::move(name)};
  if (absl::StrContains(text, '@')) return CertificateName{Kind::kEmail, std::move(name)};
  if (IsDnsName(text)) return CertificateName{Kind::kDns, std::move(name)};
  return absl::InvalidArgumentError(
      "is neither a DNS name (worker.internal), nor a URI (spiffe://example/worker), an e-mail "
      "address or an IP address");
}

}  // namespace hookgate
