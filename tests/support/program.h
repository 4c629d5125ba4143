// Runs the project's own programs in processes of their own.
#ifndef HOOKGATE_TESTS_SUPPORT_PROGRAM_H_
#define HOOKGATE_TESTS_SUPPORT_PROGRAM_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace hookgate {

// Paths below the workspace; the binary must be among the data of the test.
inline constexpr char kHookgated[] = "server/hookgated";
inline constexpr char kHookgate[] = "client/cli/hookgate";

// Where a file among the data of the test is, by its path below the workspace.
std::string PathOfProgram(const std::string& program);

// What a program that ends by itself printed, and how it ended. It is searched for what nobody may
// read (secret_watch.h).
struct ProgramOutcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// `environment` entries are NAME=VALUE; the test's own environment is not passed on. `in` is what
// the program reads from its standard input.
ProgramOutcome RunProgram(const std::string& program, const std::vector<std::string>& arguments,
                          const std::vector<std::string>& environment = {},
                          const std::string& in = "");

// Starts it with stdin from the file `in_path`, stdout to `out_fd` and stderr to the file
// `err_path`. 0, and the test has failed, if it cannot be started.
//   max_files  how many files it may open (ulimit -n), both limits; 0: as many as this process
pid_t StartProgram(const std::string& program, const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment, const std::string& in_path,
                   int out_fd, const std::string& err_path, int max_files = 0);

// Waits for the end. Exit code, or 128 + signal if a signal ended it.
int WaitForProgram(pid_t pid);

// A file that no other test uses; not made yet.
std::string FreshTestFile(const std::string& what);
// "" if it cannot be read.
std::string ReadTestFile(const std::string& path);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_PROGRAM_H_
