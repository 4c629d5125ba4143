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

void WarnOfExpiry(const CertificateFiles& files, const std::string& key, absl::Time now,
                  Problems& problems) {
  const absl::StatusOr<Certificates> loaded = LoadCertificates(files);
  if (!loaded.ok() || now < loaded->warn_after()) return;
  problems.AddWarning(
      absl::StrCat(key, ".certificate_file"),
      absl::StrCat(files.certificate,
                   now >= loaded->not_after ? " has expired, on " : " expires soon, on ",
                   absl::FormatTime("%Y-%m-%d %H:%M UTC", loaded->not_after, absl::UTCTimeZone()),
                   ": clients refuse it from then on; renew it"));
}

}  // namespace hookgate
