// Who a client's certificate is for.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_CERTIFICATE_NAMES_H_
#define HOOKGATE_SERVER_GRPC_SERVER_CERTIFICATE_NAMES_H_

#include <vector>

#include "server/access/certificate_name.h"

struct x509_st;  // OpenSSL's X509

namespace hookgate {

// The subject alternative names of `certificate` that are DNS names, URIs, e-mail addresses or IP
// addresses, as ParseCertificateName writes them. The common name does not count.
std::vector<CertificateName> NamesInCertificate(const x509_st& certificate);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_CERTIFICATE_NAMES_H_
