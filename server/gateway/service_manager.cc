#include "server/gateway/service_manager.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

// A manager that does not read must not hold the gateway up: its start is not finished before it
// has told that it is ready, and its end waits for the next message.
constexpr timeval kSendTimeout = {.tv_sec = 2, .tv_usec = 0};

struct Address {
  sockaddr_un name = {};
  socklen_t size = 0;
};

// False if `socket` is neither an absolute path nor an abstract name, or too long for either.
bool MakeAddress(absl::string_view socket, Address& address) {
  if (socket.size() < 2 || (socket[0] != '/' && socket[0] != '@')) return false;
  if (socket.size() >= sizeof(address.name.sun_path)) return false;
  address.name.sun_family = AF_UNIX;
  std::memcpy(address.name.sun_path, socket.data(), socket.size());
  if (socket[0] == '@') address.name.sun_path[0] = '\0';
  // An abstract name ends where the address does, and a path at its 0.
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size() +
                                        (socket[0] == '/' ? 1 : 0));
  return true;
}

// 0, or the errno of what failed.
int Send(const Address& address, absl::string_view message) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof(kSendTimeout));
  const ssize_t sent = sendto(fd, message.data(), message.size(), MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&address.name), address.size);
  const int error = sent < 0 ? errno : 0;
  close(fd);
  return error;
}

// By the clock that systemd compares it with, to tell this reload from one before.
int64_t MonotonicMicroseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

void ServiceManager::TellReady(absl::string_view status) const {
  // A line more would be an assignment more.
  Tell(absl::StrCat("READY=1\nSTATUS=", absl::StrReplaceAll(status, {{"\n", " "}}), "\n"));
}

void ServiceManager::TellReloading() const {
  Tell(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=", MonotonicMicroseconds(),
                    "\nSTATUS=Reading the config again\n"));
}

void ServiceManager::TellStopping() const { Tell("STOPPING=1\nSTATUS=Shutting down\n"); }

void ServiceManager::Tell(absl::string_view assignments) const {
  if (socket_.empty()) return;
  Address address;
  absl::string_view why = "is neither the path of a socket nor @ and a name, of at most 107 bytes";
  if (MakeAddress(socket_, address)) {
    const int error = Send(address, assignments);
    if (error == 0) return;
    why = std::strerror(error);
  }
  Log(Severity::kWarning, "the service manager cannot be told what hookgated does",
      {{"NOTIFY_SOCKET", socket_}, {"error", why}});
}

}  // namespace hookgate
