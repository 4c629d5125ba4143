// What a process takes of the machine, as Linux counts it.
#ifndef HOOKGATE_TESTS_BENCH_PROCESS_USAGE_H_
#define HOOKGATE_TESTS_BENCH_PROCESS_USAGE_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/time/time.h"

namespace hookgate {

// User and system time that the process has used.
absl::Duration CpuTime(pid_t pid);
// The part of it that is not the kernel's.
absl::Duration UserCpuTime(pid_t pid);
// Its resident memory.
int64_t ResidentBytes(pid_t pid);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_PROCESS_USAGE_H_
