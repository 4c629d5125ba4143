// How many entries a page of a list has.
#ifndef HOOKGATE_SERVER_RPC_PAGE_SIZE_H_
#define HOOKGATE_SERVER_RPC_PAGE_SIZE_H_

#include <algorithm>

#include "absl/status/statusor.h"
#include "server/base/status.h"

namespace hookgate {

inline constexpr int kDefaultPageSize = 50;
inline constexpr int kMaxPageSize = 1000;

// INVALID_ARGUMENT invalid_request if `requested` is negative.
inline absl::StatusOr<int> PageSizeOf(int requested) {
  if (requested < 0) return InvalidField("page_size", "is negative; 0 is the default");
  return requested == 0 ? kDefaultPageSize : std::min(requested, kMaxPageSize);
}

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_PAGE_SIZE_H_
