// Honest peers of a gateway while others attack it: a sender of webhooks, a subscriber that counts
// on its heartbeats, and one client after the other that comes again.
#ifndef HOOKGATE_TESTS_HOSTILE_BYSTANDERS_H_
#define HOOKGATE_TESTS_HOSTILE_BYSTANDERS_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "tests/support/hookgated_process.h"

namespace hookgate {

// Thread-safe.
class Bystanders {
 public:
  // How they are faring; see Take.
  struct Report {
    std::vector<absl::Duration> webhooks;  // from when each was due to its 200
    int64_t heartbeats = 0;
    absl::Duration longest_silence;  // between two heartbeats, or since the last one
    int64_t calls = 0;               // of clients that came again: connect, ask, go
    absl::Duration longest_call;
    std::vector<std::string> complaints;  // whatever went wrong, in words

    absl::Duration WebhookPercentile(double percent) const;
  };

  // Begins; `gateway` outlives them. `token` has the right to subscribe to everything.
  //   authority  who signed the gateway's certificate, in PEM; "": it speaks plain text
  Bystanders(const HookgatedProcess& gateway, const std::string& token,
             const std::string& authority);
  // Ends them.
  ~Bystanders();

  // How they have fared since the last call of this.
  Report Take();

  // Whether, since the last Take, each of them has had what it asked for `times` times.
  bool WereServed(int times) const;

 private:
  void SendWebhooks();
  void ReadHeartbeats();
  void ComeAnew();
  void Complain(const std::string& what);
  std::shared_ptr<grpc::Channel> NewChannel() const;
  void Prepare(grpc::ClientContext& context) const;
  // False once it is over.
  bool WaitUntil(absl::Time time) const;

  const HookgatedProcess& gateway_;
  const std::string token_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  absl::Notification over_;

  grpc::ClientContext stream_context_;
  mutable absl::Mutex mu_;
  Report report_ ABSL_GUARDED_BY(mu_);
  absl::Time last_heartbeat_ ABSL_GUARDED_BY(mu_);

  std::vector<std::thread> threads_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_HOSTILE_BYSTANDERS_H_
