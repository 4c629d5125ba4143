// What senders were answered and subscribers got, and whether it is as promised. Pure.
#ifndef HOOKGATE_TESTS_CLUSTER_OUTSIDE_VIEW_H_
#define HOOKGATE_TESTS_CLUSTER_OUTSIDE_VIEW_H_

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
  // `subscriber` got the event.
  void Got(const std::string& subscriber, int64_t sequence, const std::string& webhook_id);

  // What contradicts the promises so far, one sentence each:
  //   P2  a webhook-id has one sequence, whoever says it
  //   P3  a sequence is one event, on every replica
  //   P4  each subscriber gets every sequence, in order and once
  const std::vector<std::string>& broken() const { return broken_; }
  // P1, once `subscriber` has got all there is: what was answered 200 and is not there.
  std::vector<std::string> MissingFrom(const std::string& subscriber) const;

  size_t answered() const { return answered_.size(); }
  int64_t newest() const { return newest_; }

 private:
  void Note(const std::string& who, const std::string& webhook_id, int64_t sequence);

  std::map<std::string, int64_t> answered_;     // by webhook-id
  std::map<std::string, int64_t> sequence_of_;  // by webhook-id, whoever said it
  std::map<int64_t, std::string> id_of_;        // by sequence
  std::map<std::string, int64_t> next_;         // by subscriber: the sequence it waits for
  std::map<std::string, std::map<std::string, int64_t>> got_;  // by subscriber
  int64_t newest_ = 0;
  std::vector<std::string> broken_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_OUTSIDE_VIEW_H_
