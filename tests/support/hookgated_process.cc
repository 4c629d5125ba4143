#include "tests/support/hookgated_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/program.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

constexpr int kPatienceMs = 30'000;

// A line of `fd`, without its end; what there is at the end of the stream or of patience.
std::string ReadLine(int fd) {
  std::string line;
  pollfd readable = {.fd = fd, .events = POLLIN, .revents = 0};
  while (poll(&readable, 1, kPatienceMs) > 0) {
    char c = 0;
    if (read(fd, &c, 1) != 1 || c == '\n') break;
    line += c;
  }
  return line;
}

}  // namespace

std::unique_ptr<HookgatedProcess> HookgatedProcess::Start(
    const std::string& data_dir, const std::vector<std::string>& flags,
    const std::vector<std::string>& environment, int max_files, const std::string& program) {
  std::vector<std::string> all = {"--http_address=127.0.0.1:0", "--grpc_address=127.0.0.1:0",
                                  "--admin_address=127.0.0.1:0",
                                  absl::StrCat("--data_dir=", data_dir)};
  all.insert(all.end(), flags.begin(), flags.end());
  std::vector<std::string> variables = {absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)};
  variables.insert(variables.end(), environment.begin(), environment.end());
  const std::string log_path = FreshTestFile("hookgated_log");
  int out[2];
  EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
  const pid_t pid = StartProgram(program, all, variables, "/dev/null", out[1], log_path, max_files);
  close(out[1]);
  auto process = absl::WrapUnique(new HookgatedProcess(pid, out[0], log_path));
  const std::string ready = ReadLine(out[0]);
  process->printed_ = ready;
  process->command_line_ = process->CommandLine();
  for (absl::string_view part : absl::StrSplit(ready, ' ')) {
    const std::pair<std::string, std::string> field = absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (field.first == "http") process->http_ = field.second;
    if (field.first == "grpc") process->grpc_ = field.second;
    if (field.first == "admin") process->admin_ = field.second;
  }
  EXPECT_FALSE(process->admin_.empty()) << "not ready: \"" << ready << "\"\n" << process->log();
  return process;
}

HookgatedProcess::~HookgatedProcess() {
  if (pid_ != 0) Kill();
  close(out_);
}

void HookgatedProcess::Signal(int signal) {
  if (pid_ != 0) kill(pid_, signal);
}

int HookgatedProcess::WaitForExit() {
  const int exit_code = WaitForProgram(pid_);
  pid_ = 0;
  char more[4096];
  ssize_t count = 0;
  while ((count = read(out_, more, sizeof(more))) > 0) {
    printed_.append(more, static_cast<size_t>(count));
  }
  ExpectNothingDisclosed(SecretWatch::kLog, "hookgated's standard output", printed_);
  ExpectNothingDisclosed(SecretWatch::kLog, "hookgated's log", log());
  ExpectNothingDisclosed(SecretWatch::kLog, "hookgated's command line", command_line_);
  return exit_code;
}

void HookgatedProcess::Kill() {
  command_line_ += CommandLine();
  Signal(SIGKILL);
  WaitForExit();
}

std::string HookgatedProcess::CommandLine() const {
  return ReadTestFile(absl::StrCat("/proc/", pid_, "/cmdline"));
}

std::string HookgatedProcess::log() const { return ReadTestFile(log_path_); }

}  // namespace hookgate
