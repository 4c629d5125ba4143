// Real programs whose standard streams are closed, or read by nobody.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"
#include "tests/support/secret_watch.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

constexpr int kPatienceMs = 30'000;

// A hookgated that a shell starts, with its standard error in a pipe of a page, of which the test
// has the end for reading.
class StandardStreamsTest : public testing::Test {
 protected:
  ~StandardStreamsTest() override {
    if (pid_ != 0) {
      kill(pid_, SIGKILL);
      WaitForProgram(pid_);
    }
    close(err_);
  }

  //   limits        what the shell does before, such as "ulimit -f 1000; "
  //   redirections  such as "<&-"
  void Start(const std::string& limits, const std::string& redirections) {
    int out[2];
    int err[2];
    ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(err, O_CLOEXEC), 0);
    err_ = err[0];
    ASSERT_GT(fcntl(err[1], F_SETPIPE_SZ, 4096), 0);
    const std::string script = absl::StrCat(limits, "exec \"$0\" \"$@\" ", redirections);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(err[1], STDERR_FILENO);
      setenv("OPENAI_WEBHOOK_SECRET", kTestSecret, 1);
      const std::string data_dir = absl::StrCat("--data_dir=", folder_);
      const std::string program = PathOfProgram(kHookgated);
      execl("/bin/sh", "sh", "-c", script.c_str(), program.c_str(), "--http_address=127.0.0.1:0",
            "--grpc_address=127.0.0.1:0", "--admin_address=127.0.0.1:0", "--log_level=debug",
            data_dir.c_str(), nullptr);
      _exit(127);
    }
    close(out[1]);
    close(err[1]);
    std::string ready;
    pollfd readable = {out[0], POLLIN, 0};
    char byte = 0;
    while (poll(&readable, 1, kPatienceMs) > 0 && read(out[0], &byte, 1) == 1 && byte != '\n') {
      ready += byte;
    }
    close(out[0]);
    for (const absl::string_view part : absl::StrSplit(ready, ' ')) {
      if (absl::StartsWith(part, "http=")) http_ = std::string(part.substr(5));
    }
    ASSERT_FALSE(http_.empty()) << ready;
  }

  // The status of the answer; 0: there was none.
  int Post(const std::string& request) {
    const std::optional<HttpReply> reply = Exchange(http_, request);
    return reply.has_value() ? reply->status : 0;
  }
  int PostSigned(const std::string& body = BatchFailedBody()) {
    SignedWebhook webhook;
    webhook.body = body;
    return Post(webhook.Request());
  }
  int PostUnsigned() { return Post(WebhookRequest("openai", {}, "{}")); }

  int End() {
    kill(pid_, SIGTERM);
    const int exit_code = WaitForProgram(pid_);
    pid_ = 0;
    return exit_code;
  }

  const std::string folder_ = FreshTestFolder();
  pid_t pid_ = 0;
  int err_ = -1;
  std::string http_;
};

// A gateway that was started without standard input and error had a data file under the number of
// standard error, and wrote its log into it.
TEST_F(StandardStreamsTest, LogLinesAreNotWrittenIntoDataFiles) {
  Start("", "<&- 2>&-");
  EXPECT_EQ(PostUnsigned(), 401);
  EXPECT_EQ(PostSigned(), 200);
  EXPECT_EQ(End(), 0);
  EXPECT_EQ(ReadTestFile(folder_ + "/lock"), "");
  const ProgramOutcome verified =
      RunProgram(kHookgated, {absl::StrCat("--data_dir=", folder_), "--verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
}

// The reader of the log stopped reading, and the threads that answer webhooks stopped with it; the
// gateway could not even be ended.
TEST_F(StandardStreamsTest, LogThatNobodyReadsStopsNothing) {
  Start("", "");
  // Each of these is a line, of which the pipe holds some 20.
  for (int i = 0; i < 60; ++i) EXPECT_EQ(PostSigned(), 200);
  EXPECT_EQ(End(), 0);
}

// A limit of the size of files ended the gateway by a signal, without a word.
TEST_F(StandardStreamsTest, FileThatMayNotGrowIsAFullDisk) {
  Start("ulimit -f 1000; ", "2>/dev/null");
  const std::string large =
      absl::StrCat(R"({"id":"evt_1","object":"event","created_at":1,"type":"batch.failed",)",
                   R"("data":{"id":"batch_1"},"pad":")", std::string(100'000, 'x'), "\"}");
  int status = 200;
  for (int i = 0; i < 100 && status == 200; ++i) status = PostSigned(large);
  EXPECT_EQ(status, 503);
  EXPECT_EQ(PostUnsigned(), 401);
  EXPECT_EQ(End(), 0);
}

// The command had a file of gRPC's as its standard output then.
TEST(CommandStreamsTest, ClosedOutputIsAnError) {
  const std::string err_path = FreshTestFile("err");
  const std::string script = absl::StrCat("exec \"$0\" --version <&- >&- 2>", err_path);
  const pid_t pid = fork();
  if (pid == 0) {
    const std::string program = PathOfProgram(kHookgate);
    execl("/bin/sh", "sh", "-c", script.c_str(), program.c_str(), nullptr);
    _exit(127);
  }
  EXPECT_EQ(WaitForProgram(pid), 1);
  EXPECT_THAT(ReadTestFile(err_path), HasSubstr("cannot write the output: Bad file descriptor"));
}

}  // namespace
}  // namespace hookgate
