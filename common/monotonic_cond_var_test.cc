#include "common/monotonic_cond_var.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace hookgate {
namespace {

class MonotonicCondVarTest : public testing::Test {
 protected:
  absl::Mutex mu_;
  MonotonicCondVar changed_;
  bool ready_ ABSL_GUARDED_BY(mu_) = false;
};

TEST_F(MonotonicCondVarTest, SignalEndsEveryWait) {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      absl::MutexLock lock(&mu_);
      while (!ready_) {
        if (i % 2 == 0) {
          changed_.Wait(&mu_);
        } else {
          changed_.WaitWithTimeout(&mu_, absl::InfiniteDuration());
        }
      }
    });
  }
  {
    absl::MutexLock lock(&mu_);
    ready_ = true;
    changed_.SignalAll();
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(MonotonicCondVarTest, GivesUpAfterTheTimeout) {
  absl::MutexLock lock(&mu_);
  changed_.WaitWithTimeout(&mu_, absl::Milliseconds(1));
  changed_.WaitWithTimeout(&mu_, absl::ZeroDuration());
  changed_.WaitWithTimeout(&mu_, -absl::Seconds(1));
  mu_.AssertHeld();
}

}  // namespace
}  // namespace hookgate
