// Counts what a GrpcServer refuses, and logs it: any peer that reaches the port can cause refusals
// at any rate, so few lines tell of them.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_REFUSAL_LOG_H_
#define HOOKGATE_SERVER_GRPC_SERVER_REFUSAL_LOG_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "common/clock.h"
#include "server/base/log_limiter.h"
#include "server/grpc_server/grpc_refusal.h"

namespace hookgate {

// Thread-safe.
class RefusalLog {
 public:
  // `clock` outlives it.
  explicit RefusalLog(const Clock& clock);

  //   peer    "ipv4:127.0.0.1:50123"
  //   detail  what is known beyond the kind; may be "". It may hold what the peer has sent.
  void Note(GrpcRefusal refusal, absl::string_view peer, absl::string_view detail);

  GrpcRefusalCounts counts() const;

 private:
  LogLimiter lines_;
  std::array<std::atomic<int64_t>, kGrpcRefusals> counts_ = {};
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_REFUSAL_LOG_H_
