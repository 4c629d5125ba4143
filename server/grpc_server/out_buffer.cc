#include "server/grpc_server/out_buffer.h"

#include <algorithm>
#include <cstring>

namespace hookgate {
namespace {

// What an empty buffer keeps for the next time.
constexpr size_t kKeptBytes = 64 << 10;
constexpr size_t kKeptPieces = 1024;

}  // namespace

void OutBuffer::Add(absl::string_view bytes) {
  if (bytes.empty()) return;
  size_ += bytes.size();
  // Bytes that lie behind those of the last piece prolong it.
  if (pieces_.empty() || pieces_.back().message != nullptr) {
    pieces_.push_back({nullptr, copied_.size(), nullptr, 0});
  }
  copied_.append(bytes.data(), bytes.size());
  pieces_.back().size += bytes.size();
}

size_t OutBuffer::AddGap(size_t size) {
  const size_t gap = copied_.size();
  Add(std::string(size, '\0'));
  return gap;
}

void OutBuffer::FillGap(size_t gap, absl::string_view bytes) {
  std::memcpy(copied_.data() + gap, bytes.data(), bytes.size());
}

void OutBuffer::AddShared(const Message& message, absl::string_view bytes) {
  if (bytes.size() < kCopied) return Add(bytes);
  size_ += bytes.size();
  pieces_.push_back({message, 0, bytes.data(), bytes.size()});
}

size_t OutBuffer::Gather(absl::Span<iovec> pieces) const {
  size_t count = 0;
  size_t skipped = first_sent_;
  for (size_t i = first_; i < pieces_.size() && count < pieces.size(); ++i) {
    const Piece& piece = pieces_[i];
    pieces[count++] = {const_cast<char*>(BytesOf(piece)) + skipped, piece.size - skipped};
    skipped = 0;
  }
  return count;
}

size_t OutBuffer::Copy(char* to, size_t max_bytes) const {
  size_t copied = 0;
  size_t skipped = first_sent_;
  for (size_t i = first_; i < pieces_.size() && copied < max_bytes; ++i) {
    const Piece& piece = pieces_[i];
    const size_t count = std::min(piece.size - skipped, max_bytes - copied);
    std::memcpy(to + copied, BytesOf(piece) + skipped, count);
    copied += count;
    skipped = 0;
  }
  return copied;
}

void OutBuffer::Sent(size_t count) {
  size_ -= count;
  if (size_ == 0) return Reset();
  while (count >= pieces_[first_].size - first_sent_) {
    count -= pieces_[first_].size - first_sent_;
    pieces_[first_].message = nullptr;  // Others may wait for its memory.
    ++first_;
    first_sent_ = 0;
  }
  first_sent_ += count;
}

void OutBuffer::Reset() {
  copied_.clear();
  pieces_.clear();
  if (copied_.capacity() > kKeptBytes) std::string().swap(copied_);
  if (pieces_.capacity() > kKeptPieces) std::vector<Piece>().swap(pieces_);
  first_ = 0;
  first_sent_ = 0;
  size_ = 0;
}

}  // namespace hookgate
