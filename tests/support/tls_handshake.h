// What a TLS server agrees to.
#ifndef HOOKGATE_TESTS_SUPPORT_TLS_HANDSHAKE_H_
#define HOOKGATE_TESTS_SUPPORT_TLS_HANDSHAKE_H_

#include <string>

namespace hookgate {

struct TlsOffer {
  // OpenSSL's numbers, such as TLS1_2_VERSION; only this one is offered.
  int version = 0;
  // Of TLS 1.2 and older, as OpenSSL writes a list of them; "": OpenSSL's defaults.
  std::string suites;
};

// The suite that the server at `address` (HOST:PORT, an IPv4 address) chose of `offer`, as OpenSSL
// names it; "" if it agreed to none. The client believes any certificate, and offers h2 and
// http/1.1. Fails the test if nothing listens there, or if OpenSSL cannot make the offer.
std::string AgreedSuite(const std::string& address, const TlsOffer& offer);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_TLS_HANDSHAKE_H_
