// The least that durability costs: entries appended to a file by one thread, which syncs what has
// come while it synced before.
#ifndef HOOKGATE_TESTS_BENCH_GROUP_COMMIT_H_
#define HOOKGATE_TESTS_BENCH_GROUP_COMMIT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace hookgate {

// Gives `entries` entries to such a thread on core `core`, `per_second` evenly spaced, and returns
// how long after it was due each was durable. The file is in `folder`, and has its length already.
std::vector<absl::Duration> RunGroupCommits(const std::string& folder, int core, int entries,
                                            double per_second);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_GROUP_COMMIT_H_
