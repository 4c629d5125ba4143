// Moves the write-ahead log into the database on a thread of its own, so that no commit waits for
// it.
#ifndef HOOKGATE_SERVER_EVENTLOG_CHECKPOINTER_H_
#define HOOKGATE_SERVER_EVENTLOG_CHECKPOINTER_H_

#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/store/database.h"

namespace hookgate {

// Thread-safe.
class Checkpointer {
 public:
  // `database` is a connection of its own.
  explicit Checkpointer(std::unique_ptr<Database> database);
  ~Checkpointer();

  // Asks for a checkpoint soon. REQUIRES: done().
  void Request();
  // Whether the checkpoint asked for last, if any, has ended: nearly all that the write-ahead log
  // held is in the database, or readers or errors kept it from getting there.
  bool done() const;

 private:
  void Run();
  void Checkpoint();

  // Touched only by the thread.
  const std::unique_ptr<Database> database_;

  mutable absl::Mutex mu_;
  bool requested_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_CHECKPOINTER_H_
