// A blocking HTTP/1.1 client that sends what it is told to, byte by byte, right or wrong. All that
// it is answered is searched for what nobody may read (secret_watch.h).
#ifndef HOOKGATE_TESTS_SUPPORT_HTTP_CLIENT_H_
#define HOOKGATE_TESTS_SUPPORT_HTTP_CLIENT_H_

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace hookgate {

struct HttpReply {
  int status = 0;
  std::map<std::string, std::string> fields;  // names in lower case
  std::string body;

  // The field's value, or "".
  std::string field(const std::string& name) const;
};

// One connection. All waiting is bounded by a generous patience; when it is over, the call reports
// what it reports at the end of the connection. Not thread-safe.
class HttpClient {
 public:
  // Fails the test if nothing listens at `address` (HOST:PORT, an IPv4 address).
  explicit HttpClient(const std::string& address);
  // The same from a local address, such as 127.0.0.2.
  struct From {
    std::string address;
  };
  HttpClient(const std::string& address, const From& from);
  // The same through TLS, believing certificates that `authority` (PEM) has signed. Without a
  // handshake Send and reads report the end of the connection. `alpn`: the one protocol offered.
  HttpClient(const std::string& address, const std::string& authority,
             const std::string& alpn = "");
  ~HttpClient();

  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // False once the other side has closed.
  bool Send(absl::string_view bytes);
  // Nothing more will be sent; answers still come.
  void FinishSending();

  // The next answer, with the body that its Content-Length announces; nothing if the connection
  // ended before it was whole.
  std::optional<HttpReply> ReadReply();
  // An answer without a body, whatever its fields say: to HEAD, or 100.
  std::optional<HttpReply> ReadHead();
  // Some of the bytes that have come, as soon as there are any; "" if the connection has ended.
  std::string ReadSome();
  // Whether the connection ends, with nothing left to read before.
  bool AtEnd();

 private:
  // False at the end of the connection.
  bool Fill();

  struct Tls;

  int fd_ = -1;
  std::unique_ptr<Tls> tls_;  // null: plain text
  std::string received_;      // all of it
  std::string unread_;
};

// Sends `request` over a connection of its own.
std::optional<HttpReply> Exchange(const std::string& address, absl::string_view request);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_HTTP_CLIENT_H_
