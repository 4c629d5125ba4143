// A file descriptor as the end of a std::ostream that remembers why a write failed.
#ifndef HOOKGATE_CLIENT_CLI_FD_OUTPUT_H_
#define HOOKGATE_CLIENT_CLI_FD_OUTPUT_H_

#include <array>
#include <streambuf>

namespace hookgate::cli {

// Writes when flushed or full. Not thread-safe.
class FdOutput final : public std::streambuf {
 public:
  // `fd` stays the caller's.
  explicit FdOutput(int fd) : fd_(fd) { setp(buffer_.data(), buffer_.data() + buffer_.size()); }

  // The errno of the first write that failed, or 0. What is written after that is dropped.
  int error() const { return error_; }

 private:
  int_type overflow(int_type next) override;
  int sync() override;

  const int fd_;
  int error_ = 0;
  std::array<char, 64 << 10> buffer_;
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_FD_OUTPUT_H_
