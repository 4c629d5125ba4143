// Writes log lines to a descriptor, on a thread of its own.
//
// A line is written when Write returns, as a rule, so that it is there whatever becomes of the
// process. But standard error may be a pipe that nobody empties, or a terminal that was stopped
// with Ctrl-S, and a thread that logs must not wait for that: it may be one that answers webhooks.
// So it waits for kPatience at most, and then nobody does until the reader has caught up. Until
// then lines wait in memory, up to kMaxQueuedBytes. Those that find no room are dropped and
// counted, and once there is room again a line says how many they were.
#ifndef HOOKGATE_SERVER_BASE_LOG_OUTPUT_H_
#define HOOKGATE_SERVER_BASE_LOG_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/monotonic_cond_var.h"

namespace hookgate {

// Thread-safe.
class LogOutput {
 public:
  // Some thousand lines.
  static constexpr size_t kMaxQueuedBytes = 1 << 20;
  // A file or a pipe takes a line in microseconds; a busy machine may need a while for the thread.
  static constexpr absl::Duration kPatience = absl::Milliseconds(100);

  // `fd` stays the caller's, and outlives this.
  //   lost_line  makes the line that says how many were dropped
  LogOutput(int fd, std::function<std::string(int64_t lines)> lost_line);
  // Waits until all is written.
  ~LogOutput();

  // `line` has no line end.
  void Write(std::string line) ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until what was written before has reached the descriptor, for `timeout` at most. Returns
  // whether it has.
  bool Flush(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  bool TakeLine(std::string& line) ABSL_LOCKS_EXCLUDED(mu_);
  void Queue(std::string line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SayWhatIsLost() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Waits until all that is queued now is written. False: not within `timeout`.
  bool AwaitWritten(absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteOut(const std::string& text) const;

  // Constant after construction.
  const int fd_;
  const std::function<std::string(int64_t)> lost_line_;

  absl::Mutex mu_;
  MonotonicCondVar changed_;
  std::deque<std::string> lines_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;    // of lines_
  int64_t queued_ ABSL_GUARDED_BY(mu_) = 0;  // lines, since the start
  int64_t written_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t lost_ ABSL_GUARDED_BY(mu_) = 0;        // since the last line that said so
  bool is_behind_ ABSL_GUARDED_BY(mu_) = false;  // somebody has waited in vain
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: runs on all of the above
};

// Waits until what was logged so far is written, for a second at most: for the end of the process,
// which takes along what is not. Does nothing before InitLogging (logging.h).
void FlushLog();

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_LOG_OUTPUT_H_
