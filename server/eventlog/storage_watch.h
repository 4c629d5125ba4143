// How much of the disk the log takes, and how much is left, looked up in the background: whoever
// asks gets what was seen last, and waits for no disk.
#ifndef HOOKGATE_SERVER_EVENTLOG_STORAGE_WATCH_H_
#define HOOKGATE_SERVER_EVENTLOG_STORAGE_WATCH_H_

#include <cstdint>
#include <map>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/base/monotonic_mutex.h"
#include "server/eventlog/event_log_metrics.h"
#include "server/eventlog/sqlite_event_log.h"

namespace hookgate {

// What was seen last; nullopt: not yet.
struct StorageUse {
  absl::optional<int64_t> used_bytes;          // as RetentionTarget::UsedBytes
  absl::optional<int64_t> wal_bytes;           // the length of the write-ahead log's file
  absl::optional<int64_t> free_bytes;          // what the file system has left for this process
  std::map<std::string, int64_t> quarantined;  // entries of each source that has some
};

// Looks on a thread of its own, which a stuck disk may hold up: once a second, and less often where
// a look takes long. The quarantine is counted when it has changed. Thread-safe.
class StorageWatch {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);

  // All of it outlives the watch; `data_dir` is the folder of `log`, and `metrics` are its own.
  StorageWatch(SqliteEventLog& log, const std::string& data_dir, const EventLogMetrics& metrics);
  // Waits for a look under way.
  ~StorageWatch();
  StorageWatch(const StorageWatch&) = delete;
  StorageWatch& operator=(const StorageWatch&) = delete;

  StorageUse use() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void Look() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  SqliteEventLog& log_;
  const std::string data_dir_;
  const EventLogMetrics& metrics_;

  // Touched only by the thread.
  int64_t counted_changes_ = -1;  // of the quarantine, when it was counted last

  // Held while numbers are copied, never while the disk is asked.
  mutable MonotonicMutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  StorageUse use_ ABSL_GUARDED_BY(mu_);

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_STORAGE_WATCH_H_
