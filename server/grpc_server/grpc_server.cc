#include "server/grpc_server/grpc_server.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "server/base/monotonic_mutex.h"
#include "server/base/status.h"
#include "server/grpc_server/grpc_connection.h"
#include "server/grpc_server/grpc_loop.h"
#include "server/grpc_server/grpc_session.h"
#include "server/grpc_server/held_messages.h"
#include "server/grpc_server/refusal_log.h"
#include "server/grpc_server/tls_contexts.h"
#include "server/net/body_budget.h"
#include "server/net/connection_table.h"
#include "server/net/handshake_limiter.h"
#include "server/net/listener.h"

namespace hookgate {
namespace {

constexpr int kMaxThreads = 4;
// Without it, a quarter of all connections is one address's, but not less than these.
constexpr int kMinPerAddress = 64;
// As long as a connection has had less to prove itself, it does not leave for others: they wait.
constexpr absl::Duration kTimeToProve = absl::Seconds(1);
// For connections to hear of a forced end.
constexpr absl::Duration kTimeToClose = absl::Seconds(3);

ConnectionTable::Limits LimitsOf(const GrpcServerOptions& options) {
  int of_an_address = options.max_connections_per_address;
  if (of_an_address == 0) of_an_address = std::max(options.max_connections / 4, kMinPerAddress);
  return {.all = static_cast<size_t>(options.max_connections),
          .of_an_address = static_cast<size_t>(of_an_address),
          .refusing = 0,
          .unproven = static_cast<size_t>(options.max_unidentified_connections)};
}

HandshakeLimiter::Limits HandshakesOf(const GrpcServerOptions& options) {
  int of_an_address = options.max_handshakes_per_second_per_address;
  if (of_an_address == 0) of_an_address = std::max(options.max_handshakes_per_second / 4, 1);
  return {.per_second = options.max_handshakes_per_second,
          .per_second_of_an_address = of_an_address};
}

std::string PeerText(const NetPeer& peer) {
  const bool v6 = peer.address.find(':') != std::string::npos;
  return v6 ? absl::StrCat("ipv6:[", peer.address, "]:", peer.port)
            : absl::StrCat("ipv4:", peer.address, ":", peer.port);
}

class GrpcServerImpl final : public GrpcServer {
 public:
  GrpcServerImpl(const GrpcServerOptions& options, const MethodTable& table, const Clock& clock,
                 const CertificateStore* certificates)
      : options_(options),
        clock_(clock),
        refusals_(clock),
        inbound_(static_cast<int64_t>(options.max_inbound_bytes), clock, /*free_bytes=*/0),
        outbound_(static_cast<int64_t>(options.max_outbound_bytes), clock, /*free_bytes=*/0),
        streamed_(static_cast<int64_t>(options.max_stream_bytes), clock, /*free_bytes=*/0),
        shared_{options_, table, clock, refusals_, inbound_, outbound_, held_, open_calls_},
        connections_(LimitsOf(options)),
        loops_(MakeLoops(options, clock)),
        tls_(certificates, options.client_ca_required),
        handshakes_(HandshakesOf(options), clock),
        listener_(loops_.front()->io(), clock, "gRPC",
                  {.next_loop = [this]() -> boost::asio::io_context& { return NextLoop(); },
                   .on_accepted =
                       [this](NetSocket socket) { Add(std::move(socket), *loops_[next_loop_]); },
                   .may_accept = [this] { return MayAccept(); }}) {}

  ~GrpcServerImpl() override {
    Drain(absl::ZeroDuration());
    WaitUntilEmpty(absl::InfiniteDuration());
    for (const auto& loop : loops_) loop->Stop();
    for (std::thread& thread : threads_) thread.join();
  }

  absl::Status Listen() {
    RETURN_IF_ERROR(listener_.Listen(options_.address));
    for (const auto& loop : loops_) threads_.emplace_back([&loop] { loop->Run(); });
    return absl::OkStatus();
  }

  std::string address() const override { return listener_.address(); }

  size_t open_calls() const override {
    return static_cast<size_t>(std::max<int64_t>(0, open_calls_.load()));
  }

  size_t open_connections() const override ABSL_LOCKS_EXCLUDED(mu_) {
    MonotonicMutexLock lock(&mu_);
    return open_;
  }

  GrpcRefusalCounts refusals() const override { return refusals_.counts(); }

  void BeginDrain() override ABSL_LOCKS_EXCLUDED(mu_) {
    listener_.Stop();
    for (const auto& connection : Draining()) connection->Drain();
  }

  bool Drain(absl::Duration grace) override ABSL_LOCKS_EXCLUDED(mu_) {
    BeginDrain();
    if (WaitUntilEmpty(grace)) return true;
    for (const auto& connection : Draining()) connection->Shutdown();
    WaitUntilEmpty(kTimeToClose);
    return false;
  }

