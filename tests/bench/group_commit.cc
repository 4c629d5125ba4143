#include "tests/bench/group_commit.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "server/base/current_thread.h"
#include "tests/bench/contender.h"

namespace hookgate {
namespace {

constexpr size_t kEntryBytes = 600;  // about what one webhook adds to the log
constexpr size_t kMaxEntries = 40'000;

void Check(bool done) {
  if (done) return;
  std::cerr << "bench: the file for group commits cannot be written\n";
  std::exit(1);
}

}  // namespace

GroupCommitter::GroupCommitter(const std::string& folder, Committed committed)
    : fd_(open((folder + "/entries").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
      committed_(std::move(committed)) {
  const std::string zeros(kMaxEntries * kEntryBytes, '\0');
  Check(pwrite(fd_, zeros.data(), zeros.size(), 0) == static_cast<ssize_t>(zeros.size()));
  Check(fsync(fd_) == 0);
  thread_ = std::thread([this] { Run(); });
}

GroupCommitter::~GroupCommitter() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
  close(fd_);
}

void GroupCommitter::Add() {
  absl::MutexLock lock(&mu_);
  ++added_;
}

void GroupCommitter::Run() {
  AskForShortTimeSlices();
  size_t committed = 0;
  const auto has_work = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return added_ > committed || stopping_;
  };
  while (true) {
    size_t added = 0;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&has_work));
      added = added_;
    }
    if (added == committed) return;
    Write(committed, added - committed);
    committed = added;
    committed_(committed);
  }
}

void GroupCommitter::Write(size_t first, size_t count) {
  const std::string entries(count * kEntryBytes, 'x');
  const size_t place = first % kMaxEntries + count > kMaxEntries ? 0 : first % kMaxEntries;
  Check(pwrite(fd_, entries.data(), entries.size(), static_cast<off_t>(place * kEntryBytes)) ==
        static_cast<ssize_t>(entries.size()));
  Check(fdatasync(fd_) == 0);
}

std::vector<absl::Duration> RunGroupCommits(const BenchSettings& settings,
                                            const std::string& folder, int entries,
                                            double per_second) {
  std::vector<absl::Time> due;
  std::vector<absl::Time> committed_at;
  {
    std::optional<GroupCommitter> committer;
    {
      const StartOnCore on_core(settings);
      committer.emplace(folder, [&](size_t count) { committed_at.resize(count, absl::Now()); });
    }
    const absl::Time start = absl::Now();
    for (int i = 0; i < entries; ++i) {
      due.push_back(start + absl::Seconds(i / per_second));
      absl::SleepFor(due.back() - absl::Now());
      committer->Add();
    }
  }
  std::vector<absl::Duration> latencies;
  for (size_t i = 0; i < due.size(); ++i) latencies.push_back(committed_at[i] - due[i]);
  return latencies;
}

}  // namespace hookgate
