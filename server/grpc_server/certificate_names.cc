#include "server/grpc_server/certificate_names.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace hookgate {
namespace {

using Kind = CertificateName::Kind;

std::string TextOf(const ASN1_STRING* text) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<size_t>(ASN1_STRING_length(text)));
}

// "" if `bytes` are not an address.
std::string AddressOf(const ASN1_STRING* bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  const int length = ASN1_STRING_length(bytes);
  if (length != 4 && length != 16) return "";
  const bool written = inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(bytes),
                                 text, sizeof(text)) != nullptr;
  return written ? text : "";
}

}  // namespace

std::vector<CertificateName> NamesInCertificate(const x509_st& certificate) {
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> all(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  std::vector<CertificateName> names;
  if (all == nullptr) return names;
  for (int i = 0; i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all.get(), i);
    switch (name->type) {
      case GEN_DNS:
        names.push_back({Kind::kDns, TextOf(name->d.dNSName)});
        break;
      case GEN_URI:
        names.push_back({Kind::kUri, TextOf(name->d.uniformResourceIdentifier)});
        break;
      case GEN_EMAIL:
        names.push_back({Kind::kEmail, TextOf(name->d.rfc822Name)});
        break;
      case GEN_IPADD:
        if (std::string address = AddressOf(name->d.iPAddress); !address.empty()) {
          names.push_back({Kind::kIp, std::move(address)});
        }
        break;
      default:
        break;
    }
  }
  return names;
}

}  // namespace hookgate
