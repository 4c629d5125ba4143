#include "server/replication/overdue_calls.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "server/base/current_thread.h"

namespace hookgate {
namespace {

constexpr absl::Duration kLongestWait = absl::Minutes(1);

}  // namespace

OverdueCalls::OverdueCalls() : thread_([this] { Run(); }) {}

OverdueCalls::~OverdueCalls() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

int64_t OverdueCalls::Begin(SteadyTime due, std::function<void()> end) {
  absl::MutexLock lock(&mu_);
  calls_[++last_] = {due, std::move(end)};
  if (due < wakes_at_) changed_.SignalAll();
  return last_;
}

void OverdueCalls::End(int64_t id) {
  absl::MutexLock lock(&mu_);
  calls_.erase(id);
}

void OverdueCalls::Run() {
  NameThread("overdue_calls");
  while (true) {
    std::vector<std::function<void()>> overdue;
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) return;
      wakes_at_ = SteadyDeadline(kLongestWait);
      for (auto& [id, call] : calls_) {
        if (call.end == nullptr) continue;
        if (TimeLeft(call.due) == absl::ZeroDuration()) {
          overdue.push_back(std::exchange(call.end, nullptr));
        } else {
          wakes_at_ = std::min(wakes_at_, call.due);
        }
      }
      if (overdue.empty()) changed_.WaitWithTimeout(&mu_, TimeLeft(wakes_at_));
    }
    for (const std::function<void()>& end : overdue) end();
  }
}

}  // namespace hookgate
