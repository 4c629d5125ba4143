#include "server/eventlog/checkpointer.h"

#include <utility>

#include "server/base/logging.h"

namespace hookgate {

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

void Checkpointer::Run() {
  const auto has_work = [this]()
                            ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return requested_ || stopping_; };
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&has_work));
      if (stopping_) return;
      requested_ = false;
    }
    // Failing is harmless: the write-ahead log stays, and the next request tries again.
    const absl::Status status = database_->Checkpoint(Database::CheckpointMode::kPassive);
    if (!status.ok()) {
      Log(Severity::kWarning, "checkpoint failed", {{"error", status.ToString()}});
    }
  }
}

}  // namespace hookgate
