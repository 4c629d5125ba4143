#include "server/status/status_keeper.h"

#include <algorithm>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "server/base/current_thread.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

struct Answer {
  MonotonicMutex mu;
  absl::optional<absl::Status> status ABSL_GUARDED_BY(mu);
};

}  // namespace

StatusKeeper::StatusKeeper(StatusBook& book, StatusLog& log)
    : book_(book), log_(log), thread_([this] { Run(); }) {}

StatusKeeper::~StatusKeeper() {
  {
    MonotonicMutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
  if (!StoreNow(absl::InfiniteDuration())) {
    Log(Severity::kWarning, "what GetStatus tells of the last moments could not be stored");
  }
}

bool StatusKeeper::StoreNow(absl::Duration timeout) {
  if (!book_.HasChanges(/*all=*/true)) return true;
  book_.MakeDue();
  return Commit(timeout);
}

void StatusKeeper::Run() {
  NameThread("status");
  absl::Duration wait = StatusBook::kWriteInterval;
  while (true) {
    {
      MonotonicMutexLock lock(&mu_);
      mu_.AwaitWithTimeout([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; }, wait);
      if (stopping_) return;
    }
    // After one that something else has carried, a whole second.
    wait = book_.UntilDue();
    if (wait > absl::ZeroDuration()) continue;
    wait = StatusBook::kWriteInterval;
    if (book_.HasChanges(/*all=*/false)) Commit(absl::InfiniteDuration());
  }
}

// The log itself says why it cannot be written.
bool StatusKeeper::Commit(absl::Duration timeout) {
  const auto answer = std::make_shared<Answer>();
  log_.CommitStatus([answer](const absl::Status& status) {
    MonotonicMutexLock lock(&answer->mu);
    answer->status = status;
  });
  MonotonicMutexLock lock(&answer->mu);
  const auto answered = [&answer]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(answer->mu) {
    return answer->status.has_value();
  };
  return answer->mu.AwaitWithTimeout(answered, timeout) && answer->status->ok();
}

}  // namespace hookgate
