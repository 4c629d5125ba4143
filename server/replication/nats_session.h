// A connection to one NATS server, by which JetStream is asked.
#ifndef HOOKGATE_SERVER_REPLICATION_NATS_SESSION_H_
#define HOOKGATE_SERVER_REPLICATION_NATS_SESSION_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/replication/call_slot.h"
#include "server/replication/jetstream_options.h"
#include "server/replication/libnats.h"

namespace hookgate {

// As a time-out is given to libnats: at least 1.
int64_t NatsMilliseconds(absl::Duration duration);

// UNAVAILABLE engine_unavailable, or engine_access if the server refuses what was asked for.
//   code  JetStream's, 0 for none
//   what  was being done
absl::Status NatsError(const LibNats& nats, natsStatus status, int code, absl::string_view what);

// A connection that is closed for good when it is lost: what was sent while it is away must not be
// sent later by the library.
class NatsSession {
 public:
  NatsSession(const LibNats& nats, natsConnection* connection, jsCtx* js)
      : nats_(nats), connection_(connection), js_(js) {}
  ~NatsSession() {
    nats_.jsCtx_Destroy(js_);
    nats_.natsConnection_Destroy(connection_);
  }
  NatsSession(const NatsSession&) = delete;
  NatsSession& operator=(const NatsSession&) = delete;

  natsConnection* connection() const { return connection_; }
  jsCtx* js() const { return js_; }
  bool closed() const { return nats_.natsConnection_IsClosed(connection_); }
  // Ends what waits for an answer.
  void Close() { nats_.natsConnection_Close(connection_); }

 private:
  const LibNats& nats_;
  natsConnection* const connection_;
  jsCtx* const js_;
};
using NatsSessionPtr = std::shared_ptr<NatsSession>;

// Connects to `server`, one of options.servers, within a second. `min_payload` is what its setting
// max_payload has to be at least, in bytes: FAILED_PRECONDITION unsafe_setting if it is less.
absl::StatusOr<NatsSessionPtr> ConnectToNats(const LibNats& nats,
                                             const JetStreamLogOptions& options,
                                             const std::string& server, int64_t min_payload,
                                             SteadyTime deadline);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_NATS_SESSION_H_
