#include "server/base/memory_releaser.h"

#include "absl/time/time.h"
#include "server/base/current_thread.h"

// Of gperftools' malloc_extension_c.h. Weak: a test is linked without them.
extern "C" {
int MallocExtension_GetNumericProperty(const char* property, size_t* value) __attribute__((weak));
void MallocExtension_ReleaseToSystem(size_t bytes) __attribute__((weak));
}

namespace hookgate {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);

}  // namespace

MemoryReleaser::MemoryReleaser() {
  if (MallocExtension_GetNumericProperty == nullptr || MallocExtension_ReleaseToSystem == nullptr) {
    return;
  }
  thread_ = std::thread([this] { Run(); });
}

MemoryReleaser::~MemoryReleaser() {
  {
    MonotonicMutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void MemoryReleaser::Run() {
  NameThread("memory");
  const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; };
  ReleasePlan plan;
  while (true) {
    {
      MonotonicMutexLock lock(&mu_);
      if (mu_.AwaitWithTimeout(stopping, kInterval)) return;
    }
    size_t free_bytes = 0;
    if (MallocExtension_GetNumericProperty("tcmalloc.pageheap_free_bytes", &free_bytes) == 0) {
      return;
    }
    const size_t released = plan.Next(free_bytes);
    if (released > 0) MallocExtension_ReleaseToSystem(released);
  }
}

}  // namespace hookgate
