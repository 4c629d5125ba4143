#include "tests/support/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/support/secret_watch.h"
#include "tools/cpp/runfiles/runfiles.h"

namespace hookgate {
namespace {

using bazel::tools::cpp::runfiles::Runfiles;

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string PathOfProgram(const std::string& program) {
  std::string error;
  // Benchmarks are started by `bazel run`, which has no folder for tests.
  const std::unique_ptr<Runfiles> runfiles(
      std::getenv("TEST_SRCDIR") != nullptr
          ? Runfiles::CreateForTest(&error)
          : Runfiles::Create(std::filesystem::read_symlink("/proc/self/exe"), &error));
  EXPECT_NE(runfiles, nullptr) << error;
  if (runfiles == nullptr) return program;
  return runfiles->Rlocation("hookgate/" + program);
}

pid_t StartProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment, const std::string& in_path,
                   int out_fd, const std::string& err_path, int max_files) {
  std::vector<std::string> words;
  if (max_files > 0) {
    words = {"/bin/sh", "-c", absl::StrCat("ulimit -n ", max_files, " && exec \"$0\" \"$@\"")};
  }
  words.push_back(PathOfProgram(program));
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, in_path.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_path.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, words[0].c_str(), &actions, nullptr, Pointers(words).data(),
                                Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  EXPECT_EQ(error, 0) << words[0];
  return error == 0 ? pid : 0;
}

int WaitForProgram(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

ProgramOutcome RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                          const std::vector<std::string>& environment, const std::string& in) {
  const std::string in_path = FreshTestFile("in");
  std::ofstream(in_path) << in;
  const std::string out_path = FreshTestFile("out");
  const std::string err_path = FreshTestFile("err");
  const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const pid_t pid = StartProgram(program, arguments, environment, in_path, out, err_path);
  close(out);
  ProgramOutcome outcome;
  outcome.exit_code = WaitForProgram(pid);
  outcome.out = ReadTestFile(out_path);
  outcome.err = ReadTestFile(err_path);
  const auto place = program == kHookgated ? SecretWatch::kLog : SecretWatch::kAnswer;
  ExpectNothingDisclosed(place, absl::StrCat("standard output of ", program), outcome.out);
  ExpectNothingDisclosed(place, absl::StrCat("standard error of ", program), outcome.err);
  return outcome;
}

std::string FreshTestFile(const std::string& what) {
  static std::atomic<int> last = 0;
  return absl::StrCat(testing::TempDir(), "/", what, "_", getpid(), "_", ++last);
}

std::string ReadTestFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

}  // namespace hookgate
