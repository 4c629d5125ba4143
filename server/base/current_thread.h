// What the kernel is told of the calling thread. Only wishes: where the kernel is older or does not
// allow it, nothing happens.
#ifndef HOOKGATE_SERVER_BASE_CURRENT_THREAD_H_
#define HOOKGATE_SERVER_BASE_CURRENT_THREAD_H_

namespace hookgate {

// As `top -H`, `ps -L` and profilers show it. At most 15 bytes.
void NameThread(const char* name);

// How long a thread runs before those that are ready as well have their turn.
enum class TimeSlice {
  kShortest,  // 0.1 ms, the shortest that the kernel takes
  kShort,     // 0.4 ms
};

// For a thread that works for a moment and sleeps again, and for which others wait: when it wakes
// on a core that is busy, it runs at once, and not when whoever runs there has used up his time
// slice of a few milliseconds; unless his is as short. It gets no larger share of the core. From
// Linux 6.12 on (the sched attribute sched_runtime, which needs no privilege).
void AskForShortTimeSlices(TimeSlice slice = TimeSlice::kShortest);

// For a thread with much to do that nobody waits for at this moment: where a core is busy, those
// that wake for a moment's work go first, and it gets about a tenth of what each of them could
// have. On an idle core it is as quick as ever. Cannot be taken back without a privilege.
void GiveWayToOthers();

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_CURRENT_THREAD_H_
