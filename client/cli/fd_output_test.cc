#include "client/cli/fd_output.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <ostream>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

class FdOutputTest : public ::testing::Test {
 protected:
  FdOutputTest() {
    signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(pipe2(pipe_, O_CLOEXEC), 0);
  }
  ~FdOutputTest() override { CloseBoth(); }

  void CloseBoth() {
    for (int& fd : pipe_) {
      if (fd >= 0) close(fd);
      fd = -1;
    }
  }

  // All that comes until the writing end is closed.
  std::string ReadAll() {
    std::string all;
    char bytes[4096];
    ssize_t length;
    while ((length = read(pipe_[0], bytes, sizeof(bytes))) > 0) {
      all.append(bytes, static_cast<size_t>(length));
    }
    return all;
  }

  int pipe_[2] = {-1, -1};
};

TEST_F(FdOutputTest, WritesWhenFlushed) {
  FdOutput output(pipe_[1]);
  std::ostream out(&output);
  out << "one " << 2;
  fcntl(pipe_[0], F_SETFL, O_NONBLOCK);
  EXPECT_EQ(ReadAll(), "");
  out.flush();
  EXPECT_TRUE(out.good());
  EXPECT_EQ(ReadAll(), "one 2");
}

TEST_F(FdOutputTest, WritesMoreThanItHolds) {
  const std::string much(300'000, 'x');
  std::string received;
  std::thread reader([&] { received = ReadAll(); });
  {
    FdOutput output(pipe_[1]);
    std::ostream out(&output);
    out << much << "y";
    out.flush();
    EXPECT_TRUE(out.good());
    close(pipe_[1]);
    pipe_[1] = -1;
  }
  reader.join();
  EXPECT_EQ(received, much + "y");
}

TEST_F(FdOutputTest, RemembersThatTheReaderIsGone) {
  FdOutput output(pipe_[1]);
  std::ostream out(&output);
  close(pipe_[0]);
  pipe_[0] = -1;
  out << "x";
  EXPECT_EQ(output.error(), 0);
  out.flush();
  EXPECT_FALSE(out.good());
  EXPECT_EQ(output.error(), EPIPE);
}

TEST_F(FdOutputTest, RemembersAFullDisk) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) GTEST_SKIP() << "no /dev/full here";
  FdOutput output(full);
  std::ostream out(&output);
  out << "x" << std::flush;
  EXPECT_EQ(output.error(), ENOSPC);
  close(full);
}

}  // namespace
}  // namespace hookgate::cli
