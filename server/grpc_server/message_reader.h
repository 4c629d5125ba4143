// Takes gRPC's messages out of the bytes of a call ("Length-Prefixed-Message" in
// PROTOCOL-HTTP2.md): one byte that says whether the message is compressed, four of its length, the
// message. By need: what has come is put together only when somebody asks for a message. Pure.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_MESSAGE_READER_H_
#define HOOKGATE_SERVER_GRPC_SERVER_MESSAGE_READER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace hookgate {

class MessageReader {
 public:
  enum class Result {
    kMessage,     // `message` is one
    kIncomplete,  // more bytes have to come
    kTooLarge,    // the message announces more than max_bytes
    kCompressed,  // it says that it is compressed
    kMalformed,   // the first byte is neither 0 nor 1
  };

  static constexpr size_t kPrefixBytes = 5;

  // Keeps `bytes`, which follow those before.
  void Add(absl::string_view bytes);

  // Asks for the next message. Adds to `used` how many of the bytes that were waiting it has taken:
  // as many more may be let in. After an error it is not asked again.
  Result Next(size_t max_bytes, std::string& message, size_t& used);

  // All that it holds.
  size_t held_bytes() const { return waiting_.size() - start_ + message_.size() + prefix_bytes_; }
  // The memory that it takes for it: at most a quarter more, and some hundred bytes.
  size_t allocated_bytes() const { return waiting_.capacity() + message_.capacity(); }
  // Whether a message has begun, or may have.
  bool empty() const { return held_bytes() == 0; }

 private:
  absl::string_view Waiting() const { return absl::string_view(waiting_).substr(start_); }
  void Use(size_t count, size_t& used);
  void Reserve(size_t length, size_t bytes);

  std::string waiting_;  // bytes that Next has not taken yet, from start_ on
  size_t start_ = 0;
  std::array<uint8_t, kPrefixBytes> prefix_ = {};  // of the message that is being put together
  size_t prefix_bytes_ = 0;
  std::string message_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_MESSAGE_READER_H_
