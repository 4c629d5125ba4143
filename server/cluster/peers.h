// The other replicas of the cluster, as this one reaches them.
#ifndef HOOKGATE_SERVER_CLUSTER_PEERS_H_
#define HOOKGATE_SERVER_CLUSTER_PEERS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "common/monotonic_cond_var.h"
#include "server/cluster/peer_connection.h"
#include "server/cluster/replica.h"
#include "server/replication/schema_agreement.h"
#include "server/tls/certificate_store.h"

namespace hookgate {

struct PeerAddress {
  std::string name;     // cluster.replica of that one, and a DNS name of its certificate
  std::string address;  // HOST:PORT
};

// For GetStatus.
struct PeerState {
  std::string name;
  absl::optional<absl::Time> last_heard;  // by what it said, or answered; nullopt: never
  LogIndex applied = 0;                   // as it said then
  int schema = 0;                         // the newest that it reads, as it said; 0: nothing yet
  std::string problem;                    // of the last call to it; "": it answered
};

// Thread-safe.
class Peers final : public ReplicaPeers {
 public:
  // `certificates` and `clock` outlive it.
  Peers(const std::vector<PeerAddress>& peers, const CertificateStore& certificates,
        const Clock& clock, size_t max_message_bytes);
  // Cancels what is under way, and waits for its end.
  ~Peers() override;

  // To all of them. One that has not answered the last one yet is left out, unless this is news.
  void Send(const Heartbeat& heartbeat) override;
  void StayConnected() override;
  SchemaAgreement Agreement() const override ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<PeerTail> Tails(absl::Duration at_most) override ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until all have answered what they were sent, `at_most` so long. Whether they have.
  bool AwaitAnswers(absl::Duration at_most) ABSL_LOCKS_EXCLUDED(mu_);

  // Null: there is none of this name. Valid while this lives.
  PeerConnection* Find(const std::string& name) const;
  bool has(const std::string& name) const { return Find(name) != nullptr; }

  // A peer has said something; `schema` is 0 if it did not say that.
  void NoteHeard(const PeerTail& tail, int schema) ABSL_LOCKS_EXCLUDED(mu_);

  std::vector<PeerState> States() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Who should lead when the leader leaves; "": nobody has answered.
  std::string Heir() const ABSL_LOCKS_EXCLUDED(mu_);
  void NoteAnswer(const std::string& name, const absl::StatusOr<std::string>& answer)
      ABSL_LOCKS_EXCLUDED(mu_);

  const Clock& clock_;

  struct State {
    PeerState seen;
    int asked = 0;  // so often, and has not answered yet
    // What it said last: less than before if its folder is another one.
    LogIndex tail_index = 0;
    int64_t tail_term = 0;

    void NoteTail(LogIndex applied, int64_t term);
  };
  mutable absl::Mutex mu_;
  MonotonicCondVar answered_;
  std::map<std::string, State> states_ ABSL_GUARDED_BY(mu_);
  SchemaAgreement agreement_ ABSL_GUARDED_BY(mu_);

  // Constant after construction. Last: their calls note what is above.
  std::map<std::string, std::unique_ptr<PeerConnection>> connections_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_PEERS_H_
