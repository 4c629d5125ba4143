// The address and limits of an HttpServer.
#ifndef HOOKGATE_SERVER_HTTP_HTTP_OPTIONS_H_
#define HOOKGATE_SERVER_HTTP_HTTP_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"

namespace hookgate {

struct HttpServerOptions {
  std::string address = "127.0.0.1:0";  // HOST:PORT, [HOST]:PORT for IPv6; port 0 takes a free one
  // 0: one for each core that the process may run on, at most 2, which take in more than a log can
  // commit.
  int threads = 0;
  // When there are more, the one that is idle for longest leaves (connection_table.h).
  int max_connections = 1024;
  // 0: a quarter of max_connections, but not below 64. An IPv6 network of 64 bits is one address.
  int max_connections_per_address = 0;
  // TLS: connections beyond that wait in the kernel's queue; those of an address are closed before
  // they begin, unless it is a proxy's. After a quiet second, twice as many at once
  // (net/handshake_limiter.h).
  int max_handshakes_per_second = 1000;
  int max_handshakes_per_second_per_address = 0;  // 0: a quarter of that, but at least 1
  // Whether `address`, "192.0.2.1" or "2001:db8::1", is a proxy's: many clients come from there,
  // and only max_connections holds. Called on one thread. Null: none is.
  std::function<bool(const std::string& address)> is_proxy;
  int64_t max_header_bytes = 64 << 10;  // the request line and the fields
  int64_t max_body_bytes = 1 << 20;
  // What all bodies together hold until their requests are handled (body_budget.h).
  int64_t max_unverified_bytes = 64 << 20;
  // From the connection to the first byte, TLS handshake included; first to last byte of a head.
  absl::Duration header_timeout = absl::Seconds(10);
  absl::Duration body_timeout = absl::Seconds(30);   // first to last byte of a body
  absl::Duration idle_timeout = absl::Seconds(75);   // between an answer and the next request
  absl::Duration write_timeout = absl::Seconds(30);  // for the sender to take an answer
  // How long Drain waits for what is still arriving, and for peers that were not answered 2xx.
  absl::Duration drain_patience = absl::Milliseconds(500);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_HTTP_OPTIONS_H_
