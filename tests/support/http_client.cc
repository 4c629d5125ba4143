#include "tests/support/http_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

constexpr int kPatienceSeconds = 30;

int Connect(const std::string& address, const std::string& from = "") {
  const std::pair<std::string, std::string> host_port = absl::StrSplit(address, ':');
  sockaddr_in peer = {};
  peer.sin_family = AF_INET;
  int port = 0;
  if (!absl::SimpleAtoi(host_port.second, &port) ||
      inet_pton(AF_INET, host_port.first.c_str(), &peer.sin_addr) != 1) {
    ADD_FAILURE() << "no address: " << address;
    return -1;
  }
  peer.sin_port = htons(static_cast<uint16_t>(port));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience = {.tv_sec = kPatienceSeconds, .tv_usec = 0};
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (!from.empty()) {
    sockaddr_in local = {};
    local.sin_family = AF_INET;
    if (inet_pton(AF_INET, from.c_str(), &local.sin_addr) != 1 ||
        bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0) {
      ADD_FAILURE() << "cannot connect from " << from << ": " << std::strerror(errno);
    }
  }
  if (connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)) != 0) {
    ADD_FAILURE() << "cannot connect to " << address << ": " << std::strerror(errno);
  }
  return fd;
}

HttpReply ParseHead(absl::string_view head) {
  HttpReply reply;
  bool first = true;
  for (absl::string_view line : absl::StrSplit(head, "\r\n")) {
    if (first) {
      const std::vector<absl::string_view> parts = absl::StrSplit(line, ' ');
      if (parts.size() > 1) (void)absl::SimpleAtoi(parts[1], &reply.status);
      first = false;
      continue;
    }
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    reply.fields[absl::AsciiStrToLower(field.first)] =
        std::string(absl::StripAsciiWhitespace(field.second));
  }
  return reply;
}

}  // namespace

std::string HttpReply::field(const std::string& name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? "" : found->second;
}

struct HttpClient::Tls {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* connection = nullptr;
  bool connected = false;

  Tls(int fd, const std::string& authority, const std::string& alpn) {
    // OpenSSL writes without MSG_NOSIGNAL.
    std::signal(SIGPIPE, SIG_IGN);
    BIO* const bio = BIO_new_mem_buf(authority.data(), static_cast<int>(authority.size()));
    X509* const certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
    X509_free(certificate);
    BIO_free(bio);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    connection = SSL_new(context);
    SSL_set_fd(connection, fd);
    const std::string offered = static_cast<char>(alpn.size()) + alpn;
    if (!alpn.empty()) {
      SSL_set_alpn_protos(connection, reinterpret_cast<const unsigned char*>(offered.data()),
                          static_cast<unsigned>(offered.size()));
    }
    connected = SSL_connect(connection) == 1;
  }
  ~Tls() {
    SSL_free(connection);
    SSL_CTX_free(context);
  }
};

HttpClient::HttpClient(const std::string& address) : fd_(Connect(address)) {}

HttpClient::HttpClient(const std::string& address, const From& from)
    : fd_(Connect(address, from.address)) {}

HttpClient::HttpClient(const std::string& address, const std::string& authority,
                       const std::string& alpn)
    : fd_(Connect(address)), tls_(std::make_unique<Tls>(fd_, authority, alpn)) {}

HttpClient::~HttpClient() {
  close(fd_);
  ExpectNothingDisclosed(SecretWatch::kAnswer, "an HTTP answer", received_);
}

bool HttpClient::Send(absl::string_view bytes) {
  KeepSignaturesOf(bytes);
  if (tls_ != nullptr && !tls_->connected) return false;
  while (!bytes.empty()) {
    const ssize_t sent =
        tls_ == nullptr ? send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL)
                        : SSL_write(tls_->connection, bytes.data(), static_cast<int>(bytes.size()));
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void HttpClient::FinishSending() { shutdown(fd_, SHUT_WR); }

std::optional<HttpReply> HttpClient::ReadHead() {
  size_t end;
  while ((end = unread_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return std::nullopt;
  }
  HttpReply reply = ParseHead(absl::string_view(unread_).substr(0, end));
  unread_.erase(0, end + 4);
  return reply;
}

std::optional<HttpReply> HttpClient::ReadReply() {
  std::optional<HttpReply> reply = ReadHead();
  if (!reply.has_value()) return std::nullopt;
  size_t length = 0;
  (void)absl::SimpleAtoi(reply->field("content-length"), &length);
  while (unread_.size() < length) {
    if (!Fill()) return std::nullopt;
  }
  reply->body = unread_.substr(0, length);
  unread_.erase(0, length);
  return reply;
}

std::string HttpClient::ReadSome() {
  if (unread_.empty()) Fill();
  return std::exchange(unread_, "");
}

bool HttpClient::AtEnd() { return unread_.empty() && !Fill() && errno != EAGAIN; }

bool HttpClient::Fill() {
  char bytes[16 << 10];
  errno = 0;
  if (tls_ != nullptr && !tls_->connected) return false;
  const ssize_t received = tls_ == nullptr ? recv(fd_, bytes, sizeof(bytes), 0)
                                           : SSL_read(tls_->connection, bytes, sizeof(bytes));
  if (received <= 0) return false;
  unread_.append(bytes, static_cast<size_t>(received));
  received_.append(bytes, static_cast<size_t>(received));
  return true;
}

std::optional<HttpReply> Exchange(const std::string& address, absl::string_view request) {
  HttpClient client(address);
  client.Send(request);
  return client.ReadReply();
}

}  // namespace hookgate
