// The input is what a peer sends over one connection to the gRPC server, before it stops. What the
// server makes of it, and answers, does not depend on the pieces in which it came. When the
// connection has ended, nothing of it is left.

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "server/base/logging.h"
#include "server/grpc_server/grpc_session.h"
#include "server/grpc_server/test_service.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

constexpr size_t kBudget = 4096;
// More than any input: whether a call finds no room or is wrong first depends on how much comes at
// once.
constexpr size_t kAmpleBudget = 1 << 20;

struct Connection final : public SessionOwner {
  //   budget  of bytes that messages may hold while they arrive, and as many of answers
  Connection(TestService& service, size_t budget)
      : options{.max_calls_per_connection = 20,
                .max_calls_per_unidentified_connection = 10,
                .max_header_list_bytes = 1024,
                .max_message_bytes = 2048,
                .max_inbound_bytes_per_connection = 2 * budget,
                .empty_frames_burst = 20,
                .resets_burst = 10},
        inbound(static_cast<int64_t>(budget), clock, 0),
        outbound(static_cast<int64_t>(budget), clock, 0),
        shared{options, service.table(), clock, refusals, inbound, outbound, held, open_calls} {
    session = std::make_unique<GrpcSession>(shared, wakes, timers, *this,
                                            GrpcSession::Peer{"ipv4:192.0.2.1:1", {}});
  }

  void OnOutput() override {}
  void OnIdentified() override {}
  void OnBusy(bool) override {}

  void RunWoken() {
    while (std::exchange(woken, false)) wakes->Run();
  }
  void CollectAll() {
    while (true) {
      OutBuffer out;
      session->Collect(1 << 16, out);
      RunWoken();
      if (out.empty()) return;
      std::string some(out.size(), '\0');
      out.Copy(some.data(), some.size());
      sent += some;
    }
  }

  FakeClock clock;
  const GrpcServerOptions options;
  RefusalLog refusals{clock};
  BodyBudget inbound;
  BodyBudget outbound;
  BodyBudget streamed{256 << 10, clock, 0};
  HeldMessages held{streamed};
  std::atomic<int64_t> open_calls = 0;
  GrpcShared shared;
  bool woken = false;
  std::shared_ptr<WakeQueue> wakes = std::make_shared<WakeQueue>([this] { woken = true; });
  TimerQueue timers;
  std::unique_ptr<GrpcSession> session;
  std::string sent;
};

// The lengths of the pieces come from the bytes themselves, so that a failure can be repeated.
class Pieces {
 public:
  explicit Pieces(absl::string_view bytes) : left_(bytes) {
    for (const char byte : bytes) state_ = (state_ ^ static_cast<unsigned char>(byte)) * 16777619;
  }
  // "" at the end.
  absl::string_view Next() {
    state_ = state_ * 1664525 + 1013904223;
    const absl::string_view piece = left_.substr(0, 1 + (state_ >> 16) % 64);
    left_.remove_prefix(piece.size());
    return piece;
  }

 private:
  absl::string_view left_;
  uint32_t state_ = 2166136261;
};

// All that is answered when everything has come. "" if the connection is at its end then: what came
// behind the last frame that counts may have been looked at or not.
std::string Answers(TestService& service, absl::string_view bytes, bool in_pieces) {
  Connection connection(service, kAmpleBudget);
  if (in_pieces) {
    Pieces pieces(bytes);
    for (absl::string_view piece = pieces.Next(); !piece.empty(); piece = pieces.Next()) {
      connection.session->Receive(piece);
    }
  } else {
    connection.session->Receive(bytes);
  }
  connection.RunWoken();
  connection.CollectAll();
  return connection.session->ended() ? "" : std::move(connection.sent);
}

// Whether the peer takes its leave. Without a call that is open the connection is at its end then,
// unless what came in the same piece has begun another one.
bool SaysGoodbye(absl::string_view bytes) {
  constexpr size_t kPreface = 24;
  constexpr size_t kFrameHeader = 9;
  constexpr char kGoAway = 7;
  bytes.remove_prefix(std::min(bytes.size(), kPreface));
  while (bytes.size() >= kFrameHeader) {
    if (bytes[3] == kGoAway) return true;
    size_t length = 0;
    for (const char byte : bytes.substr(0, 3)) length = length << 8 | static_cast<uint8_t>(byte);
    bytes.remove_prefix(std::min(bytes.size(), kFrameHeader + length));
  }
  return false;
}

// As it is used: what can be answered is, between two pieces, and time passes.
void Talk(TestService& service, absl::string_view bytes) {
  Connection connection(service, kBudget);
  Pieces pieces(bytes);
  for (absl::string_view piece = pieces.Next(); !piece.empty(); piece = pieces.Next()) {
    connection.session->Receive(piece);
    connection.RunWoken();
    Expect(connection.inbound.held_bytes() <= int64_t{kBudget}, "no more than the budget");
    Expect(connection.outbound.held_bytes() <= int64_t{kBudget}, "no more than the budget");
    if (piece.size() % 3 != 0) connection.CollectAll();
    if (piece.size() == 1) {
      connection.clock.Advance(absl::Seconds(1));
      connection.timers.RunDue(connection.clock.MonotonicNow());
    }
    if (piece.size() == 64) connection.session->BeginDrain();
  }
  connection.session->Shutdown();
  connection.CollectAll();
  connection.session = nullptr;
  Expect(connection.open_calls == 0, "no call without its connection");
  Expect(connection.inbound.held_bytes() == 0 && connection.outbound.held_bytes() == 0,
         "nothing held");
  Expect(!connection.timers.next().has_value(), "nothing waited for");
}

}  // namespace
}  // namespace hookgate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hookgate::SetLeastSeverity(hookgate::Severity::kError);
  static hookgate::TestService& service =
      *new hookgate::TestService(hookgate::TestService::Answers::kAtOnce);
  const std::string bytes = hookgate::ToInput(data, size);
  const std::string at_once = hookgate::Answers(service, bytes, /*in_pieces=*/false);
  const std::string in_pieces = hookgate::Answers(service, bytes, /*in_pieces=*/true);
  const bool is_at_end = (at_once.empty() || in_pieces.empty()) && hookgate::SaysGoodbye(bytes);
  hookgate::Expect(at_once == in_pieces || is_at_end, "the same answers in whatever pieces", bytes);
  hookgate::Talk(service, bytes);
  return 0;
}
