#include "server/tls/certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/small_file.h"
#include "server/tls/server_context.h"

namespace hookgate {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;

absl::Status Wrong(const std::string& path, absl::string_view problem) {
  ERR_clear_error();  // What OpenSSL would say next belongs to this.
  return absl::InvalidArgumentError(absl::StrCat(path, " ", problem));
}

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  absl::StatusOr<std::string> content = ReadSmallFile(path, kMaxFileBytes);
  if (!content.ok()) return absl::InvalidArgumentError(content.status().message());
  return content;
}

BioPtr OverText(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
}

struct PemCertificates {
  std::vector<X509Ptr> certificates;
  bool is_broken = false;  // behind these
};

PemCertificates ReadCertificates(const std::string& pem) {
  PemCertificates read;
  const BioPtr bio = OverText(pem);
  while (true) {
    X509Ptr next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
    if (next == nullptr) break;
    read.certificates.push_back(std::move(next));
  }
  read.is_broken = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
  ERR_clear_error();
  return read;
}

absl::Status CheckCertificates(const std::string& path, const PemCertificates& read) {
  if (read.is_broken) return Wrong(path, "holds a certificate that is cut short or damaged");
  if (!read.certificates.empty()) return absl::OkStatus();
  return Wrong(path, "holds no certificate; it must begin with -----BEGIN CERTIFICATE");
}

bool IsSelfIssued(const X509Ptr& certificate) {
  return X509_NAME_cmp(X509_get_subject_name(certificate.get()),
                       X509_get_issuer_name(certificate.get())) == 0;
}

// OpenSSL trusts a chain that ends at a root: without any, no client is ever let in, and who put a
// client's own certificate there hears of it from them.
absl::Status CheckAuthorities(const std::string& path, const std::string& pem) {
  const PemCertificates read = ReadCertificates(pem);
  const absl::Status status = CheckCertificates(path, read);
  if (!status.ok()) return status;
  if (std::any_of(read.certificates.begin(), read.certificates.end(), IsSelfIssued)) {
    return absl::OkStatus();
  }
  return Wrong(
      path,
      "holds no certificate of a root CA, one that has issued itself, so no client's could "
      "be verified; put in the CA that has issued them, up to its root");
}

// A key with a pass phrase is refused: nobody is there to type it.
int NoPassPhrase(char*, int, int, void*) { return -1; }

}  // namespace

absl::StatusOr<Certificates> LoadCertificates(const CertificateFiles& files) {
  Certificates loaded;
  for (const auto& [path, text] :
       {std::pair{&files.certificate, &loaded.certificate}, std::pair{&files.key, &loaded.key},
        std::pair{&files.client_ca, &loaded.client_ca}}) {
    if (path == &files.client_ca && path->empty()) continue;
    absl::StatusOr<std::string> read = ReadPem(*path);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  const PemCertificates chain = ReadCertificates(loaded.certificate);
  absl::Status status = CheckCertificates(files.certificate, chain);
  if (status.ok() && !files.client_ca.empty()) {
    status = CheckAuthorities(files.client_ca, loaded.client_ca);
  }
  if (!status.ok()) return status;
  X509* const certificate = chain.certificates.front().get();
  const BioPtr key_bio = OverText(loaded.key);
  const KeyPtr key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, NoPassPhrase, nullptr),
                   EVP_PKEY_free);
  if (key == nullptr) {
    return Wrong(files.key, "holds no private key in PEM, or one with a pass phrase");
  }
  if (X509_check_private_key(certificate, key.get()) != 1) {
    return Wrong(files.key, absl::StrCat("is not the key of the certificate in ", files.certificate,
                                         ", the first there"));
  }
  // The rest of what OpenSSL wants of them, which it would otherwise only say to the first client.
  const absl::Status usable = NewServerContext(loaded.certificate, loaded.key).status();
  if (!usable.ok())
    return Wrong(files.certificate, absl::StrCat("is well-formed, but ", usable.message()));
  std::tm not_after = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &not_after) != 1) {
    return Wrong(files.certificate, "holds a certificate without a valid end");
  }
  loaded.not_after = absl::FromTimeT(timegm(&not_after));
  return loaded;
}

}  // namespace hookgate
