#include "server/eventlog/checkpointer.h"

#include <utility>

#include "server/base/current_thread.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

// While a checkpoint runs, commits add pages that it does not move. The next checkpoint moves those
// and takes less time, so soon so few pages are left that the writer can move them itself.
constexpr int kFewPages = 256;
constexpr int kMaxRounds = 5;

}  // namespace

Checkpointer::Checkpointer(std::unique_ptr<Database> database)
    : database_(std::move(database)), thread_([this] { Run(); }) {}

Checkpointer::~Checkpointer() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void Checkpointer::Request() {
  absl::MutexLock lock(&mu_);
  requested_ = true;
}

bool Checkpointer::done() const {
  absl::MutexLock lock(&mu_);
  return !requested_;
}

void Checkpointer::Run() {
  NameThread("checkpointer");
  const auto has_work = [this]()
                            ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return requested_ || stopping_; };
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&has_work));
      if (stopping_) return;
    }
    Checkpoint();
    absl::MutexLock lock(&mu_);
    requested_ = false;
  }
}

void Checkpointer::Checkpoint() {
  for (int round = 0; round < kMaxRounds; ++round) {
    const absl::StatusOr<int> left = database_->Checkpoint(Database::CheckpointMode::kPassive);
    if (!left.ok()) {
      // Harmless: the write-ahead log stays, and the next request tries again.
      Log(Severity::kWarning, "checkpoint failed", {{"error", left.status().ToString()}});
      return;
    }
    if (*left <= kFewPages) return;
  }
}

}  // namespace hookgate
