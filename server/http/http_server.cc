#include "server/http/http_server.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "server/base/current_thread.h"
#include "server/base/logging.h"
#include "server/base/monotonic_mutex.h"
#include "server/base/status.h"
#include "server/http/answer_queue.h"
#include "server/http/http_session.h"
#include "server/http/tls_acceptor.h"
#include "server/net/body_budget.h"
#include "server/net/connection_table.h"
#include "server/net/handshake_limiter.h"
#include "server/net/listener.h"

namespace hookgate {
namespace {

namespace asio = boost::asio;

// Without it, a quarter of all connections is one address's, but not less than these.
constexpr int kMinPerAddress = 64;
constexpr absl::Duration kFullLineInterval = absl::Seconds(10);

ConnectionTable::Limits LimitsOf(const HttpServerOptions& options) {
  int of_an_address = options.max_connections_per_address;
  if (of_an_address == 0) of_an_address = std::max(options.max_connections / 4, kMinPerAddress);
  return {.all = static_cast<size_t>(options.max_connections),
          .of_an_address = static_cast<size_t>(of_an_address)};
}

HandshakeLimiter::Limits HandshakesOf(const HttpServerOptions& options) {
  int of_an_address = options.max_handshakes_per_second_per_address;
  if (of_an_address == 0) of_an_address = std::max(options.max_handshakes_per_second / 4, 1);
  return {.per_second = options.max_handshakes_per_second,
          .per_second_of_an_address = of_an_address};
}

std::string RefusalText(ConnectionTable::Admission admission, const NetPeer& peer,
                        const ConnectionTable::Limits& limits) {
  if (admission == ConnectionTable::Admission::kAddressFull) {
    return absl::StrCat("the gateway has ", limits.of_an_address, " connections from ",
                        peer.address,
                        " with open requests already, the most that it accepts from one address");
  }
  return absl::StrCat("the gateway has ", limits.all,
                      " connections with open requests already, the most that it accepts");
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
        handshakes_(HandshakesOf(options), clock),
        listener_(loops_.front()->io, clock, "HTTP",
                  {.next_loop = [this]() -> asio::io_context& { return NextLoop(); },
                   .on_accepted =
                       [this](NetSocket socket) {
                         AddSession(std::move(socket), *loops_[next_loop_]->answers);
                       },
                   .may_accept = [this] { return !tls_.has_tls() || handshakes_.HasRoom(); }}) {}

  ~HttpServerImpl() override {
    Drain(absl::ZeroDuration());
    // A handler may still owe answers; they come to a closed connection, but they come.
    WaitUntilEmpty(absl::InfiniteDuration());
    for (const auto& loop : loops_) loop->work.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  absl::Status Listen() {
    RETURN_IF_ERROR(listener_.Listen(options_.address));
    for (const auto& loop : loops_) {
      threads_.emplace_back([&io = loop->io] {
        NameThread("http");
        // A sender does not wait until others on this core have used up their slices. Longer than
        // the log writer's, which is to run as soon as it can.
        AskForShortTimeSlices(TimeSlice::kShort);
        io.run();
      });
    }
    return absl::OkStatus();
  }

  std::string address() const override { return listener_.address(); }

  int64_t open_connections() const override { return open_.load(std::memory_order_relaxed); }

  int64_t max_connections() const override { return options_.max_connections; }

  int64_t refused_handshakes() const override {
    return refused_handshakes_.load(std::memory_order_relaxed);
  }

  void BeginDrain() override ABSL_LOCKS_EXCLUDED(mu_) {
    listener_.Stop();
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
    const std::shared_ptr<AnswerQueue> answers = std::make_shared<AnswerQueue>(io.get_executor());
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

  asio::io_context& NextLoop() {
    next_loop_ = (next_loop_ + 1) % loops_.size();
    return loops_[next_loop_]->io;
  }

  void AddSession(HttpSocket socket, AnswerQueue& answers) ABSL_LOCKS_EXCLUDED(mu_) {
    const std::optional<NetPeer> peer = PeerOf(socket);
    if (!peer.has_value()) return;
    const bool exempt = options_.is_proxy && options_.is_proxy(peer->address);
    if (tls_.has_tls() && !handshakes_.Take(peer->bytes, exempt)) {
      NoteHandshakes(*peer);
      return Reset(std::move(socket));
    }
    std::shared_ptr<asio::ssl::context> tls = tls_.Context();
    // Closed rather than served in plain text.
    if (tls == nullptr && tls_.has_tls()) return;
    std::shared_ptr<HttpSession> session;
    ConnectionTable::Decision decision;
    {
      MonotonicMutexLock lock(&mu_);
      if (draining_) return;
      decision = connections_.Admit(peer->bytes, exempt);
      if (decision.admission != ConnectionTable::Admission::kDropped) {
        const BodyOrigin origin = {.network = ConnectionTable::NetworkOf(peer->bytes),
                                   .connection = exempt ? decision.id : 0};
        session =
            std::make_shared<HttpSession>(std::move(socket), peer->address, origin, std::move(tls),
                                          HttpSession::Shared{options_, handler_, clock_, bodies_},
                                          answers, [this, id = decision.id] { RemoveSession(id); });
        connections_.Add(decision.id, session);
        open_.fetch_add(1, std::memory_order_relaxed);
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
  void NoteFull(bool admitted, const NetPeer& peer) {
    ++(admitted ? made_room_ : refused_);
    const absl::Duration now = clock_.MonotonicNow();
    if (now < next_full_line_) return;
    next_full_line_ = now + kFullLineInterval;
    Log(Severity::kWarning,
        "connections are at their limit; the one that is idle for longest makes room",
        {{"address", listener_.address()},
         {"newest_peer", peer.address},
         {"closed_idle", made_room_},
         {"refused", refused_}});
  }

  void NoteHandshakes(const NetPeer& peer) {
    const int64_t refused = refused_handshakes_.fetch_add(1, std::memory_order_relaxed) + 1;
    const absl::Duration now = clock_.MonotonicNow();
    if (now < next_handshakes_line_) return;
    next_handshakes_line_ = now + kFullLineInterval;
    Log(Severity::kWarning, "an address begins too many TLS handshakes; its connections are closed",
        {{"reason", "too_many_handshakes"},
         {"address", listener_.address()},
         {"peer", peer.address},
         {"refused", refused}});
  }

  void RemoveSession(int64_t id) ABSL_LOCKS_EXCLUDED(mu_) {
    open_.fetch_sub(1, std::memory_order_relaxed);
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

  BodyBudget bodies_;  // does its own locking
  std::atomic<int64_t> open_ = 0;
  std::atomic<int64_t> refused_handshakes_ = 0;

  MonotonicMutex mu_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  ConnectionTable connections_ ABSL_GUARDED_BY(mu_);  // each is an HttpSession

  // As many as threads; they do their own locking.
  const std::vector<std::unique_ptr<Loop>> loops_;

  // Touched only on the first loop's thread.
  size_t next_loop_ = 0;  // that takes the next connection
  TlsAcceptor tls_;
  HandshakeLimiter handshakes_;
  int64_t made_room_ = 0;  // connections that were closed for others
  int64_t refused_ = 0;    // those for which none was
  absl::Duration next_full_line_ = -absl::InfiniteDuration();
  absl::Duration next_handshakes_line_ = -absl::InfiniteDuration();
  Listener listener_;

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
