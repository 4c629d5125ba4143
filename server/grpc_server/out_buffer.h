// Bytes on their way to a socket: short ones copied, long messages by reference, in the order in
// which they were added. Not thread-safe.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_OUT_BUFFER_H_
#define HOOKGATE_SERVER_GRPC_SERVER_OUT_BUFFER_H_

#include <sys/uio.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/grpc_server/call.h"

namespace hookgate {

class OutBuffer {
 public:
  // Below, copying is cheaper than one more piece for the kernel to gather.
  static constexpr size_t kCopied = 512;

  void Add(absl::string_view bytes);
  // Adds `size` bytes that are not known yet; FillGap needs what it returns.
  size_t AddGap(size_t size);
  // Before anything of the gap has been sent.
  void FillGap(size_t gap, absl::string_view bytes);
  // `bytes` are a part of `message`.
  void AddShared(const Message& message, absl::string_view bytes);

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The first pieces, as many as `pieces` has room for; returns how many. Valid until it changes.
  size_t Gather(absl::Span<iovec> pieces) const;
  // Copies the first bytes to `to`; returns how many.
  size_t Copy(char* to, size_t max_bytes) const;
  // The first `count` bytes have been sent.
  void Sent(size_t count);

  // Nothing is left, and memory that a rest would keep is given back.
  void Reset();

 private:
  struct Piece {
    Message message;     // null: the bytes are in copied_
    size_t offset = 0;   // in copied_
    const char* shared;  // in *message
    size_t size = 0;
  };
  const char* BytesOf(const Piece& piece) const {
    return piece.message == nullptr ? copied_.data() + piece.offset : piece.shared;
  }

  std::string copied_;
  std::vector<Piece> pieces_;
  size_t first_ = 0;       // of pieces_ that has bytes to be sent
  size_t first_sent_ = 0;  // how many bytes of it have been
  size_t size_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_OUT_BUFFER_H_
