#include "client/cli/fd_output.h"

#include <unistd.h>

#include <cerrno>

namespace hookgate::cli {

FdOutput::int_type FdOutput::overflow(int_type next) {
  if (sync() != 0) return traits_type::eof();
  if (traits_type::eq_int_type(next, traits_type::eof())) return traits_type::not_eof(next);
  return sputc(traits_type::to_char_type(next));
}

int FdOutput::sync() {
  const char* begin = pbase();
  while (error_ == 0 && begin < pptr()) {
    const ssize_t written = write(fd_, begin, static_cast<size_t>(pptr() - begin));
    if (written >= 0) {
      begin += written;
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  return error_ == 0 ? 0 : -1;
}

}  // namespace hookgate::cli
