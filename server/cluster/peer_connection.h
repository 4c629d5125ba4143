// A connection to another replica, for calls whose messages are bytes.
//
// This is the one place of hookgated where gRPC C++ is, and only as a client of replicas that the
// config names and that show a certificate of the cluster's authority: no stranger reaches it. A
// client of our own beside the server of our own would be as large again, and would have nothing to
// gain from it: replicas are few, and what bounds them is the shared log. Nothing of it is started
// unless peers are configured.
#ifndef HOOKGATE_SERVER_CLUSTER_PEER_CONNECTION_H_
#define HOOKGATE_SERVER_CLUSTER_PEER_CONNECTION_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/tls/certificate_store.h"

namespace hookgate {

// Hears of one call, on any thread: must not block.
class PeerCallListener {
 public:
  virtual ~PeerCallListener() = default;
  // A message that ReadNext asked for.
  virtual void OnPeerMessage(std::string bytes) = 0;
  // What Write was given is on its way: the next one may be given.
  virtual void OnPeerWritten() = 0;
  // The last one. Errors as the other replica says them; UNAVAILABLE without a reason if it cannot
  // be reached or the connection breaks.
  virtual void OnPeerEnd(const absl::Status& status) = 0;
};

// Thread-safe; its methods do nothing once the call has ended.
class PeerCall {
 public:
  virtual ~PeerCall() = default;
  // One message at a time, which is copied: OnPeerWritten tells when the next may come.
  virtual void Write(absl::string_view bytes) = 0;
  // The same, and there will be no more of them.
  virtual void WriteLast(absl::string_view bytes) = 0;
  // There will be no more messages; after the last OnPeerWritten.
  virtual void EndWrites() = 0;
  // One more message may be given to OnPeerMessage.
  virtual void ReadNext() = 0;
  virtual void Cancel() = 0;
};

// Thread-safe.
class PeerConnection {
 public:
  using Metadata = std::vector<std::pair<std::string, std::string>>;
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::string>) &&>;

  // Connects when it is first used, and again whenever that is needed. `certificates` outlives it:
  // those in force are shown, and the other side has to show one of the same authority for `name`.
  //   max_message_bytes  of one that the other replica sends
  static std::unique_ptr<PeerConnection> Open(const std::string& name, const std::string& address,
                                              const CertificateStore& certificates,
                                              size_t max_message_bytes);

  // Cancels what is under way, and waits until all of it has ended.
  virtual ~PeerConnection() = default;

  // Begins a call: `method` is "/package.Service/Method". `listener` is let go after OnPeerEnd.
  //   timeout  absl::InfiniteDuration(): none
  virtual std::shared_ptr<PeerCall> Start(const std::string& method, const Metadata& metadata,
                                          absl::Duration timeout,
                                          std::shared_ptr<PeerCallListener> listener) = 0;

  // A unary call. `done` runs once, on a thread of gRPC's, or at once.
  void Ask(const std::string& method, absl::string_view request, absl::Duration timeout, Done done);

  // Begins to connect, unless it is connected: a call need not wait for that then. Does not wait.
  virtual void Connect() = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_PEER_CONNECTION_H_
