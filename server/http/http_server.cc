#include "server/http/http_server.h"

#include <sched.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/current_thread.h"
#include "server/base/logging.h"
#include "server/base/monotonic_mutex.h"
#include "server/base/status.h"
#include "server/http/answer_queue.h"
#include "server/http/body_budget.h"
#include "server/http/connection_table.h"
#include "server/http/http_session.h"
#include "server/http/tls_acceptor.h"

namespace hookgate {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Without it, a quarter of all connections is one address's, but not less than these.
constexpr int kMinPerAddress = 64;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr absl::Duration kAcceptLineInterval = absl::Seconds(10);

struct HostPort {
  std::string host;
  std::string port;
};

// The resolver would take names of services as well, and 65616 for 80.
bool IsPort(absl::string_view text) {
  int port = 0;
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(text, &port) && port <= 65535;
}

absl::StatusOr<HostPort> SplitAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || !IsPort(address.substr(colon + 1))) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is no HOST:PORT"));
  }
  absl::string_view host(address.data(), colon);
  const bool bracketed = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  if (!bracketed && host.find_first_of(":[]") != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is no [HOST]:PORT, as IPv6 is written"));
  }
  return HostPort{std::string(host), address.substr(colon + 1)};
}

std::string FormatEndpoint(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? absl::StrCat("[", host, "]:", endpoint.port())
                                    : absl::StrCat(host, ":", endpoint.port());
}

// As text, and as what connections are counted by.
struct Peer {
  std::string text;
  ConnectionTable::Address address;
};

// Nothing if it has gone again.
std::optional<Peer> PeerOf(const HttpSocket& socket) {
  error_code error;
  const asio::ip::address address = socket.remote_endpoint(error).address();
  if (error) return std::nullopt;
  return Peer{address.to_string(),
              address.is_v6()
                  ? address.to_v6().to_bytes()
                  : asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()).to_bytes()};
}

ConnectionTable::Limits LimitsOf(const HttpServerOptions& options) {
  int of_an_address = options.max_connections_per_address;
  if (of_an_address == 0) of_an_address = std::max(options.max_connections / 4, kMinPerAddress);
  return {.all = static_cast<size_t>(options.max_connections),
          .of_an_address = static_cast<size_t>(of_an_address)};
}

std::string RefusalText(ConnectionTable::Admission admission, const Peer& peer,
                        const ConnectionTable::Limits& limits) {
  if (admission == ConnectionTable::Admission::kAddressFull) {
    return absl::StrCat("the gateway has ", limits.of_an_address, " connections from ", peer.text,
                        " with requests under way already, and takes no more from one address");
  }
  return absl::StrCat("the gateway has ", limits.all,
                      " connections with requests under way already, and takes no more");
}

// Those that this process may run on, which in a container may be fewer than there are.
int UsableCores() {
  cpu_set_t cores;
  // It fails where there are more cores than a cpu_set_t holds.
  return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : CPU_SETSIZE;
}

class HttpServerImpl final : public HttpServer {
 public:
  HttpServerImpl(const HttpServerOptions& options, HttpHandler& handler, const Clock& clock,
                 const CertificateStore* certificates)
      : options_(options),
        handler_(handler),
        clock_(clock),
        bodies_(options.max_unverified_bytes, clock),
        connections_(LimitsOf(options)),
        loops_(MakeLoops(options.threads)),
        tls_(certificates),
        acceptor_(loops_.front()->io),
        accept_pause_(loops_.front()->io) {}

