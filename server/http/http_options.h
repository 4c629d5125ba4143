// The address and limits of an HttpServer.
#ifndef HOOKGATE_SERVER_HTTP_HTTP_OPTIONS_H_
#define HOOKGATE_SERVER_HTTP_HTTP_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace hookgate {

struct HttpServerOptions {
  std::string address = "127.0.0.1:0";  // HOST:PORT, [HOST]:PORT for IPv6; port 0 takes a free one
  // 0: one for each core that the process may run on, at most 2, which take in more than a log can
  // commit.
  int threads = 0;
  int max_connections = 1024;           // each may hold a body of max_body_bytes
  int64_t max_header_bytes = 64 << 10;  // the request line and the fields
  int64_t max_body_bytes = 1 << 20;
  absl::Duration header_timeout = absl::Seconds(10);  // first to last byte of a head
  absl::Duration body_timeout = absl::Seconds(30);    // first to last byte of a body
  absl::Duration idle_timeout = absl::Seconds(60);    // no request under way
  absl::Duration write_timeout = absl::Seconds(30);   // for the sender to take an answer
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_HTTP_OPTIONS_H_
