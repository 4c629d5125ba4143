// Has the log store the changes of the status book that no other commit has carried.
#ifndef HOOKGATE_SERVER_STATUS_STATUS_KEEPER_H_
#define HOOKGATE_SERVER_STATUS_STATUS_KEEPER_H_

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/base/monotonic_mutex.h"
#include "server/eventlog/status_log.h"
#include "server/status/status_book.h"

namespace hookgate {

// Looks once a second, on a thread of its own. Writes nothing if nothing has changed. Tries again
// what could not be stored.
class StatusKeeper {
 public:
  // `book` is the companion of `log`; both outlive the keeper.
  StatusKeeper(StatusBook& book, StatusLog& log);
  // Stores what is left, and waits for that.
  ~StatusKeeper();
  StatusKeeper(const StatusKeeper&) = delete;
  StatusKeeper& operator=(const StatusKeeper&) = delete;

  // Stores all that is not stored yet, and returns whether that was done in time. Thread-safe.
  bool StoreNow(absl::Duration timeout);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // Until the log has answered, at most for `timeout`.
  bool Commit(absl::Duration timeout);

  // Constant after construction.
  StatusBook& book_;
  StatusLog& log_;

  MonotonicMutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STATUS_STATUS_KEEPER_H_
