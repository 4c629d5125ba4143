#include "tests/support/hookgated_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/signed_webhook.h"
#include "tools/cpp/runfiles/runfiles.h"

namespace hookgate {
namespace {

using bazel::tools::cpp::runfiles::Runfiles;

constexpr int kPatienceMs = 30'000;

std::string BinaryPath() {
  std::string error;
  // Benchmarks are started by `bazel run`, which has no folder for tests.
  const std::unique_ptr<Runfiles> runfiles(
      std::getenv("TEST_SRCDIR") != nullptr
          ? Runfiles::CreateForTest(&error)
          : Runfiles::Create(std::filesystem::read_symlink("/proc/self/exe"), &error));
  EXPECT_NE(runfiles, nullptr) << error;
  return runfiles->Rlocation("hookgate/server/hookgated");
}

std::string FreshFile(const std::string& what) {
  static std::atomic<int> last = 0;
  return absl::StrCat(testing::TempDir(), "/", what, "_", getpid(), "_", ++last);
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Starts the binary with stdout on `out_fd` and stderr in the file `err_path`.
pid_t Spawn(const std::vector<std::string>& flags, std::vector<std::string> environment, int out_fd,
            const std::string& err_path) {
  std::vector<std::string> arguments = {BinaryPath()};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_path.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, arguments[0].c_str(), &actions, nullptr,
                                Pointers(arguments).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0) << arguments[0];
  return error == 0 ? pid : 0;
}

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

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::unique_ptr<HookgatedProcess> HookgatedProcess::Start(const std::string& data_dir,
                                                          const std::vector<std::string>& flags) {
  std::vector<std::string> all = {"--http_address=127.0.0.1:0", "--grpc_address=127.0.0.1:0",
                                  "--admin_address=127.0.0.1:0",
                                  absl::StrCat("--data_dir=", data_dir)};
  all.insert(all.end(), flags.begin(), flags.end());
  const std::string log_path = FreshFile("hookgated_log");
  int out[2];
  EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
  const pid_t pid =
      Spawn(all, {absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)}, out[1], log_path);
  close(out[1]);
  auto process = absl::WrapUnique(new HookgatedProcess(pid, log_path));
  const std::string ready = ReadLine(out[0]);
  close(out[0]);
  for (absl::string_view part : absl::StrSplit(ready, ' ')) {
    const std::pair<std::string, std::string> field = absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (field.first == "http") process->http_ = field.second;
    if (field.first == "grpc") process->grpc_ = field.second;
    if (field.first == "admin") process->admin_ = field.second;
  }
  EXPECT_FALSE(process->admin_.empty()) << "not ready: \"" << ready << "\"\n" << process->log();
  return process;
}

HookgatedProcess::Outcome HookgatedProcess::Run(const std::vector<std::string>& flags,
                                                const std::vector<std::string>& environment) {
  const std::string out_path = FreshFile("hookgated_out");
  const std::string err_path = FreshFile("hookgated_err");
  const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const pid_t pid = Spawn(flags, environment, out, err_path);
  close(out);
  Outcome outcome;
  outcome.exit_code = WaitFor(pid);
  outcome.out = ReadAll(out_path);
  outcome.err = ReadAll(err_path);
  return outcome;
}

HookgatedProcess::~HookgatedProcess() {
  if (pid_ != 0) Kill();
}

void HookgatedProcess::Signal(int signal) {
  if (pid_ != 0) kill(pid_, signal);
}

int HookgatedProcess::WaitForExit() {
  const int exit_code = WaitFor(pid_);
  pid_ = 0;
  return exit_code;
}

void HookgatedProcess::Kill() {
  Signal(SIGKILL);
  WaitForExit();
}

std::string HookgatedProcess::log() const { return ReadAll(log_path_); }

}  // namespace hookgate
