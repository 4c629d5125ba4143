#include "server/net/listener.h"

#include <sched.h>

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "server/base/host_port.h"
#include "server/base/logging.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kPauseAfterFailure = std::chrono::milliseconds(100);
constexpr auto kPauseWhileFull = std::chrono::milliseconds(20);
constexpr absl::Duration kLineInterval = absl::Seconds(10);

std::string FormatEndpoint(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? absl::StrCat("[", host, "]:", endpoint.port())
                                    : absl::StrCat(host, ":", endpoint.port());
}

}  // namespace

std::optional<NetPeer> PeerOf(const NetSocket& socket) {
  error_code error;
  const tcp::endpoint endpoint = socket.remote_endpoint(error);
  if (error) return std::nullopt;
  asio::ip::address address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  const asio::ip::address_v6 v6 =
      address.is_v6() ? address.to_v6()
                      : asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4());
  return NetPeer{address.to_string(), endpoint.port(), v6.to_bytes()};
}

void Reset(NetSocket socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

int UsableCores() {
  cpu_set_t cores;
  // It fails where there are more cores than a cpu_set_t holds.
  return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : CPU_SETSIZE;
}

Listener::Listener(asio::io_context& io, const Clock& clock, std::string what, Uses uses)
    : clock_(clock),
      what_(std::move(what)),
      uses_(std::move(uses)),
      io_(io),
      acceptor_(io),
      pause_(io) {}

absl::Status Listener::Listen(const std::string& address) {
  const absl::optional<HostPort> host_port = ParseHostPort(address);
  if (!host_port.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is not HOST:PORT, or [HOST]:PORT for IPv6"));
  }
  error_code error;
  tcp::resolver resolver(io_);
  const auto found = resolver.resolve(host_port->bare_host(), absl::StrCat(host_port->port),
                                      tcp::resolver::passive, error);
  if (error || found.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" cannot be resolved: ", error.message()));
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  // A restart must not wait for the connections of the process before.
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat(what_, " cannot listen on ", address, ": ", error.message()));
  }
  bound_ = FormatEndpoint(acceptor_.local_endpoint(error));
  asio::post(io_, [this] { Accept(); });
  return absl::OkStatus();
}

void Listener::Stop() {
  asio::post(io_, [this] {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  });
}

void Listener::Accept() {
  if (!acceptor_.is_open()) return;
  if (uses_.may_accept != nullptr && !uses_.may_accept()) return AcceptAfter(kPauseWhileFull);
  acceptor_.async_accept(uses_.next_loop(), [this](error_code error, NetSocket socket) {
    OnAccepted(error, std::move(socket));
  });
}

void Listener::OnAccepted(error_code error, NetSocket socket) {
  if (!acceptor_.is_open()) return;
  if (error) {
    // Most likely there are no file descriptors left. New connections wait in the backlog.
    NoteFailure(error);
    return AcceptAfter(kPauseAfterFailure);
  }
  if (failure_logged_) NoteAcceptingAgain();
  uses_.on_accepted(std::move(socket));
  Accept();
}

void Listener::AcceptAfter(std::chrono::milliseconds pause) {
  pause_.expires_after(pause);
  pause_.async_wait([this](error_code cancelled) {
    if (!cancelled) Accept();
  });
}

// Any peer can use up the file descriptors, again and again, so there is a line every 10 s at most.
void Listener::NoteFailure(error_code error) {
  ++failures_;
  const absl::Duration now = clock_.MonotonicNow();
  if (now < next_line_) return;
  next_line_ = now + kLineInterval;
  failure_logged_ = true;
  Log(Severity::kWarning, "accept failed; trying again",
      {{"address", bound_}, {"error", error.message()}, {"failures", failures_}});
}

void Listener::NoteAcceptingAgain() {
  Log(Severity::kInfo, "accepting connections again",
      {{"address", bound_}, {"failures", failures_}});
  failure_logged_ = false;
  failures_ = 0;
}

}  // namespace hookgate
