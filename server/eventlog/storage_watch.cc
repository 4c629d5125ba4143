#include "server/eventlog/storage_watch.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/base/current_thread.h"

namespace hookgate {
namespace {

// After a look, so many times as long as it took: it is not to take more than a few percent of a
// core, however large the quarantine is.
constexpr int kRestOfLook = 20;

absl::optional<int64_t> BytesOfFile(const std::string& path) {
  struct stat file = {};
  if (stat(path.c_str(), &file) != 0) return absl::nullopt;
  return static_cast<int64_t>(file.st_size);
}

absl::optional<int64_t> BytesFree(const std::string& folder) {
  struct statvfs system = {};
  if (statvfs(folder.c_str(), &system) != 0) return absl::nullopt;
  return static_cast<int64_t>(system.f_bavail) * static_cast<int64_t>(system.f_frsize);
}

}  // namespace

StorageWatch::StorageWatch(SqliteEventLog& log, const std::string& data_dir,
                           const EventLogMetrics& metrics)
    : log_(log), data_dir_(data_dir), metrics_(metrics), thread_([this] { Run(); }) {}

StorageWatch::~StorageWatch() {
  {
    MonotonicMutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

StorageUse StorageWatch::use() const {
  MonotonicMutexLock lock(&mu_);
  return use_;
}

void StorageWatch::Run() {
  NameThread("storage");
  while (true) {
    const absl::Duration begin = metrics_.MonotonicNow();
    Look();
    const absl::Duration took = metrics_.MonotonicNow() - begin;
    MonotonicMutexLock lock(&mu_);
    mu_.AwaitWithTimeout([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; },
                         std::max(kInterval, kRestOfLook * took));
    if (stopping_) return;
  }
}

// What the file system says comes first: it says so also where the database is locked. What cannot
// be told now stays as it was seen last; the log itself says what is wrong with it.
void StorageWatch::Look() {
  const absl::optional<int64_t> wal_bytes = BytesOfFile(absl::StrCat(data_dir_, "/events.db-wal"));
  const absl::optional<int64_t> free_bytes = BytesFree(data_dir_);
  {
    MonotonicMutexLock lock(&mu_);
    use_.wal_bytes = wal_bytes;
    use_.free_bytes = free_bytes;
  }
  const absl::StatusOr<int64_t> used = log_.UsedBytes();
  // Before the count, so that what changes meanwhile is counted the next time.
  const int64_t changes = metrics_.quarantine_changes();
  absl::optional<std::map<std::string, int64_t>> quarantined;
  if (changes != counted_changes_) {
    absl::StatusOr<std::map<std::string, int64_t>> counted = log_.CountQuarantined();
    if (counted.ok()) {
      counted_changes_ = changes;
      quarantined = *std::move(counted);
    }
  }
  MonotonicMutexLock lock(&mu_);
  if (used.ok()) use_.used_bytes = *used;
  if (quarantined.has_value()) use_.quarantined = *std::move(quarantined);
}

}  // namespace hookgate
