#include "tests/support/tls_handshake.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <memory>

#include "absl/strings/str_cat.h"

namespace hookgate {

std::string AgreedSuite(const std::string& address, const TlsOffer& offer) {
  constexpr unsigned char kProtocols[] = "\x02h2\x08http/1.1";
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  SSL_CTX_free);
  SSL_CTX_set_security_level(context.get(), 0);  // It may offer what it should not be given.
  EXPECT_EQ(SSL_CTX_set_min_proto_version(context.get(), offer.version), 1);
  EXPECT_EQ(SSL_CTX_set_max_proto_version(context.get(), offer.version), 1);
  if (!offer.suites.empty()) {
    EXPECT_EQ(SSL_CTX_set_cipher_list(context.get(), offer.suites.c_str()), 1) << offer.suites;
  }
  SSL_CTX_set_alpn_protos(context.get(), kProtocols, sizeof(kProtocols) - 1);
  // It frees the connection below it, too.
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> connection(BIO_new_ssl_connect(context.get()),
                                                                 BIO_free_all);
  BIO_set_conn_hostname(connection.get(), address.c_str());
  SSL* ssl = nullptr;
  BIO_get_ssl(connection.get(), &ssl);
  EXPECT_EQ(BIO_do_connect(BIO_next(connection.get())), 1) << address;
  if (BIO_do_handshake(connection.get()) != 1) return "";
  return SSL_get_cipher_name(ssl);
}

}  // namespace hookgate
