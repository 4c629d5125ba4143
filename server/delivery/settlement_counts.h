// What became of the events of a durable subscription in one step, for whoever counts it.
#ifndef HOOKGATE_SERVER_DELIVERY_SETTLEMENT_COUNTS_H_
#define HOOKGATE_SERVER_DELIVERY_SETTLEMENT_COUNTS_H_

#include <cstdint>
#include <vector>

namespace hookgate {

struct SettlementCounts {
  std::vector<int64_t> acked_us;  // when each that was acked had been received, since the epoch
  int64_t nacked = 0;             // attempts that ended so
  int64_t deadline_passed = 0;    // the same
  int64_t dead_lettered = 0;
  int64_t discarded = 0;  // dead letters
  int64_t lost = 0;       // removed by retention before they were settled
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SETTLEMENT_COUNTS_H_
