#include "server/base/log_output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hookgate {
namespace {

using testing::ElementsAre;

// A pipe that holds a page, and lines that are about as long.
class LogOutputTest : public testing::Test {
 protected:
  LogOutputTest() {
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    EXPECT_GT(fcntl(ends_[1], F_SETPIPE_SZ, 4096), 0);
    output_ = std::make_unique<LogOutput>(
        ends_[1], [](int64_t lines) { return absl::StrCat("lost ", lines); });
  }
  ~LogOutputTest() override { close(ends_[0]); }

  // All that is written until the output is gone, by lines.
  std::vector<std::string> ReadToTheEnd() {
    std::thread end([this] {
      output_.reset();
      close(ends_[1]);
    });
    std::string all;
    char buffer[4096];
    for (ssize_t count = 0; (count = read(ends_[0], buffer, sizeof(buffer))) != 0;) {
      if (count > 0) all.append(buffer, static_cast<size_t>(count));
    }
    end.join();
    std::vector<std::string> lines = absl::StrSplit(all, '\n', absl::SkipEmpty());
    return lines;
  }

  int ends_[2];
  std::unique_ptr<LogOutput> output_;
};

TEST_F(LogOutputTest, LinesAreWrittenInOrder) {
  for (const char* line : {"a", "b", "c"}) output_->Write(line);
  EXPECT_TRUE(output_->Flush(absl::InfiniteDuration()));
  EXPECT_THAT(ReadToTheEnd(), ElementsAre("a", "b", "c"));
}

// A reader of standard error that stopped reading stopped every thread that had something to log,
// those that answer webhooks first.
TEST_F(LogOutputTest, ReaderThatStopsKeepsNobodyWaiting) {
  const std::string line(1000, 'x');
  const size_t count = 3 * LogOutput::kMaxQueuedBytes / line.size();
  for (size_t i = 0; i < count; ++i) output_->Write(line);  // Comes back each time.
  EXPECT_FALSE(output_->Flush(absl::ZeroDuration()));
  const std::vector<std::string> lines = ReadToTheEnd();
  ASSERT_GT(lines.size(), 2u);
  // All of them are there, or counted.
  EXPECT_EQ(lines.back(), absl::StrCat("lost ", count - (lines.size() - 1)));
  EXPECT_GE(lines.size() * (line.size() + 1), LogOutput::kMaxQueuedBytes - line.size());
}

TEST_F(LogOutputTest, WhatWasLostIsSaidWhereItWas) {
  const std::string line(1000, 'x');
  const size_t count = 3 * LogOutput::kMaxQueuedBytes / line.size();
  for (size_t i = 0; i < count; ++i) output_->Write(line);
  // What is read has left the queue.
  std::vector<char> some(20 * 4096);
  for (size_t done = 0; done < some.size();) {
    const ssize_t more = read(ends_[0], some.data() + done, some.size() - done);
    ASSERT_GT(more, 0);
    done += static_cast<size_t>(more);
  }
  output_->Write("afterwards");
  const std::vector<std::string> lines = ReadToTheEnd();
  ASSERT_GT(lines.size(), 2u);
  EXPECT_THAT(lines[lines.size() - 2], testing::StartsWith("lost "));
  EXPECT_EQ(lines.back(), "afterwards");
}

// A parent that does not want to wait for its own end of a pipe sets that for everybody who has it.
TEST_F(LogOutputTest, DescriptorThatDoesNotWaitLosesNothing) {
  ASSERT_EQ(fcntl(ends_[1], F_SETFL, O_NONBLOCK), 0);
  const std::string line(3000, 'x');
  for (int i = 0; i < 100; ++i) output_->Write(line);
  EXPECT_EQ(ReadToTheEnd(), std::vector<std::string>(100, line));
}

TEST_F(LogOutputTest, WithoutAReaderLinesAreDropped) {
  close(ends_[0]);
  signal(SIGPIPE, SIG_IGN);
  output_->Write("a");
  EXPECT_TRUE(output_->Flush(absl::InfiniteDuration()));
  output_.reset();
  close(ends_[1]);
  ends_[0] = -1;
}

}  // namespace
}  // namespace hookgate
