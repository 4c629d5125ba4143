// Tells ThreadSanitizer what Abseil's locks order. Debian builds Abseil without it, so that each
// correct use of absl::Mutex would be reported as a race. Part of every test; empty unless it is
// built with --config=tsan.
//
// The functions here stand in front of Abseil's own, call them, and say what they do.
#if defined(__SANITIZE_THREAD__)

#include <dlfcn.h>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);

// What these do inside is ordered by means that are not seen: they are built without it, too. A
// Status counts its references in there, so that its last owner seems to race with the others.
const char* __tsan_default_suppressions() {
  return "race:libabsl_\n"
         "race:libprotobuf.so\n"
         "race:libfmt.so\n"
         "race:libspdlog.so\n"
         "race:absl::*Status::Unref\n";
}
}

namespace {

template <typename Function>
Function Abseils(const char* symbol) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, symbol));
}

// The order that one lock, or one notification, makes.
class Order {
 public:
  explicit Order(const void* of) : of_(const_cast<void*>(of)) {}
  void Acquire() const { __tsan_acquire(of_); }
  void Release() const { __tsan_release(of_); }

 private:
  void* const of_;
};

// Who gives a lock up evaluates the conditions of those who wait for it, while he still has it.
class IgnoringReads {
 public:
  IgnoringReads() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~IgnoringReads() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
};

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

#define NAME(rest) "_ZN4absl7debian3" rest

void Mutex::Lock() {
  static const auto real = Abseils<void (*)(Mutex*)>(NAME("5Mutex4LockEv"));
  real(this);
  Order(this).Acquire();
}

void Mutex::Unlock() {
  static const auto real = Abseils<void (*)(Mutex*)>(NAME("5Mutex6UnlockEv"));
  Order(this).Release();
  const IgnoringReads ignoring;
  real(this);
}

bool Mutex::TryLock() {
  static const auto real = Abseils<bool (*)(Mutex*)>(NAME("5Mutex7TryLockEv"));
  const bool locked = real(this);
  if (locked) Order(this).Acquire();
  return locked;
}

void Mutex::ReaderLock() {
  static const auto real = Abseils<void (*)(Mutex*)>(NAME("5Mutex10ReaderLockEv"));
  real(this);
  Order(this).Acquire();
}

void Mutex::ReaderUnlock() {
  static const auto real = Abseils<void (*)(Mutex*)>(NAME("5Mutex12ReaderUnlockEv"));
  Order(this).Release();
  const IgnoringReads ignoring;
  real(this);
}

void Mutex::LockWhen(const Condition& condition) {
  static const auto real =
      Abseils<void (*)(Mutex*, const Condition&)>(NAME("5Mutex8LockWhenERKNS0_9ConditionE"));
  {
    const IgnoringReads ignoring;
    real(this, condition);
  }
  Order(this).Acquire();
}

void Mutex::Await(const Condition& condition) {
  static const auto real =
      Abseils<void (*)(Mutex*, const Condition&)>(NAME("5Mutex5AwaitERKNS0_9ConditionE"));
  Order(this).Release();
  {
    const IgnoringReads ignoring;
    real(this, condition);
  }
  Order(this).Acquire();
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static const auto real = Abseils<bool (*)(Mutex*, const Condition&, Duration)>(
      NAME("5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE"));
  Order(this).Release();
  bool holds = false;
  {
    const IgnoringReads ignoring;
    holds = real(this, condition, timeout);
  }
  Order(this).Acquire();
  return holds;
}

void Notification::Notify() {
  static const auto real = Abseils<void (*)(Notification*)>(NAME("12Notification6NotifyEv"));
  Order(this).Release();
  real(this);
}

#undef NAME
#define NAME(rest) "_ZNK4absl7debian3" rest

void Notification::WaitForNotification() const {
  static const auto real =
      Abseils<void (*)(const Notification*)>(NAME("12Notification19WaitForNotificationEv"));
  real(this);
  Order(this).Acquire();
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static const auto real = Abseils<bool (*)(const Notification*, Duration)>(
      NAME("12Notification30WaitForNotificationWithTimeoutENS0_8DurationE"));
  const bool notified = real(this, timeout);
  if (notified) Order(this).Acquire();
  return notified;
}

ABSL_NAMESPACE_END
}  // namespace absl

#endif  // defined(__SANITIZE_THREAD__)
