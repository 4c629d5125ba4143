// Servers of engines, for tests: processes of other people's programs that end with the test.
#ifndef HOOKGATE_TESTS_CLUSTER_ENGINE_PROCESS_H_
#define HOOKGATE_TESTS_CLUSTER_ENGINE_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hookgate {

// Ends with SIGKILL if it still runs, and when the thread that started it ends.
class EngineProcess {
 public:
  // Runs `command`, found on the PATH of Debian's services, with its output in `log_path`. Null if
  // it cannot be started.
  static std::unique_ptr<EngineProcess> Start(const std::vector<std::string>& command,
                                              const std::string& log_path);
  ~EngineProcess();
  EngineProcess(const EngineProcess&) = delete;
  EngineProcess& operator=(const EngineProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Sends it to the process and to all its descendants, the process first.
  void SignalAll(int signal);
  void Signal(int signal);
  // Waits until it is gone. Exit code, or 128 + signal.
  int Wait();
  // SIGKILL, to its descendants as well.
  void Kill();
  bool Runs();

 private:
  explicit EngineProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_;  // 0 once it has been waited for
};

// Runs `command` to its end. Exit code; -1 if it cannot be started. Its output goes to `log_path`.
int RunToEnd(const std::vector<std::string>& command, const std::string& log_path);
// What it printed on standard output; "" if it did not end well.
std::string OutputOf(const std::vector<std::string>& command);

// Tries `condition` until it holds, for a minute at most; false if it never did.
bool BecomesTrue(const std::function<bool()>& condition);

// A port of 127.0.0.1 that is free now.
int FreePort();

// A new folder for servers: a path that any user may walk to, and short enough for a Unix socket in
// it.
class EngineFolder {
 public:
  // Below `base`.
  explicit EngineFolder(const std::string& base);
  ~EngineFolder();  // removes it
  EngineFolder(const EngineFolder&) = delete;
  EngineFolder& operator=(const EngineFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A file system in memory of which the test says when it is full. It is there for this process and
// those that it starts, and gone with them. For the test's first thread, before it has others that
// look at files in it.
class SmallDisk {
 public:
  // Mounted at `path`, which is made, for whoever owns the folder above it. Null if the system does
  // not let us: it is for root, also for one of a sandbox.
  static std::unique_ptr<SmallDisk> Mount(const std::string& path);
  ~SmallDisk();  // takes it away, with what is in it
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Each write that needs more room fails with ENOSPC, until MakeRoom. False if the system refuses.
  bool Fill();
  bool MakeRoom();

 private:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {}
  bool SetSize(uint64_t bytes) const;

  const std::string path_;
};

// Flips the lowest bit of the byte at `offset`; false if there is none.
bool FlipABitOf(const std::string& path, int64_t offset);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_ENGINE_PROCESS_H_
