// Those outside of a cluster, as they are: senders that send again what was not answered, and now
// and then what was; subscribers that go on from their cursor, here or elsewhere; consumers that
// ack, and nack a few. All that they are told is noted in an OutsideView.
#ifndef HOOKGATE_TESTS_CLUSTER_CLUSTER_LOAD_H_
#define HOOKGATE_TESTS_CLUSTER_CLUSTER_LOAD_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/cluster/gateway_cluster.h"
#include "tests/cluster/outside_view.h"

namespace hookgate {

// Its own calls are for one thread.
class ClusterLoad {
 public:
  struct Counts {
    int64_t answered = 0;     // 200
    int64_t repeats = 0;      // of these: the gateway knew the webhook already
    int64_t unavailable = 0;  // 503
    int64_t no_answer = 0;    // no connection, or it ended, or took too long
    int64_t deliveries = 0;   // to consumers
    int64_t streams = 0;      // of subscribers, each of which went on from a cursor
    // The longest time without a 200 to anybody while senders sent.
    absl::Duration longest_gap;
  };

  // Begins at once, but for the senders. `cluster` outlives the load; its leader is up.
  ClusterLoad(const GatewayCluster& cluster, uint64_t seed);
  // Ends all of it.
  ~ClusterLoad();
  ClusterLoad(const ClusterLoad&) = delete;
  ClusterLoad& operator=(const ClusterLoad&) = delete;

  void StartSenders();
  // Once each has been answered what it was sending: nobody is left in doubt.
  void StopSenders();
  // Waits for so many more 200; false if they do not come for a minute.
  bool AwaitAnswers(int more) const;
  int64_t answers() const { return answers_; }  // 200, so far
  // Whether nobody is answered 200 for so long; false once somebody is.
  bool StaysSilent(absl::Duration time) const;

  // Once the senders have stopped and every replica runs: waits until every subscriber has got, and
  // the consumers have acked, all that anybody has heard of. What is missing after a minute, in
  // words.
  std::vector<std::string> Settle();
  // Reads all there is at one replica; nothing that was answered may be missing from it.
  std::vector<std::string> ReadAllAt(int replica);
  // What contradicts the promises, so far.
  std::vector<std::string> Broken() const;

  // Since the last call.
  Counts TakeCounts();
  int64_t newest() const;
  size_t webhooks() const;  // different ones that were answered 200

 private:
  static constexpr int kSenders = 3;

  void Send(int sender);
  void SendOne(const std::string& webhook_id, int& target);
  // `home`: the replica; -1: another one with each stream.
  void Subscribe(const std::string& name, int home);
  void Consume(const std::string& name);
  void CreateSubscription();
  // -1: nobody says.
  int64_t Backlog() const;
  void Note(const std::string& finding) ABSL_LOCKS_EXCLUDED(mu_);
  static bool MayEndWith(int code);

  const GatewayCluster& cluster_;
  const uint64_t seed_;
  std::atomic<bool> ending_ = false;
  std::atomic<bool> sending_ = false;
  std::atomic<int64_t> answers_ = 0;
  std::array<int64_t, kSenders> last_id_ = {};  // each sender's own
  std::vector<std::string> subscribers_;

  mutable absl::Mutex mu_;
  OutsideView view_ ABSL_GUARDED_BY(mu_);
  Counts counts_ ABSL_GUARDED_BY(mu_);
  absl::Time last_answer_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  std::vector<std::string> findings_ ABSL_GUARDED_BY(mu_);

  std::vector<std::thread> senders_;
  std::vector<std::thread> others_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_CLUSTER_LOAD_H_
