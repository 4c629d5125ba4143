// A real gateway with bystanders, and what an attack costs it.
#ifndef HOOKGATE_TESTS_HOSTILE_SIEGE_H_
#define HOOKGATE_TESTS_HOSTILE_SIEGE_H_

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "tests/hostile/attack.h"
#include "tests/hostile/bystanders.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/test_certificates.h"

namespace hookgate {

// What an attack may cost at most.
inline constexpr int64_t kMaxPeakBytes = 64 << 20;  // above what the gateway takes when idle
// Of that, kBackWithin after the end: what the allocator keeps for the next time
// (server/base/memory_releaser.h), and in its caches of threads and of sizes.
inline constexpr int64_t kMaxKeptBytes = 32 << 20;
inline constexpr absl::Duration kBackWithin = absl::Seconds(10);
inline constexpr absl::Duration kMaxSilence = absl::Seconds(10);  // of a subscriber
inline constexpr int64_t kMaxLogBytes = 1 << 20;

struct Toll {
  AttackTally attack;
  absl::Duration lasted;
  int64_t peak_bytes = 0;  // of resident memory, above idle
  int64_t kept_bytes = 0;  // of it, after the end, once it was below kMaxKeptBytes or time was up
  absl::Duration back_after;
  int64_t log_bytes = 0;
  absl::Duration cpu;       // that the gateway used while it lasted
  absl::Duration grpc_cpu;  // of it, the threads that serve gRPC
  Bystanders::Report before;
  Bystanders::Report during;
};

class SiegeTest : public GatewayTest {
 protected:
  // The token of a principal that may read and consume everything.
  static const std::string& Token();

  // The attackers have more sockets than a shell's soft limit allows.
  static void RaiseFileLimit();

  // Starts a gateway with principals and some events in its log, and waits until bystanders are
  // served by it.
  //   grpc  more fields of the config's `grpc`, in protobuf's text format
  void StartSiege(bool tls, const std::string& grpc = "");
  // Attacks it for `duration`, and longer, up to 30 s, until the bystanders have been served
  // meanwhile; then ends all connections and waits until the memory is back.
  //   calm  how long the bystanders are watched before, to compare with
  Toll Suffer(const Attack& attack, absl::Duration duration,
              absl::Duration calm = absl::ZeroDuration());
  // Fails the test if that is more than an attack may cost.
  void ExpectBearable(const Attack& attack, const Toll& toll);
  // Fails the test if the gateway has ended a connection, or refused anything to anybody.
  void ExpectNobodyRefused(const Toll& toll) const;
  // Has the gateway drain; fails the test if it does not end with 0.
  void EndSiege();

  // Whether it has refused what has to be, by its name, since the last attack began: by its log, or
  // by its metrics, since the log has one line a second for all that is refused.
  bool IsRefused(const Attack& attack);
  // From here on attacks go to `address` instead, which refuses nothing by name; "": to the
  // gateway.
  void Divert(std::string address) { diverted_to_ = std::move(address); }
  // Ends the bystanders, when the gateway is about to end in another way.
  void DismissBystanders() { bystanders_ = nullptr; }

  RawPeer::Options TargetOf(const Attack& attack) const;
  Bystanders& bystanders() { return *bystanders_; }
  bool tls() const { return tls_; }
  // Channels and calls of an honest client, as the reader.
  std::shared_ptr<grpc::Channel> NewChannel() const;
  static void Prepare(grpc::ClientContext& context);

 private:
  const TestAuthority authority_;
  bool tls_ = false;
  std::string diverted_to_;
  std::unique_ptr<Bystanders> bystanders_;
  // How many refusals of this name the gateway's metrics count.
  int64_t CountRefused(const std::string& name) const;

  size_t log_at_attack_ = 0;       // how long the gateway's log was when the last attack began
  int64_t refused_at_attack_ = 0;  // and how many it had refused by the name that is looked for
  absl::Time counted_at_;          // when it was asked last
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_HOSTILE_SIEGE_H_
