#include "server/base/wake_batch.h"

#include <algorithm>

namespace hookgate {
namespace {

thread_local WakeBatch* current = nullptr;  // the outermost one of the thread

}  // namespace

WakeBatch::WakeBatch() {
  if (current == nullptr) current = this;
}

WakeBatch::~WakeBatch() {
  if (current != this) return;
  current = nullptr;
  for (const auto& target : targets_) target->WakeNow();
}

bool WakeBatch::Add(const std::shared_ptr<Target>& target) {
  if (current == nullptr) return false;
  auto& targets = current->targets_;
  if (std::find(targets.begin(), targets.end(), target) == targets.end()) {
    targets.push_back(target);
  }
  return true;
}

}  // namespace hookgate
