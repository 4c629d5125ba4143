#include "server/grpc_server/tls_contexts.h"

#include <string>
#include <utility>

#include "server/base/logging.h"
#include "server/tls/server_context.h"

namespace hookgate {

std::shared_ptr<ssl_ctx_st> TlsContexts::Current() {
  if (store_ == nullptr) return nullptr;
  std::shared_ptr<const Certificates> current = store_->Current();
  if (current == certificates_) return context_;
  absl::StatusOr<ServerContextPtr> made =
      NewServerContext({.certificate_chain = current->certificate,
                        .key = current->key,
                        .client_ca = current->client_ca,
                        .client_ca_required = client_ca_required_,
                        .protocol = "h2",
                        .resumption = false});
  if (made.ok()) {
    context_ = *std::move(made);
  } else {
    Log(Severity::kError, "the certificate cannot be used; the one before stays in force",
        {{"error", std::string(made.status().message())}});
  }
  certificates_ = std::move(current);
  return context_;
}

}  // namespace hookgate