  ~HttpServerImpl() override {
    Drain(absl::ZeroDuration());
    // A handler may still owe answers; they come to a closed connection, but they come.
    WaitUntilEmpty(absl::InfiniteDuration());
    for (const auto& loop : loops_) loop->work.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  absl::Status Listen() {
    ASSIGN_OR_RETURN(const HostPort address, SplitAddress(options_.address));
    error_code error;
    tcp::resolver resolver(loops_.front()->io);
    const auto found = resolver.resolve(address.host, address.port, tcp::resolver::passive, error);
    if (error || found.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", options_.address, "\" cannot be resolved: ", error.message()));
    }
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    // A restart must not wait for the connections of the process before.
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("HTTP cannot listen on ", options_.address, ": ", error.message()));
    }
    bound_ = FormatEndpoint(acceptor_.local_endpoint(error));
    asio::post(acceptor_.get_executor(), [this] { Accept(); });
    for (const auto& loop : loops_) {
      threads_.emplace_back([&io = loop->io] {
        NameThread("http");
        io.run();
      });
    }
    return absl::OkStatus();
  }

  std::string address() const override { return bound_; }

  void BeginDrain() override ABSL_LOCKS_EXCLUDED(mu_) {
    asio::post(acceptor_.get_executor(), [this] {
      error_code ignored;
      acceptor_.close(ignored);
      accept_pause_.cancel();
    });
    for (const auto& session : DrainingSessions()) session->Drain();
  }

  bool Drain(absl::Duration grace) override ABSL_LOCKS_EXCLUDED(mu_) {
    BeginDrain();
    const bool all_finished = WaitUntilEmpty(grace);
    if (!all_finished) {
      for (const auto& session : DrainingSessions()) session->Close();
    }
    return all_finished;
  }

 private:
  // What one thread runs. A connection stays with one: nothing of it is shared between threads, so
  // it needs no strand.
  struct Loop {
    asio::io_context io{/*concurrency_hint=*/1};
    AnswerQueue answers{io.get_executor()};
    asio::executor_work_guard<HttpExecutor> work{io.get_executor()};
  };

  static std::vector<std::unique_ptr<Loop>> MakeLoops(int count) {
    // On one core a second thread would only take turns with the first.
    if (count == 0) count = std::clamp(UsableCores(), 1, 2);
    std::vector<std::unique_ptr<Loop>> loops;
    loops.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) loops.push_back(std::make_unique<Loop>());
    return loops;
  }

  void Accept() {
    next_loop_ = (next_loop_ + 1) % loops_.size();
    Loop& loop = *loops_[next_loop_];
    acceptor_.async_accept(loop.io, [this, &loop](error_code error, HttpSocket socket) {
      OnAccepted(error, std::move(socket), loop.answers);
    });
  }

  void OnAccepted(error_code error, HttpSocket socket, AnswerQueue& answers) {
    if (!acceptor_.is_open()) return;
    if (error) {
      // Most likely there are no file descriptors left. The backlog keeps who comes meanwhile.
      NoteAcceptFailure(error);
      accept_pause_.expires_after(kAcceptPause);
      accept_pause_.async_wait([this](error_code cancelled) {
        if (!cancelled) Accept();
      });
      return;
    }
    if (accept_failure_logged_) NoteAcceptingAgain();
    AddSession(std::move(socket), answers);
    Accept();
  }

  // Whoever can connect can use up the file descriptors, again and again: few lines tell of it.
  void NoteAcceptFailure(error_code error) {
    ++accept_failures_;
    const absl::Duration now = clock_.MonotonicNow();
    if (now < next_accept_line_) return;
    next_accept_line_ = now + kAcceptLineInterval;
    accept_failure_logged_ = true;
    Log(Severity::kWarning, "accept failed; trying again",
        {{"address", bound_}, {"error", error.message()}, {"failures", accept_failures_}});
  }

  void NoteAcceptingAgain() {
    Log(Severity::kInfo, "accepting connections again",
        {{"address", bound_}, {"failures", accept_failures_}});
    accept_failure_logged_ = false;
    accept_failures_ = 0;
  }

  void AddSession(HttpSocket socket, AnswerQueue& answers) ABSL_LOCKS_EXCLUDED(mu_) {
    const std::optional<Peer> peer = PeerOf(socket);
    if (!peer.has_value()) return;
    const bool exempt = options_.is_proxy && options_.is_proxy(peer->text);
    std::shared_ptr<asio::ssl::context> tls = tls_.Context();
    // Closed rather than served in plain text.
    if (tls == nullptr && tls_.has_tls()) return;
    std::shared_ptr<HttpSession> session;
    ConnectionTable::Decision decision;
    {
      MonotonicMutexLock lock(&mu_);
      if (draining_) return;
      decision = connections_.Admit(peer->address, exempt);
      if (decision.admission != ConnectionTable::Admission::kDropped) {
        session =
            std::make_shared<HttpSession>(std::move(socket), peer->text, std::move(tls),
                                          HttpSession::Shared{options_, handler_, clock_, bodies_},
                                          answers, [this, id = decision.id] { RemoveSession(id); });
        connections_.Add(decision.id, session);
      }
    }
    if (decision.leaving != nullptr) decision.leaving->MakeRoom();
    const bool admitted = decision.admission == ConnectionTable::Admission::kAdmitted;
    if (decision.leaving != nullptr || !admitted) NoteFull(admitted, *peer);
    if (admitted) {
      session->Start();
    } else if (session != nullptr) {
      session->StartRefusing(RefusalText(decision.admission, *peer, LimitsOf(options_)));
    }
  }

  // A sender that is refused, or whose idle connection is closed, is worth a line; few of them.
  void NoteFull(bool admitted, const Peer& peer) {
    ++(admitted ? made_room_ : refused_);
    const absl::Duration now = clock_.MonotonicNow();
    if (now < next_full_line_) return;
    next_full_line_ = now + kAcceptLineInterval;
    Log(Severity::kWarning,
        "connections are at their limit; the one that is idle for longest makes room",
        {{"address", bound_},
         {"newest_peer", peer.text},
         {"closed_idle", made_room_},
         {"refused", refused_}});
  }

  void RemoveSession(int64_t id) ABSL_LOCKS_EXCLUDED(mu_) {
    MonotonicMutexLock lock(&mu_);
    connections_.Remove(id);
  }

  // The oldest first.
  std::vector<std::shared_ptr<HttpSession>> DrainingSessions() ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<std::shared_ptr<HttpSession>> sessions;
    MonotonicMutexLock lock(&mu_);
    draining_ = true;
    for (auto& connection : connections_.All()) {
      sessions.push_back(std::static_pointer_cast<HttpSession>(std::move(connection)));
    }
    return sessions;
  }

  bool WaitUntilEmpty(absl::Duration grace) ABSL_LOCKS_EXCLUDED(mu_) {
    const auto empty = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return connections_.empty(); };
    MonotonicMutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(empty, grace);
  }

  // Constant after Listen.
  const HttpServerOptions options_;
  HttpHandler& handler_;
  const Clock& clock_;
  std::string bound_;

  BodyBudget bodies_;  // does its own locking

  MonotonicMutex mu_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  ConnectionTable connections_ ABSL_GUARDED_BY(mu_);  // each is an HttpSession

  // As many as threads; they do their own locking.
  const std::vector<std::unique_ptr<Loop>> loops_;

  // Touched only on the first loop's thread.
  size_t next_loop_ = 0;  // that takes the next connection
  TlsAcceptor tls_;
  int64_t accept_failures_ = 0;  // since the last line that said it goes on
  bool accept_failure_logged_ = false;
  absl::Duration next_accept_line_ = -absl::InfiniteDuration();
  int64_t made_room_ = 0;  // connections that were closed for others
  int64_t refused_ = 0;    // those for which none was
  absl::Duration next_full_line_ = -absl::InfiniteDuration();
  asio::basic_socket_acceptor<tcp, HttpExecutor> acceptor_;
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>, HttpExecutor>
      accept_pause_;

  std::vector<std::thread> threads_;  // last: they run on all of the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const HttpServerOptions& options, HttpHandler& handler, const Clock& clock,
    const CertificateStore* certificates) {
  auto server = std::make_unique<HttpServerImpl>(options, handler, clock, certificates);
  RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace hookgate
