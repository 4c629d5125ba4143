#include "server/http/tls_acceptor.h"

#include <boost/asio/ssl/context.hpp>
#include <string>
#include <utility>

#include "server/base/logging.h"
#include "server/tls/server_context.h"

namespace hookgate {
namespace {

namespace ssl = boost::asio::ssl;

}  // namespace

std::shared_ptr<ssl::context> TlsAcceptor::Context() {
  if (store_ == nullptr) return nullptr;
  std::shared_ptr<const Certificates> current = store_->Current();
  if (current == certificates_) return context_;
  absl::StatusOr<ServerContextPtr> made = NewServerContext(current->certificate, current->key);
  if (made.ok()) {
    context_ = std::make_shared<ssl::context>(made->release());  // It frees it.
  } else {
    Log(Severity::kError, "the certificate cannot be used; the one before stays in force",
        {{"error", std::string(made.status().message())}});
  }
  certificates_ = std::move(current);
  return context_;
}

}  // namespace hookgate
