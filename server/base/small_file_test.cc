#include "server/base/small_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string FreshPath() {
  static int last = 0;
  return absl::StrCat(testing::TempDir(), "/small_file.", getpid(), ".", ++last);
}

TEST(SmallFileTest, WholeContentUpToTheLimit) {
  const std::string path = FreshPath();
  const std::string content = std::string(40'000, 'x') + std::string("\0end\n", 5);
  std::ofstream(path) << content;
  EXPECT_EQ(*ReadSmallFile(path, content.size()), content);
  const absl::Status larger = ReadSmallFile(path, content.size() - 1).status();
  EXPECT_TRUE(absl::IsInvalidArgument(larger));
  EXPECT_EQ(larger.message(), absl::StrCat(path, " is larger than 40004 bytes"));
}

TEST(SmallFileTest, WhatCannotBeReadSaysWhy) {
  const std::string nowhere = FreshPath();
  EXPECT_EQ(ReadSmallFile(nowhere, 10).status(),
            absl::NotFoundError(nowhere + " cannot be read: No such file or directory"));
  EXPECT_THAT(std::string(ReadSmallFile(testing::TempDir(), 10).status().message()),
              HasSubstr("Is a directory"));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadSmallFile("/dev/zero", 10).status()));
  EXPECT_EQ(*ReadSmallFile("/dev/null", 10), "");
}

// A named pipe as a secret's file held up a start, and a reload with it each signal that came
// after, for ever.
TEST(SmallFileTest, PipeWithoutAWriterEndsTheWaiting) {
  const std::string path = FreshPath();
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const absl::Status late = ReadSmallFile(path, 10, absl::Milliseconds(1)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(late));
  EXPECT_THAT(std::string(late.message()), AllOf(HasSubstr(path), HasSubstr("pipe")));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::string open_end = absl::StrCat("/dev/fd/", ends[0]);
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(ReadSmallFile(open_end, 10, absl::Milliseconds(1)).status()));
}

// Each of a config's files could take ten seconds, one after another, in which hookgated could not
// be ended.
TEST(SmallFileTest, PipesOfOneReaderShareItsPatience) {
  const std::string path = absl::StrCat(testing::TempDir(), "/shared_", getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  {
    const PatienceForAll patience(absl::Milliseconds(50));
    const absl::Time begin = absl::Now();
    for (int i = 0; i < 20; ++i) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(ReadSmallFile(path, 10, absl::Hours(1)).status()));
    }
    EXPECT_GE(absl::Now() - begin, absl::Milliseconds(50));
    // What is there at once needs no patience.
    const std::string plain = absl::StrCat(testing::TempDir(), "/plain_", getpid());
    std::ofstream(plain) << "here";
    EXPECT_EQ(*ReadSmallFile(plain, 10), "here");
  }
  int asked = 0;
  const PatienceForAll patience(absl::Hours(1), [&asked] { return ++asked >= 2; });
  EXPECT_TRUE(absl::IsCancelled(ReadSmallFile(path, 10, absl::Hours(1)).status()));
  unlink(path.c_str());
}

TEST(SmallFileTest, PipeIsReadUntilItsWriterEnds) {
  const std::string path = FreshPath();
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&path] { std::ofstream(path) << "first" << std::flush << " second"; });
  EXPECT_EQ(*ReadSmallFile(path, 100, absl::InfiniteDuration()), "first second");
  writer.join();
}

// A secret that was put where its path belongs stood in the log.
TEST(SmallFileTest, SecretInPlaceOfAPathIsNotRepeated) {
  for (const char* const secret :
       {"whsec_MDEyMzQ1Njc4OWFiY2RlZg==", "s3cr3ts3cr3ts3cr3t", "-----BEGIN PRIVATE KEY-----",
        "MIIEvQ/IBADANBgkqhki\nG9w0BAQEFAASC"}) {
    const absl::Status status = ReadSmallFile(secret, 100).status();
    EXPECT_THAT(std::string(status.message()),
                AllOf(Not(HasSubstr(secret)), HasSubstr("path of a file")));
  }
  for (const char* const path :
       {"secret", "openai.secret", "/etc/hookgate/openai_webhook_secret"}) {
    EXPECT_EQ(ShownPath(path), path);
  }
}

}  // namespace
}  // namespace hookgate
