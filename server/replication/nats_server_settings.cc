#include "server/replication/nats_server_settings.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/host_port.h"
#include "server/base/status.h"
#include "server/replication/log_errors.h"

namespace hookgate {
namespace {

constexpr size_t kMostAnswerBytes = 1 << 20;

absl::StatusOr<HostPort> ParseUrl(const std::string& url) {
  absl::string_view rest = url;
  const bool is_http = absl::ConsumePrefix(&rest, "http://");
  absl::ConsumeSuffix(&rest, "/");
  const absl::optional<HostPort> parsed = ParseHostPort(rest);
  if (!is_http || !parsed.has_value() || parsed->port == 0 ||
      rest.find('/') != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("\"", url, "\" is not http://HOST:PORT"));
  }
  return *parsed;
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::Status Await(int fd, short what, SteadyTime deadline) {
  while (true) {
    const absl::Duration left = TimeLeft(deadline);
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("no answer in time");
    pollfd wait = {fd, what, 0};
    const int ready = poll(
        &wait, 1, static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left) + 1, 60'000)));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return absl::UnavailableError(std::strerror(errno));
  }
}

absl::Status Connect(int fd, const addrinfo& address, SteadyTime deadline) {
  if (connect(fd, address.ai_addr, address.ai_addrlen) == 0) return absl::OkStatus();
  if (errno != EINPROGRESS) return absl::UnavailableError(std::strerror(errno));
  RETURN_IF_ERROR(Await(fd, POLLOUT, deadline));
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? absl::OkStatus() : absl::UnavailableError(std::strerror(error));
}

// Sends `request`, and returns all that comes until the server closes.
absl::StatusOr<std::string> Exchange(int fd, absl::string_view request, SteadyTime deadline) {
  while (!request.empty()) {
    const ssize_t sent = send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      request.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(Await(fd, POLLOUT, deadline));
    } else if (errno != EINTR) {
      return absl::UnavailableError(std::strerror(errno));
    }
  }
  std::string answer;
  while (answer.size() <= kMostAnswerBytes) {
    char buffer[16384];
    const ssize_t received = recv(fd, buffer, sizeof buffer, 0);
    if (received == 0) return answer;
    if (received > 0) {
      answer.append(buffer, static_cast<size_t>(received));
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(Await(fd, POLLIN, deadline));
    } else if (errno != EINTR) {
      return absl::UnavailableError(std::strerror(errno));
    }
  }
  return absl::ResourceExhaustedError("the answer is too long");
}

absl::StatusOr<std::string> Ask(const HostPort& server, SteadyTime deadline) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(server.bare_host().c_str(), absl::StrCat(server.port).c_str(), &hints, &found);
  if (error != 0) return absl::UnavailableError(gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  absl::Status status = absl::UnavailableError("it has no address");
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const Socket socket_(socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (socket_.fd() < 0) return absl::UnavailableError(std::strerror(errno));
    status = Connect(socket_.fd(), *address, deadline);
    if (!status.ok()) continue;
    // HTTP/1.0: the answer is not in chunks, and ends with the connection.
    return Exchange(socket_.fd(),
                    absl::StrCat("GET /varz HTTP/1.0\r\nHost: ", server.bare_host(), "\r\n\r\n"),
                    deadline);
  }
  return status;
}

std::string TextOf(const boost::json::object& object, const char* name) {
  const boost::json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

const boost::json::object* ObjectOf(const boost::json::object* object, const char* name) {
  if (object == nullptr) return nullptr;
  const boost::json::value* const value = object->if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

}  // namespace

absl::Status CheckMonitoringUrl(const std::string& url) { return ParseUrl(url).status(); }

absl::StatusOr<NatsServerSettings> ParseNatsServerSettings(absl::string_view json) {
  boost::system::error_code error;
  boost::json::parse_options limits;
  limits.max_depth = 16;
  const boost::json::value value =
      boost::json::parse(boost::json::string_view(json.data(), json.size()), error, {}, limits);
  if (error || !value.is_object()) {
    return absl::InvalidArgumentError("the answer is not a JSON object");
  }
  NatsServerSettings settings;
  settings.name = TextOf(value.get_object(), "server_name");
  settings.version = TextOf(value.get_object(), "version");
  const boost::json::object* const config =
      ObjectOf(ObjectOf(&value.get_object(), "jetstream"), "config");
  if (config == nullptr) return absl::InvalidArgumentError("the server has no JetStream");
  const boost::json::value* const always = config->if_contains("sync_always");
  settings.sync_always = always != nullptr && always->is_bool() && always->get_bool();
  return settings;
}

absl::StatusOr<NatsServerSettings> ReadNatsServerSettings(const std::string& url,
                                                          SteadyTime deadline) {
  ASSIGN_OR_RETURN(const HostPort server, ParseUrl(url));
  const absl::StatusOr<std::string> answer = Ask(server, deadline);
  if (!answer.ok()) return EngineUnavailable(absl::StrCat(url, ": ", answer.status().message()));
  const size_t head_end = answer->find("\r\n\r\n");
  if (!absl::StartsWith(*answer, "HTTP/1.") || head_end == std::string::npos ||
      !absl::StrContains(absl::string_view(*answer).substr(0, answer->find("\r\n")), " 200 ")) {
    return EngineUnavailable(absl::StrCat(url, " does not answer as a NATS server's monitoring"));
  }
  absl::StatusOr<NatsServerSettings> settings =
      ParseNatsServerSettings(absl::string_view(*answer).substr(head_end + 4));
  if (!settings.ok()) {
    return EngineUnavailable(absl::StrCat(url, ": ", settings.status().message()));
  }
  return settings;
}

}  // namespace hookgate
