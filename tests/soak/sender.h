// A sender as they are: it sends what was not answered 200 again, and now and then something that
// was.
#ifndef HOOKGATE_TESTS_SOAK_SENDER_H_
#define HOOKGATE_TESTS_SOAK_SENDER_H_

#include <cstdint>
#include <deque>
#include <random>

#include "absl/time/time.h"
#include "tests/soak/ledger.h"
#include "tests/soak/life.h"
#include "tests/support/http_client.h"

namespace hookgate {

// Not thread-safe: one thread at a time calls Run.
class Sender {
 public:
  // `per_second`: webhooks, evenly spaced; 0: as fast as they are answered.
  Sender(Ledger& ledger, uint64_t seed, double per_second);

  // Sends over one connection until `life` is quiet, or the connection ends.
  void Run(const Life& life);

 private:
  // The webhook to send now.
  int64_t Choose();
  // False once the connection has ended, or the gateway goes down and takes no more.
  bool Send(HttpClient& client, const Life& life, int64_t webhook);

  Ledger& ledger_;
  const absl::Duration interval_;
  std::mt19937_64 random_;
  int64_t unanswered_ = 0;        // 0: none
  std::deque<int64_t> answered_;  // the newest
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SOAK_SENDER_H_
