// A few threads for work that may block, such as reading from disk, so that no network thread does.
#ifndef HOOKGATE_SERVER_BASE_EXECUTOR_H_
#define HOOKGATE_SERVER_BASE_EXECUTOR_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace hookgate {

// Thread-safe. Work runs in the order given, as threads come free. The queue has no bound of its
// own: who posts has one piece of work under way at a time, or counts.
class Executor {
 public:
  // What its threads are to those of others.
  enum class Priority {
    kUsual,
    kAwaited,   // a moment's work that somebody waits for: see AskForShortTimeSlices
    kGivesWay,  // long work that nobody waits for at this moment: see GiveWayToOthers
  };

  explicit Executor(int threads, Priority priority = Priority::kUsual);
  // Runs what was posted, then joins the threads.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void Post(absl::AnyInvocable<void() &&> work);

 private:
  class Pool;
  absl::Mutex posting_;  // each Post holds it, shared, while it uses the pool
  const std::unique_ptr<Pool> pool_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_EXECUTOR_H_
