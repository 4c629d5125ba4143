// What a test does to the machine under a real process: its disk, its wall clock. The process loads
// fault_shim.cc before the C library (LD_PRELOAD) and reads these fields from a file that both have
// mapped, so that a change is in force at once.
#ifndef HOOKGATE_TESTS_SUPPORT_FAULT_CONTROL_H_
#define HOOKGATE_TESTS_SUPPORT_FAULT_CONTROL_H_

#include <atomic>
#include <cstdint>

namespace hookgate {

// The environment variable that names the file.
inline constexpr char kFaultControlVariable[] = "HOOKGATE_FAULT_CONTROL";

// All zero: nothing is wrong. Only files whose path contains "events.db", or the lock beside it,
// ever fail.
struct FaultControl {
  std::atomic<int32_t> write_errno;     // of every write and every change of a file's size
  std::atomic<int32_t> sync_errno;      // of every fsync and fdatasync
  std::atomic<int32_t> open_errno;      // of every open for writing
  std::atomic<int64_t> faults;          // that have happened
  std::atomic<int64_t> wall_offset_ns;  // how far the wall clock is ahead
};
static_assert(std::atomic<int64_t>::is_always_lock_free, "shared between processes");

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_FAULT_CONTROL_H_
