// A consumer of a durable subscription that acks all it gets.
#ifndef HOOKGATE_TESTS_SOAK_CONSUMER_H_
#define HOOKGATE_TESTS_SOAK_CONSUMER_H_

#include "absl/time/time.h"
#include "tests/soak/ledger.h"
#include "tests/soak/life.h"

namespace hookgate {

// Not thread-safe, except where it says so.
class Consumer {
 public:
  explicit Consumer(Ledger& ledger) : ledger_(ledger) {}

  // Makes the subscription, to everything.
  void Create(const Life& life);
  // Consumes until the gateway is down.
  void Run(const Life& life);
  // Whether everything is acked, after at most `patience`. Any thread, beside Run.
  bool WaitUntilAllIsAcked(const Life& life, absl::Duration patience);

 private:
  void ConsumeStream(const Life& life);

  Ledger& ledger_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SOAK_CONSUMER_H_
