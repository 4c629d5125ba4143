// A real hookgated in a process of its own, on free ports.
#ifndef HOOKGATE_TESTS_SUPPORT_HOOKGATED_PROCESS_H_
#define HOOKGATE_TESTS_SUPPORT_HOOKGATED_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/program.h"

namespace hookgate {

class HookgatedProcess {
 public:
  // Starts it on `data_dir` with `flags` added, kTestSecret (secret_watch.h) as OpenAI's and
  // `environment` (NAME=VALUE) beside it, and waits until it is ready. Fails the test if that does
  // not happen; then the addresses are empty.
  //   max_files  as in StartProgram (program.h)
  //   program    one of the caller's `data` that is linked from the same sources
  static std::unique_ptr<HookgatedProcess> Start(const std::string& data_dir,
                                                 const std::vector<std::string>& flags = {},
                                                 const std::vector<std::string>& environment = {},
                                                 int max_files = 0,
                                                 const std::string& program = kHookgated);

  // Ends it with SIGKILL if it still runs. Once it has ended, in whatever way, all that it printed,
  // and its line in the list of processes, is searched for what nobody may read (secret_watch.h),
  // and the test fails if that is there.
  ~HookgatedProcess();

  // HOST:PORT.
  const std::string& http() const { return http_; }
  const std::string& grpc() const { return grpc_; }
  const std::string& admin() const { return admin_; }

  pid_t pid() const { return pid_; }
  void Signal(int signal);
  // Waits for the end. Exit code, or 128 + signal if a signal ended it.
  int WaitForExit();
  // SIGKILL, and waits until it is gone.
  void Kill();
  // What it logged so far.
  std::string log() const;

 private:
  HookgatedProcess(pid_t pid, int out, std::string log_path)
      : pid_(pid), out_(out), log_path_(std::move(log_path)) {}

  // As anybody on the machine sees it now.
  std::string CommandLine() const;

  pid_t pid_;      // 0 once it has been waited for
  const int out_;  // its standard output
  const std::string log_path_;
  std::string printed_;  // all that has come from out_
  std::string command_line_;
  std::string http_;
  std::string grpc_;
  std::string admin_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_HOOKGATED_PROCESS_H_
