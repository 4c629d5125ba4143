#include "server/config/resolve_tls.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/config/file_permissions.h"

namespace hookgate {

CertificateFiles ResolveTls(const hookgate::config::v1::Tls& tls, const std::string& key,
                            Problems& problems) {
  CertificateFiles files = {tls.certificate_file(), tls.key_file(), tls.client_ca_file()};
  for (const auto& [file, field] :
       {std::pair{&files.certificate, ".certificate_file"}, std::pair{&files.key, ".key_file"}}) {
    if (!file->empty()) continue;
    problems.AddError(absl::StrCat(key, field),
                      "is missing: TLS needs a certificate and its key, each in a PEM file");
  }
  if (files.certificate.empty() || files.key.empty()) return files;
  const absl::Status loaded = LoadCertificates(files).status();
  if (!loaded.ok()) problems.AddError(key, loaded.message());
  CheckPermissions(files.certificate, FileUse::kTrust, key + ".certificate_file", problems);
  CheckPermissions(files.key, FileUse::kSecret, key + ".key_file", problems);
  CheckPermissions(files.client_ca, FileUse::kTrust, key + ".client_ca_file", problems);
  return files;
}

}  // namespace hookgate
