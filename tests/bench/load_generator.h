// Closed-loop HTTP load from one thread, so that little of the machine goes into making it.
#ifndef HOOKGATE_TESTS_BENCH_LOAD_GENERATOR_H_
#define HOOKGATE_TESTS_BENCH_LOAD_GENERATOR_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

namespace hookgate {

struct LoadResult {
  absl::Duration elapsed;  // from the first request to the last answer
  std::vector<absl::Duration>
      latencies;    // of each request, from sent to answered; in order of the answers
  int refused = 0;  // answers other than 200
};

// Sends `requests` to `address` over `connections` keep-alive connections, each of which has one
// request under way until none is left. Ends the process with a message if a connection breaks.
LoadResult RunLoad(const std::string& address, int connections,
                   absl::Span<const std::string> requests);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_LOAD_GENERATOR_H_
