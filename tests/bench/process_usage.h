// What a process takes of the machine, as Linux counts it.
#ifndef HOOKGATE_TESTS_BENCH_PROCESS_USAGE_H_
#define HOOKGATE_TESTS_BENCH_PROCESS_USAGE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace hookgate {

// User and system time that the process has used.
absl::Duration CpuTime(pid_t pid);
// The part of it that is not the kernel's.
absl::Duration UserCpuTime(pid_t pid);
// Its resident memory.
int64_t ResidentBytes(pid_t pid);

// What a case takes of both cores from its construction on, the server's and this process's, whose
// is the load. Where the load is busy all the time, no server can be faster.
class BothCores {
 public:
  explicit BothCores(pid_t server);

  absl::Duration elapsed() const;
  // "0.150 us of CPU each, the server's core busy for 80 %, the subscribers' for 95 %"
  std::string Describe(double deliveries) const;

 private:
  const pid_t server_;
  const absl::Time start_;
  const absl::Duration server_before_;
  const absl::Duration load_before_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_PROCESS_USAGE_H_
