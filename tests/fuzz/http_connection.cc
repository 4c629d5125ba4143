// The input is what a peer sends over one connection to the HTTP server, before it stops sending.
// The server answers in whole answers and closes; and what it takes for requests does not depend on
// the pieces in which the bytes came. If it did, a proxy in front could be made to see other
// requests.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "server/base/logging.h"
#include "server/http/http_server.h"
#include "server/http/problem.h"
#include "tests/fuzz/fuzz_target.h"

namespace hookgate {
namespace {

constexpr int64_t kMaxHeaderBytes = 1024;
constexpr int64_t kMaxBodyBytes = 2048;
constexpr int kPatienceMs = 5000;

// Answers 200, and remembers what it was asked.
class RecordingHandler final : public HttpHandler {
 public:
  absl::optional<HttpResponse> CheckHead(const HttpHead& head) override {
    if (head.target() != "/refused") return absl::nullopt;
    HttpResponse response;
    response.status = 403;
    return response;
  }
  void Handle(const HttpHead& head, std::string body, absl::Time, Respond respond) override {
    Expect(static_cast<int64_t>(body.size()) <= kMaxBodyBytes, "no more than max_body_bytes");
    std::string request = absl::StrCat(head.method(), " ", head.target());
    head.ForEachField([&request](absl::string_view name, absl::string_view value) {
      absl::StrAppend(&request, "\n", name, ": ", value);
    });
    {
      absl::MutexLock lock(&mu_);
      requests_.push_back(absl::StrCat(request, "\n\n", body));
    }
    std::move(respond)(HttpResponse());
  }
  HttpResponse Refuse(HttpRefusal refusal, absl::string_view detail, const HttpHead&) override {
    return ToHttpResponse(RefusalError(refusal, detail));
  }

  std::vector<std::string> TakeRequests() {
    absl::MutexLock lock(&mu_);
    return std::exchange(requests_, {});
  }

 private:
  absl::Mutex mu_;
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mu_);
};

struct Server {
  RecordingHandler handler;
  std::unique_ptr<HttpServer> http;
  sockaddr_in address = {};
};

Server& TheServer() {
  static Server& server = *[] {
    SetLeastSeverity(Severity::kError);
    auto made = std::make_unique<Server>();
    auto http = HttpServer::Start(
        {.threads = 1, .max_header_bytes = kMaxHeaderBytes, .max_body_bytes = kMaxBodyBytes},
        made->handler, SystemClock());
    Expect(http.ok(), "a server", http.status().ToString());
    made->http = *std::move(http);
    const std::string address = made->http->address();
    const size_t colon = address.rfind(':');
    int port = 0;
    Expect(absl::SimpleAtoi(address.substr(colon + 1), &port), "HOST:PORT", address);
    made->address.sin_family = AF_INET;
    made->address.sin_port = htons(static_cast<uint16_t>(port));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &made->address.sin_addr);
    return made.release();
  }();
  return server;
}

// A port stays taken for a minute after its connection has ended, and an address has 28,000 of
// them, which are used up in less: so connections come from one address of the loopback's after the
// other.
sockaddr_in NextSource() {
  constexpr uint32_t kConnectionsOfOne = 10'000;
  constexpr uint32_t kFirst = 0x7f010001;  // 127.1.0.1
  static uint32_t connections = 0;
  sockaddr_in source = {};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(kFirst + connections++ / kConnectionsOfOne);
  return source;
}

// One connection to TheServer, without delays of the kernel's own.
class Connection {
 public:
  Connection() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in source = NextSource();
    Expect(bind(fd_, reinterpret_cast<const sockaddr*>(&source), sizeof(source)) == 0,
           "an address of the loopback's own");
    const sockaddr_in& address = TheServer().address;
    // A signal ends the wait, not the attempt: Linux waits on for it when asked again.
    while (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      Expect(errno == EINTR, "a server that takes connections", std::strerror(errno));
    }
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { close(fd_); }

  // What cannot be sent any more, because the server has closed, is not.
  void Send(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  std::string ReadToEnd() {
    shutdown(fd_, SHUT_WR);
    std::string all;
    char buffer[4096];
    while (true) {
      WaitUntilReadable();
      const ssize_t count = recv(fd_, buffer, sizeof(buffer), 0);
      if (count <= 0) return all;
      all.append(buffer, static_cast<size_t>(count));
    }
  }

 private:
  void WaitUntilReadable() {
    pollfd readable = {.fd = fd_, .events = POLLIN, .revents = 0};
    int ready = -1;
    // libFuzzer looks at the clock in a signal handler.
    while (ready < 0) {
      ready = poll(&readable, 1, kPatienceMs);
      Expect(ready >= 0 || errno == EINTR, "a socket");
    }
    Expect(ready == 1, "the connection ends soon after its sender's");
  }

  const int fd_;
};

// The answers one after the other: a status line, a length, and so many bytes.
void CheckAnswers(absl::string_view answers) {
  const absl::string_view all = answers;
  while (!answers.empty()) {
    Expect(absl::StartsWith(answers, "HTTP/1.1 "), "a status line", all);
    const size_t end = answers.find("\r\n\r\n");
    // A reset can cut off the last answer.
    if (end == absl::string_view::npos) return;
    const std::string head = absl::AsciiStrToLower(answers.substr(0, end + 2));
    answers.remove_prefix(end + 4);
    if (absl::StartsWith(head, "http/1.1 100 ")) continue;
    const size_t at = head.find("\r\ncontent-length: ");
    Expect(at != std::string::npos, "a length", all);
    size_t length = 0;
    const size_t digits = at + std::string("\r\ncontent-length: ").size();
    Expect(absl::SimpleAtoi(head.substr(digits, head.find("\r\n", digits) - digits), &length),
           "a number", all);
    // An answer to HEAD has a length and no body.
    if (absl::StartsWith(answers, "HTTP/1.1 ")) continue;
    answers.remove_prefix(std::min(length, answers.size()));
  }
}

std::vector<std::string> RequestsWhenWhole(absl::string_view bytes) {
  Connection connection;
  connection.Send(bytes);
  CheckAnswers(connection.ReadToEnd());
  return TheServer().handler.TakeRequests();
}

// The lengths of the pieces come from the bytes themselves, so that a failure can be repeated.
std::vector<std::string> RequestsInPieces(absl::string_view bytes) {
  uint32_t state = 2166136261;
  for (const char byte : bytes) state = (state ^ static_cast<unsigned char>(byte)) * 16777619;
  Connection connection;
  while (!bytes.empty()) {
    state = state * 1664525 + 1013904223;
    const size_t length = std::min<size_t>(1 + (state >> 16) % 64, bytes.size());
    connection.Send(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  CheckAnswers(connection.ReadToEnd());
  return TheServer().handler.TakeRequests();
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes = hookgate::ToInput(data, size);
  const std::vector<std::string> whole = hookgate::RequestsWhenWhole(bytes);
  const std::vector<std::string> in_pieces = hookgate::RequestsInPieces(bytes);
  hookgate::Expect(whole == in_pieces, "the same requests in whatever pieces", bytes);
  return 0;
}
