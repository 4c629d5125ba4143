#include "server/grpc_server/message_reader.h"

#include <algorithm>
#include <utility>

namespace hookgate {
namespace {

// Of an empty buffer.
constexpr size_t kKeptBytes = 256;

}  // namespace

void MessageReader::Add(absl::string_view bytes) {
  // A peer that is always ahead leaves something waiting each time: what has been taken must go, or
  // it stays for as long as the call. Half of it at least, so that moving the rest costs little.
  if (start_ > 0 && start_ >= waiting_.size() - start_) {
    waiting_.erase(0, start_);
    start_ = 0;
  }
  waiting_.append(bytes.data(), bytes.size());
}

MessageReader::Result MessageReader::Next(size_t max_bytes, std::string& message, size_t& used) {
  const size_t more = std::min(kPrefixBytes - prefix_bytes_, Waiting().size());
  std::copy_n(Waiting().begin(), more, prefix_.begin() + static_cast<ptrdiff_t>(prefix_bytes_));
  prefix_bytes_ += more;
  Use(more, used);
  if (prefix_bytes_ < kPrefixBytes) return Result::kIncomplete;
  if (prefix_[0] > 1) return Result::kMalformed;
  if (prefix_[0] == 1) return Result::kCompressed;
  const size_t length = size_t{prefix_[1]} << 24 | size_t{prefix_[2]} << 16 |
                        size_t{prefix_[3]} << 8 | size_t{prefix_[4]};
  if (length > max_bytes) return Result::kTooLarge;
  const size_t missing = std::min(length - message_.size(), Waiting().size());
  // What is only announced takes no memory.
  Reserve(length, message_.size() + missing);
  message_.append(Waiting().data(), missing);
  Use(missing, used);
  if (message_.size() < length) return Result::kIncomplete;
  message = std::exchange(message_, std::string());
  prefix_bytes_ = 0;
  return Result::kMessage;
}

void MessageReader::Use(size_t count, size_t& used) {
  used += count;
  start_ += count;
  if (start_ < waiting_.size()) return;
  // There may be thousands of readers that wait for more.
  if (waiting_.capacity() > kKeptBytes) std::string().swap(waiting_);
  waiting_.clear();
  start_ = 0;
}

// A string that grows takes twice as much. What this one takes is what its owner counts, and little
// more.
void MessageReader::Reserve(size_t length, size_t bytes) {
  if (bytes <= message_.capacity()) return;
  std::string larger;
  larger.reserve(std::min(length, bytes + bytes / 4));
  larger.append(message_);
  message_ = std::move(larger);
}

}  // namespace hookgate
