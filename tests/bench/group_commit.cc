#include "tests/bench/group_commit.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "tests/bench/contender.h"

namespace hookgate {
namespace {

constexpr size_t kEntryBytes = 600;  // about what one webhook adds to the log

class GroupCommitter {
 public:
  GroupCommitter(const std::string& path, int core, int entries)
      : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
        committed_at_(static_cast<size_t>(entries)) {
    const std::string zeros(committed_at_.size() * kEntryBytes, '\0');
    Check(pwrite(fd_, zeros.data(), zeros.size(), 0) == static_cast<ssize_t>(zeros.size()));
    Check(fsync(fd_) == 0);
    thread_ = std::thread([this, core] {
      PinToCore(core);
      Run();
    });
  }
  ~GroupCommitter() { close(fd_); }

  void Add() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    ++added_;
  }
  // Of each entry, once all have been added.
  const std::vector<absl::Time>& Wait() {
    thread_.join();
    return committed_at_;
  }

 private:
  static void Check(bool done) {
    if (done) return;
    std::cerr << "bench: the file for group commits cannot be written\n";
    std::exit(1);
  }

  void Run() ABSL_LOCKS_EXCLUDED(mu_) {
    size_t committed = 0;
    const auto has_work = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return added_ > committed; };
    while (committed < committed_at_.size()) {
      size_t end = 0;
      {
        absl::MutexLock lock(&mu_);
        mu_.Await(absl::Condition(&has_work));
        end = added_;
      }
      const std::string entries((end - committed) * kEntryBytes, 'x');
      const auto offset = static_cast<off_t>(committed * kEntryBytes);
      Check(pwrite(fd_, entries.data(), entries.size(), offset) ==
            static_cast<ssize_t>(entries.size()));
      Check(fdatasync(fd_) == 0);
      const absl::Time now = absl::Now();
      while (committed < end) committed_at_[committed++] = now;
    }
  }

  const int fd_;
  std::vector<absl::Time> committed_at_;
  absl::Mutex mu_;
  size_t added_ ABSL_GUARDED_BY(mu_) = 0;
  std::thread thread_;
};

}  // namespace

std::vector<absl::Duration> RunGroupCommits(const std::string& folder, int core, int entries,
                                            double per_second) {
  GroupCommitter committer(folder + "/entries", core, entries);
  std::vector<absl::Time> due;
  const absl::Time start = absl::Now();
  for (int i = 0; i < entries; ++i) {
    due.push_back(start + absl::Seconds(i / per_second));
    absl::SleepFor(due.back() - absl::Now());
    committer.Add();
  }
  const std::vector<absl::Time>& committed_at = committer.Wait();
  std::vector<absl::Duration> latencies;
  for (size_t i = 0; i < due.size(); ++i) latencies.push_back(committed_at[i] - due[i]);
  return latencies;
}

}  // namespace hookgate
