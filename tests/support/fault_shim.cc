// Stands between a real process and the C library, and makes its system calls fail as
// fault_control.h says. A library to preload; nothing links it.
//
// A wait until a time of the wall clock is what the kernel makes of it: when the clock is set, the
// wait ends sooner or later accordingly.

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/support/fault_control.h"

namespace {

using hookgate::FaultControl;

constexpr int64_t kNanos = 1'000'000'000;
constexpr int64_t kSliceNanos = kNanos / 50;

// Null if the process was given none.
FaultControl* Control() {
  static FaultControl* const control = []() -> FaultControl* {
    const char* const path = getenv(hookgate::kFaultControlVariable);
    if (path == nullptr) return nullptr;
    const int file = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0));
    if (file < 0) return nullptr;
    void* const memory =
        mmap(nullptr, sizeof(FaultControl), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return memory == MAP_FAILED ? nullptr : static_cast<FaultControl*>(memory);
  }();
  return control;
}

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// Not the shared memory: a start makes it again, in the place that it has just freed.
bool IsOfLog(const char* path) {
  const size_t length = strlen(path);
  if (length >= 4 && strcmp(path + length - 4, "-shm") == 0) return false;
  return strstr(path, "events.db") != nullptr ||
         (length >= 5 && strcmp(path + length - 5, "/lock") == 0);
}

bool IsOfLog(int file) {
  char link[64];
  char path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof(path) - 1);
  if (length < 0) return false;
  path[length] = '\0';
  return IsOfLog(path);
}

// Whether the call has to fail; errno is set then.
template <typename File>
bool Fails(std::atomic<int32_t> FaultControl::*which, File file) {
  FaultControl* const control = Control();
  if (control == nullptr) return false;
  const int error = (control->*which).load();
  if (error == 0 || !IsOfLog(file)) return false;
  ++control->faults;
  errno = error;
  return true;
}

int64_t Offset() {
  FaultControl* const control = Control();
  return control == nullptr ? 0 : control->wall_offset_ns.load();
}

void Add(int64_t nanos, timespec* time) {
  const int64_t sum = time->tv_sec * kNanos + time->tv_nsec + nanos;
  time->tv_sec = sum / kNanos;
  time->tv_nsec = sum % kNanos;
}

// In slices, after each of which the clock is looked at.
long WaitUntilWall(const long* arguments) {  // NOLINT(runtime/int): as syscall has it
  const auto* const until = reinterpret_cast<const timespec*>(arguments[3]);
  const int64_t until_ns = until->tv_sec * kNanos + until->tv_nsec;
  while (true) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t left = until_ns - (now.tv_sec * kNanos + now.tv_nsec);
    timespec slice;
    Next<decltype(&clock_gettime)>("clock_gettime")(CLOCK_REALTIME, &slice);
    Add(left < kSliceNanos ? left : kSliceNanos, &slice);
    const long result = Next<decltype(&syscall)>("syscall")(  // NOLINT(runtime/int)
        SYS_futex, arguments[0], arguments[1], arguments[2], &slice, arguments[4], arguments[5]);
    if (result == 0 || errno != ETIMEDOUT || left < kSliceNanos) return result;
  }
}

}  // namespace

extern "C" {

ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  if (Fails(&FaultControl::write_errno, file)) return -1;
  return Next<decltype(&pwrite64)>("pwrite64")(file, bytes, count, offset);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  if (Fails(&FaultControl::write_errno, file)) return -1;
  return Next<decltype(&pwrite)>("pwrite")(file, bytes, count, offset);
}

ssize_t write(int file, const void* bytes, size_t count) {
  if (Fails(&FaultControl::write_errno, file)) return -1;
  return Next<decltype(&write)>("write")(file, bytes, count);
}

int ftruncate64(int file, off64_t size) noexcept {
  if (Fails(&FaultControl::write_errno, file)) return -1;
  return Next<decltype(&ftruncate64)>("ftruncate64")(file, size);
}

int fdatasync(int file) {
  if (Fails(&FaultControl::sync_errno, file)) return -1;
  return Next<decltype(&fdatasync)>("fdatasync")(file);
}

int fsync(int file) {
  if (Fails(&FaultControl::sync_errno, file)) return -1;
  return Next<decltype(&fsync)>("fsync")(file);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (writes && Fails(&FaultControl::open_errno, path)) return -1;
  return Next<decltype(&open64)>("open64")(path, flags, mode);
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (writes && Fails(&FaultControl::open_errno, path)) return -1;
  return Next<decltype(&open)>("open")(path, flags, mode);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int result = Next<decltype(&clock_gettime)>("clock_gettime")(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME) Add(Offset(), time);
  return result;
}

int gettimeofday(timeval* time, void*) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* result) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}

// What waits by the C library, such as libnats, gives a time of the wall clock, too, unless its
// condition was made for the other clock: glibc keeps that in this bit.
int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* until) {
  using Wait = decltype(&pthread_cond_timedwait);
  // The oldest of this name, which a search without a version may find, has another condition.
  static const Wait wait = [] {
    void* const versioned = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    return versioned != nullptr ? reinterpret_cast<Wait>(versioned)
                                : Next<Wait>("pthread_cond_timedwait");
  }();
  constexpr unsigned kMonotonic = 2;
  if (Control() == nullptr || (condition->__data.__wrefs & kMonotonic) != 0) {
    return wait(condition, mutex, until);
  }
  while (true) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t left = (until->tv_sec - now.tv_sec) * kNanos + until->tv_nsec - now.tv_nsec;
    timespec slice;
    Next<decltype(&clock_gettime)>("clock_gettime")(CLOCK_REALTIME, &slice);
    Add(left < kSliceNanos ? left : kSliceNanos, &slice);
    const int result = wait(condition, mutex, &slice);
    if (result != ETIMEDOUT || left < kSliceNanos) return result;
  }
}

// Abseil waits by futex, with times of the wall clock. Reads as many arguments as any call may
// have, as libc's own does: AddressSanitizer sees that fewer were given.
__attribute__((no_sanitize("address"))) long syscall(long number,
                                                     ...) noexcept {  // NOLINT(runtime/int)
  va_list list;
  va_start(list, number);
  long arguments[6];                                               // NOLINT(runtime/int)
  for (long& argument : arguments) argument = va_arg(list, long);  // NOLINT(runtime/int)
  va_end(list);
  const bool waits = number == SYS_futex && (arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET &&
                     (arguments[1] & FUTEX_CLOCK_REALTIME) != 0 && arguments[3] != 0;
  if (waits && Control() != nullptr) return WaitUntilWall(arguments);
  return Next<decltype(&syscall)>("syscall")(number, arguments[0], arguments[1], arguments[2],
                                             arguments[3], arguments[4], arguments[5]);
}

}  // extern "C"
