// What senders were answered, subscribers got and consumers were handed, and whether it is as
// promised. Pure.
#ifndef HOOKGATE_TESTS_CLUSTER_OUTSIDE_VIEW_H_
#define HOOKGATE_TESTS_CLUSTER_OUTSIDE_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hookgate {

// Not thread-safe.
class OutsideView {
 public:
  // A sender was answered 200: `webhook_id` is stored at `sequence`.
  void Answered(const std::string& webhook_id, int64_t sequence);
  // `subscriber` got the event. `hash`: of all that it holds; 0: not known.
  void Got(const std::string& subscriber, int64_t sequence, const std::string& webhook_id,
           size_t hash = 0);
  // Forgets what this one got; not what it said of the log.
  void Forget(const std::string& subscriber);

  // Of one subscription, whichever consumer it is. No lease may expire meanwhile.
  void Delivered(int64_t sequence, const std::string& webhook_id, int attempt);
  void AckSent(int64_t sequence);
  void Acked(int64_t sequence);  // answered RESULT_OK
  void NackSent(int64_t sequence);
  void Nacked(int64_t sequence);  // answered RESULT_OK

  // What contradicts the promises so far, one sentence each:
  //   P2  a webhook-id has one sequence, whoever says it
  //   P3  a sequence is one event, the same to the last byte, on every replica
  //   P4  each subscriber gets every sequence, in order and once
  //   P7  what was acked does not come again; each nack that was answered makes a later attempt,
  //       and nothing does but nacks
  const std::vector<std::string>& broken() const { return broken_; }
  // P1, once `subscriber` has got all there is: what was answered 200 and is not there.
  std::vector<std::string> MissingFrom(const std::string& subscriber) const;
  // The newest that `subscriber` got; 0: nothing.
  int64_t ReachedBy(const std::string& subscriber) const;
  // P7, once the subscription says that nothing is left to deliver: what was never delivered, or
  // not again although nobody has acked its last delivery. Whether an ack was taken that was not
  // answered, only the gateway knows.
  std::vector<int64_t> Undelivered() const;

  size_t answered() const { return answered_.size(); }
  size_t deliveries() const { return deliveries_; }
  int64_t newest() const { return newest_; }

 private:
  struct Delivery {
    int nacks_sent = 0;
    int nacks_answered = 0;
    bool ack_sent = false;  // of the last delivery
    bool acked = false;
  };

  void Note(const std::string& who, const std::string& webhook_id, int64_t sequence);

  std::map<std::string, int64_t> answered_;     // by webhook-id
  std::map<std::string, int64_t> sequence_of_;  // by webhook-id, whoever said it
  std::map<int64_t, std::string> id_of_;        // by sequence
  std::map<int64_t, size_t> hash_of_;           // by sequence
  std::map<std::string, int64_t> next_;         // by subscriber: the sequence it waits for
  std::map<std::string, std::map<std::string, int64_t>> got_;  // by subscriber
  std::map<int64_t, Delivery> delivered_;                      // by sequence
  size_t deliveries_ = 0;
  int64_t newest_ = 0;
  std::vector<std::string> broken_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_OUTSIDE_VIEW_H_
