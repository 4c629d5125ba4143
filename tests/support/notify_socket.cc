#include "tests/support/notify_socket.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

constexpr int kPatienceMs = 30'000;

}  // namespace

NotifySocket::NotifySocket(Kind kind) {
  char folder[] = "/tmp/hookgate_notify_XXXXXX";
  EXPECT_NE(mkdtemp(folder), nullptr);
  folder_ = folder;
  // The folder's name is nobody else's, so that an abstract one that is made of it is not, either.
  name_ = absl::StrCat(kind == kAbstract ? "@" : "", folder_, "/socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name_.data(), name_.size());
  if (kind == kAbstract) address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size() +
                                           (kind == kPath ? 1 : 0));
  fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), size), 0)
      << std::strerror(errno);
}

NotifySocket::~NotifySocket() {
  close(fd_);
  unlink(absl::StrCat(folder_, "/socket").c_str());
  rmdir(folder_.c_str());
}

std::string NotifySocket::Next() {
  pollfd readable = {.fd = fd_, .events = POLLIN, .revents = 0};
  if (poll(&readable, 1, kPatienceMs) != 1) {
    ADD_FAILURE() << "the service manager was told nothing";
    return "";
  }
  char message[4096];
  const ssize_t size = recv(fd_, message, sizeof(message), 0);
  return std::string(message, size < 0 ? 0 : static_cast<size_t>(size));
}

}  // namespace hookgate
