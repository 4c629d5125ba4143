// What one page of a list may hold, whatever its page size: a gRPC client takes 4 MiB by default.
#ifndef HOOKGATE_SERVER_RPC_PAGE_BYTES_H_
#define HOOKGATE_SERVER_RPC_PAGE_BYTES_H_

#include <cstddef>

namespace hookgate {

class PageBytes {
 public:
  static constexpr size_t kMax = 1 << 20;

  // Whether `entry` still fits, and counts it if so. The first one always does: an entry that is
  // larger than a page must not stop the list.
  template <typename Message>
  bool Take(const Message& entry) {
    const size_t bytes = entry.ByteSizeLong();
    if (taken_ > 0 && taken_ + bytes > kMax) return false;
    taken_ += bytes;
    return true;
  }

 private:
  size_t taken_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_PAGE_BYTES_H_
