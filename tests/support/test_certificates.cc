#include "tests/support/test_certificates.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;

KeyPtr FreshKey(TestKey kind = TestKey::kEc) {
  if (kind == TestKey::kEc) return KeyPtr(EVP_EC_gen("P-256"), EVP_PKEY_free);
  return KeyPtr(EVP_RSA_gen(kind == TestKey::kRsa ? 2048 : 1024), EVP_PKEY_free);
}

template <typename Write>
std::string ToPem(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
  EXPECT_EQ(write(bio.get()), 1);
  char* bytes = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &bytes);
  return std::string(bytes, static_cast<size_t>(length));
}

std::string ToPem(X509* certificate) {
  return ToPem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

std::string ToPem(EVP_PKEY* key) {
  return ToPem([&](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

void AddExtension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  ASSERT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Authorities of one name would be taken for one another.
std::string FreshName() {
  static int count = 0;
  return "Test authority " + std::to_string(++count);
}

// Not signed yet. `issuer` null: itself.
X509Ptr NewCertificate(EVP_PKEY* key, const std::string& name, const X509* issuer,
                       absl::Duration lifetime) {
  X509Ptr certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), X509_VERSION_3);
  uint64_t serial = 0;
  EXPECT_EQ(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial), 1);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), absl::ToInt64Seconds(lifetime));
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(),
                       X509_get_subject_name(issuer == nullptr ? certificate.get() : issuer));
  return certificate;
}

// Line by line, since whoever shows a key need not show it whole.
void KeepKey(const std::string& pem) {
  for (const absl::string_view line : absl::StrSplit(pem, '\n')) {
    if (absl::StartsWith(line, "-----") || line.size() < SecretWatch::kLeastBytes) continue;
    SecretWatch::OfThisProgram().KeepToken("the key of a certificate", line);
  }
}

}  // namespace

struct TestAuthority::Impl {
  KeyPtr key = FreshKey();
  X509Ptr certificate = NewCertificate(key.get(), FreshName(), nullptr, absl::Hours(24 * 365));
  std::string pem;
};

TestAuthority::TestAuthority() : impl_(std::make_unique<Impl>()) {
  AddExtension(impl_->certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(impl_->certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  EXPECT_GT(X509_sign(impl_->certificate.get(), impl_->key.get(), EVP_sha256()), 0);
  impl_->pem = ToPem(impl_->certificate.get());
}

TestAuthority::~TestAuthority() = default;

const std::string& TestAuthority::certificate() const { return impl_->pem; }

TestCertificate TestAuthority::Issue(const std::string& names, absl::Duration lifetime,
                                     TestKey kind) const {
  const KeyPtr key = FreshKey(kind);
  const X509Ptr certificate = NewCertificate(key.get(), "Test", impl_->certificate.get(), lifetime);
  AddExtension(certificate.get(), NID_subject_alt_name, names);
  EXPECT_GT(X509_sign(certificate.get(), impl_->key.get(), EVP_sha256()), 0);
  TestCertificate issued = {ToPem(certificate.get()), ToPem(key.get())};
  KeepKey(issued.key);
  return issued;
}

}  // namespace hookgate
