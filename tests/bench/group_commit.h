// The least that durability costs: entries appended to a file by one thread, which syncs what has
// come while it synced before.
#ifndef HOOKGATE_TESTS_BENCH_GROUP_COMMIT_H_
#define HOOKGATE_TESTS_BENCH_GROUP_COMMIT_H_

#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/bench/bench_case.h"

namespace hookgate {

// Thread-safe.
class GroupCommitter {
 public:
  // On the committer's thread: the first `count` entries are durable.
  using Committed = std::function<void(size_t count)>;

  // The file is in `folder`, and has its length already; it begins again when it is full.
  GroupCommitter(const std::string& folder, Committed committed);
  // Commits what is left.
  ~GroupCommitter();
  GroupCommitter(const GroupCommitter&) = delete;
  GroupCommitter& operator=(const GroupCommitter&) = delete;

  // One entry, about as large as what a webhook adds to the log.
  void Add() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void Write(size_t first, size_t count);

  // Constant after construction.
  const int fd_;
  const Committed committed_;

  absl::Mutex mu_;
  size_t added_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: runs on all of the above
};

// Gives `entries` entries to a committer on the server's core, `per_second` evenly spaced, and
// returns how long after it was due each was durable.
std::vector<absl::Duration> RunGroupCommits(const BenchSettings& settings,
                                            const std::string& folder, int entries,
                                            double per_second);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_GROUP_COMMIT_H_
