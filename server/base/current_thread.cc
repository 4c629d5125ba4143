#include "server/base/current_thread.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace hookgate {
namespace {

constexpr uint64_t LengthInNs(TimeSlice slice) {
  return slice == TimeSlice::kShortest ? 100'000 : 400'000;
}

// The kernel's struct sched_attr, in its first version (SCHED_ATTR_SIZE_VER0): libraries of before
// 2025 declare none, and later ones another one of this name.
struct SchedulingAttributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;  // of the usual policies: the time slice, in nanoseconds
  uint64_t deadline;
  uint64_t period;
};
static_assert(sizeof(SchedulingAttributes) == 48);

constexpr int kNiceOfWhoGivesWay = 10;

}  // namespace

void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

void AskForShortTimeSlices(TimeSlice slice) {
  SchedulingAttributes attributes = {};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;  // Whoever chose another one knows what he wants.
  attributes.size = sizeof(attributes);
  attributes.runtime = LengthInNs(slice);
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

// Linux counts the priority of each thread for itself.
void GiveWayToOthers() {
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  const int nice = getpriority(PRIO_PROCESS, thread);
  if (nice < kNiceOfWhoGivesWay) setpriority(PRIO_PROCESS, thread, kNiceOfWhoGivesWay);
}

}  // namespace hookgate
