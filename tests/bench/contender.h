// The processes that are measured. Each runs on the server's core, while the load that this process
// makes runs on the other.
#ifndef HOOKGATE_TESTS_BENCH_CONTENDER_H_
#define HOOKGATE_TESTS_BENCH_CONTENDER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/process_usage.h"
#include "tests/support/hookgated_process.h"

namespace hookgate {

// Keeps this thread, and what it starts, on one core.
void PinToCore(int core);

// What is started while this lives, threads and processes, runs on the server's core, and this
// thread on the load's again after.
class StartOnCore {
 public:
  explicit StartOnCore(const BenchSettings& settings) : settings_(settings) {
    PinToCore(settings.server_core);
  }
  ~StartOnCore() { PinToCore(settings_.load_core); }

 private:
  const BenchSettings& settings_;
};

// An empty folder below `parent`, removed in the end.
class BenchFolder {
 public:
  explicit BenchFolder(const std::string& parent);
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A gateway on `data_dir`.
std::unique_ptr<HookgatedProcess> StartGateway(const BenchSettings& settings,
                                               const std::string& data_dir);

// A program that prints the address that it serves, and is killed in the end.
class ServerProcess {
 public:
  // `arguments` begin with the program, which is looked up in PATH. `address` "": it prints it, as
  // the first line of its output; otherwise waits until that address can be connected to.
  ServerProcess(const BenchSettings& settings, const std::vector<std::string>& arguments,
                const std::string& address = "");
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  const std::string& address() const { return address_; }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
  std::string address_;
};

// This program with --serve=`what`: one of the bare servers.
std::unique_ptr<ServerProcess> StartBareServer(const BenchSettings& settings,
                                               const std::string& what);

// An address of loopback that nobody listens on.
std::string FreeAddress();
bool IsInPath(const std::string& program);

absl::Duration Percentile(std::vector<absl::Duration> durations, double fraction);

// `count` signed webhooks, with ids of their own, about batch_0, batch_1 and so on.
std::vector<std::string> SignedRequests(int count);
// Ends the process with a message if `refused` is not 0.
void ExpectNoneRefused(int refused);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_CONTENDER_H_
