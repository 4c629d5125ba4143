#include "server/base/standard_descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace hookgate {
namespace {

// In a process of its own, since it takes away this one's. 0 if all is as it should be.
int WithoutDescriptors(const std::vector<int>& closed) {
  const pid_t pid = fork();
  if (pid == 0) {
    for (const int fd : closed) close(fd);
    ReserveStandardDescriptors();
    const int other = open("/dev/zero", O_RDWR);
    if (other <= STDERR_FILENO) _exit(1);
    for (const int fd : closed) {
      char byte = 'x';
      const ssize_t count = fd == STDIN_FILENO ? read(fd, &byte, 1) : write(fd, &byte, 1);
      if (count != -1 || errno != EBADF) _exit(2 + fd);
    }
    _exit(0);
  }
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Started without standard output and error, a gateway had its data files under their numbers, and
// wrote log lines into them.
TEST(StandardDescriptorsTest, NothingElseGetsTheirNumbers) {
  for (int which = 0; which < 8; ++which) {
    std::vector<int> closed;
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      if ((which >> fd & 1) != 0) closed.push_back(fd);
    }
    EXPECT_EQ(WithoutDescriptors(closed), 0) << which;
  }
}

TEST(StandardDescriptorsTest, ThoseThatAreThereStay) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ReserveStandardDescriptors();
  const int next = open("/dev/null", O_RDONLY);
  EXPECT_EQ(next, ends[1] + 1);
}

}  // namespace
}  // namespace hookgate
