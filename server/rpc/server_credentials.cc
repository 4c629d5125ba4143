#include "server/rpc/server_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/log.h>

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/rpc/call_rules.h"
#include "server/rpc/caller.h"

namespace hookgate {
namespace {

absl::string_view TextOf(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

std::vector<std::string> NamesInCertificate(const grpc_auth_context* context) {
  std::vector<std::string> names;
  grpc_auth_property_iterator found =
      grpc_auth_context_find_properties_by_name(context, GRPC_X509_SAN_PROPERTY_NAME);
  while (const grpc_auth_property* name = grpc_auth_property_iterator_next(&found)) {
    names.emplace_back(name->value, name->value_length);
  }
  return names;
}

// gRPC calls it with the header of each call, before any service sees the call.
void CheckHeader(void* access, grpc_auth_context* context, const grpc_metadata* header, size_t size,
                 grpc_process_auth_metadata_done_cb done, void* user_data) {
  absl::string_view path;
  std::vector<absl::string_view> authorization;
  for (size_t i = 0; i < size; ++i) {
    const absl::string_view key = TextOf(header[i].key);
    if (key == ":path") path = TextOf(header[i].value);
    if (key == "authorization") authorization.push_back(TextOf(header[i].value));
  }
  const absl::Status checked =
      CheckCall(*static_cast<const AccessControl*>(access)->policy(),
                MakeCredentials(authorization, NamesInCertificate(context)), path);
  // The codes are the same numbers.
  done(user_data, nullptr, 0, nullptr, 0, static_cast<grpc_status_code>(checked.code()),
       checked.ok() ? nullptr : std::string(checked.message()).c_str());
}

// grpc::ServerCredentials of the library cannot take other certificates while it serves, and those
// without TLS cannot check headers; gRPC's core can do both.
class DoorCredentials final : public grpc::ServerCredentials {
 public:
  DoorCredentials(const AccessControl& access, const CertificateStore* certificates)
      : certificates_(certificates),
        credentials_(certificates == nullptr ? grpc_insecure_server_credentials_create()
                                             : MakeTls()) {
    grpc_server_credentials_set_auth_metadata_processor(
        credentials_, {&CheckHeader, nullptr, const_cast<AccessControl*>(&access)});
  }
  ~DoorCredentials() override { grpc_server_credentials_release(credentials_); }

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {
    GPR_ASSERT(false && "these credentials check calls themselves");
  }

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* MakeTls() {
    const bool ask_clients = !certificates_->Current()->client_ca.empty();
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            // Not every client needs one: others have tokens.
            ask_clients ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
                        : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
            &DoorCredentials::FetchCertificates, this));
  }

  // gRPC calls it before each handshake.
  static grpc_ssl_certificate_config_reload_status FetchCertificates(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<DoorCredentials*>(self)->Fetch(config);
  }
  grpc_ssl_certificate_config_reload_status Fetch(grpc_ssl_server_certificate_config** config)
      ABSL_LOCKS_EXCLUDED(mu_) {
    std::shared_ptr<const Certificates> current = certificates_->Current();
    absl::MutexLock lock(&mu_);
    if (current == served_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {current->key.c_str(), current->certificate.c_str()};
    // gRPC insists on roots, even if it never asks a client for a certificate. The server's own
    // make nobody trusted then.
    const std::string& roots =
        current->client_ca.empty() ? current->certificate : current->client_ca;
    *config = grpc_ssl_server_certificate_config_create(roots.c_str(), &pair, 1);
    served_ = std::move(current);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  // Constant after construction.
  const CertificateStore* const certificates_;
  absl::Mutex mu_;
  std::shared_ptr<const Certificates> served_ ABSL_GUARDED_BY(mu_);
  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(
    const AccessControl& access, const CertificateStore* certificates) {
  return std::make_shared<DoorCredentials>(access, certificates);
}

}  // namespace hookgate