 private:
  static std::vector<std::unique_ptr<GrpcLoop>> MakeLoops(const GrpcServerOptions& options,
                                                          const Clock& clock) {
    int count = options.threads;
    if (count == 0) count = std::clamp(UsableCores(), 1, kMaxThreads);
    const double of_strangers = options.max_unidentified_time_percent / 100.0;
    std::vector<std::unique_ptr<GrpcLoop>> loops;
    loops.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      loops.push_back(std::make_unique<GrpcLoop>(clock, of_strangers));
    }
    return loops;
  }

  boost::asio::io_context& NextLoop() {
    next_loop_ = (next_loop_ + 1) % loops_.size();
    return loops_[next_loop_]->io();
  }

  bool MayAccept() ABSL_LOCKS_EXCLUDED(mu_) {
    if (tls_.has_tls() && !handshakes_.HasRoom()) return false;
    MonotonicMutexLock lock(&mu_);
    return !connections_.IsCrowdedSince(clock_.MonotonicNow() - kTimeToProve);
  }

  void Add(NetSocket socket, GrpcLoop& loop) ABSL_LOCKS_EXCLUDED(mu_) {
    const std::optional<NetPeer> peer = PeerOf(socket);
    if (!peer.has_value()) return;
    if (tls_.has_tls() && !handshakes_.Take(peer->bytes, /*exempt=*/false)) {
      refusals_.Note(GrpcRefusal::kTooManyHandshakes, PeerText(*peer), "");
      return Reset(std::move(socket));
    }
    std::shared_ptr<ssl_ctx_st> context = tls_.Current();
    // Closed rather than served in plain text.
    if (context == nullptr && tls_.has_tls()) return;
    std::shared_ptr<GrpcConnection> connection;
    ConnectionTable::Decision decision;
    {
      MonotonicMutexLock lock(&mu_);
      if (draining_) return;
      decision = connections_.Admit(peer->bytes, /*exempt=*/false);
      if (decision.admission == ConnectionTable::Admission::kAdmitted) {
        const int64_t id = decision.id;
        ++open_;
        connection = std::make_shared<GrpcConnection>(
            std::move(socket), std::move(context), PeerText(*peer),
            BodyOrigin{.network = ConnectionTable::NetworkOf(peer->bytes)}, shared_, loop,
            GrpcConnection::Events{[this, id] { SetProven(id); }, [this, id] { Remove(id); }});
        connections_.Add(id, connection);
      }
    }
    if (decision.leaving != nullptr) decision.leaving->MakeRoom();
    if (connection == nullptr) {
      refusals_.Note(GrpcRefusal::kTooManyConnections, PeerText(*peer), "");
    } else {
      connection->Start();
    }
  }

  void SetProven(int64_t id) ABSL_LOCKS_EXCLUDED(mu_) {
    MonotonicMutexLock lock(&mu_);
    connections_.SetProven(id);
  }

  void Remove(int64_t id) ABSL_LOCKS_EXCLUDED(mu_) {
    MonotonicMutexLock lock(&mu_);
    connections_.Remove(id);
    --open_;
  }

  std::vector<std::shared_ptr<GrpcConnection>> Draining() ABSL_LOCKS_EXCLUDED(mu_) {
    std::vector<std::shared_ptr<GrpcConnection>> connections;
    MonotonicMutexLock lock(&mu_);
    draining_ = true;
    for (auto& connection : connections_.All()) {
      connections.push_back(std::static_pointer_cast<GrpcConnection>(std::move(connection)));
    }
    return connections;
  }

  bool WaitUntilEmpty(absl::Duration grace) ABSL_LOCKS_EXCLUDED(mu_) {
    const auto empty = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return open_ == 0; };
    MonotonicMutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(empty, grace);
  }

  // Constant after Listen.
  const GrpcServerOptions options_;
  const Clock& clock_;

  // Each does its own locking.
  RefusalLog refusals_;
  BodyBudget inbound_;
  BodyBudget outbound_;
  BodyBudget streamed_;
  HeldMessages held_{streamed_};
  std::atomic<int64_t> open_calls_ = 0;
  const GrpcShared shared_;

  mutable MonotonicMutex mu_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  ConnectionTable connections_ ABSL_GUARDED_BY(mu_);  // each is a GrpcConnection
  size_t open_ ABSL_GUARDED_BY(mu_) = 0;

  // As many as threads; they do their own locking.
  const std::vector<std::unique_ptr<GrpcLoop>> loops_;

  // Touched only on the first loop's thread.
  size_t next_loop_ = 0;  // that takes the next connection
  TlsContexts tls_;
  HandshakeLimiter handshakes_;
  Listener listener_;

  std::vector<std::thread> threads_;  // last: they run on all of the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const GrpcServerOptions& options, const MethodTable& table, const Clock& clock,
    const CertificateStore* certificates) {
  auto server = std::make_unique<GrpcServerImpl>(options, table, clock, certificates);
  RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<GrpcServer>(std::move(server));
}

}  // namespace hookgate
