#include "server/base/standard_descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace hookgate {

void ReserveStandardDescriptors() {
  // In this order, because open() returns the lowest free descriptor.
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // Opened for the direction in which it is not used. If /dev/null is missing, it stays closed.
    const int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (open("/dev/null", flags) < 0) return;
  }
}

}  // namespace hookgate
