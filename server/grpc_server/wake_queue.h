// Calls of which something has been asked, on their way to the thread of their connections. Those
// that are asked close together come together: one wake-up of the thread serves all of them, if
// they are asked within a WakeBatch.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_WAKE_QUEUE_H_
#define HOOKGATE_SERVER_GRPC_SERVER_WAKE_QUEUE_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/base/wake_batch.h"

namespace hookgate {

class ServerCall;

// Thread-safe but for Run.
class WakeQueue final : public WakeBatch::Target, public std::enable_shared_from_this<WakeQueue> {
 public:
  // `schedule` has Run called on the thread soon. It is called with the queue's lock held, and not
  // after Close.
  explicit WakeQueue(std::function<void()> schedule) : schedule_(std::move(schedule)) {}
  ~WakeQueue() override;

  void Push(std::shared_ptr<ServerCall> call) ABSL_LOCKS_EXCLUDED(mu_);

  // Schedules what has been pushed within a batch.
  void WakeNow() override ABSL_LOCKS_EXCLUDED(mu_);

  // On the thread: Run will be called in a moment, so until then nothing that is pushed has it
  // scheduled.
  void Hold() ABSL_LOCKS_EXCLUDED(mu_);

  // On the thread: has every call that waits hear its notes.
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  // Whatever is pushed from now on is dropped. On the thread.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Mutex mu_;
  std::function<void()> schedule_ ABSL_GUARDED_BY(mu_);  // null once closed
  std::vector<std::shared_ptr<ServerCall>> waiting_ ABSL_GUARDED_BY(mu_);
  bool scheduled_ ABSL_GUARDED_BY(mu_) = false;  // Run will be called, or is at it

  // Touched only on the thread.
  std::vector<std::shared_ptr<ServerCall>> running_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_WAKE_QUEUE_H_
